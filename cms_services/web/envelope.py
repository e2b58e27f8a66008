"""The one shape of every JSON answer."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

JSON_TYPE = "application/json"
_TIMES = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class WireJSON(JSONProvider):
    """JSON by orjson, with times in UTC ending in Z."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        indent = orjson.OPT_INDENT_2 if kwargs.get("indent") else 0
        return orjson.dumps(obj, option=_TIMES | indent).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(self.to_bytes(self._prepare_response_obj(args, kwargs)), mimetype=JSON_TYPE)

    @staticmethod
    def to_bytes(obj: Any) -> bytes:
        return orjson.dumps(obj, option=_TIMES)


def success(data: Any, status: int = 200, meta: dict[str, Any] | None = None) -> Response:
    """`{"success": true, "data": ...}`, with `meta` beside it where a list is paged."""
    body: dict[str, Any] = {"success": True, "data": data}
    if meta is not None:
        body["meta"] = meta
    return Response(WireJSON.to_bytes(body), status, mimetype=JSON_TYPE)


def failure(code: str, message: str, status: int, details: Any = None) -> Response:
    """`{"success": false, "error": {...}}`."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    return Response(
        WireJSON.to_bytes({"success": False, "error": error}), status, mimetype=JSON_TYPE
    )
