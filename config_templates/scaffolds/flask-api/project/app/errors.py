"""One shape for every refusal: `{"error": {"code": ..., "message": ..., "details": ...}}`."""

from typing import Any

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException


class ApiError(Exception):
    """A request that is refused, with the HTTP status and a code that programs can compare."""

    def __init__(
        self, status: int, code: str, message: str, details: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def answer_as_json(app: Flask) -> None:
    """Answer errors of any kind in the one shape. A crash is logged and tells no detail."""

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> ResponseReturnValue:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        return _body(error.code, error.message, error.details), error.status, headers

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> ResponseReturnValue:
        if error.code is None or error.code < 400:
            return error.get_response()
        name = error.name.replace(" ", "_").upper()
        kept = [each for each in error.get_headers() if each[0] != "Content-Type"]
        return _body(name, error.description or error.name), error.code, kept


def _body(code: str, message: str, details: dict[str, str] | None = None) -> Any:
    error = {"code": code, "message": message}
    return jsonify(error=error if details is None else error | {"details": details})
