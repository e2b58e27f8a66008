"""Every exception becomes one JSON shape, or a page; the only place that knows their statuses."""

import re

import structlog
from flask import Flask, Response, g, render_template, request
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from cms_services import errors
from cms_services.database import is_outage
from cms_services.library_messages import said_by_library
from cms_services.web.envelope import failure
from cms_services.web.otlp import is_otlp, refusal
from cms_services.web.transactions import LOST_RACE, is_deadlock
from cms_services.web.translation import MESSAGE_LANGUAGE, translated
from cms_services.wording import worded

log = structlog.get_logger()

STATUS_OF_CODE = {
    "VALIDATION_ERROR": 400,
    "UNKNOWN_ACTION": 400,
    "AMBIGUOUS_ACTION": 400,
    "MALFORMED_BODY": 400,
    "UNAUTHENTICATED": 401,
    "SECOND_FACTOR_REQUIRED": 401,
    "TOKEN_EXPIRED": 401,
    "TOKEN_REVOKED": 401,
    "FORBIDDEN": 403,
    "SERVICE_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "INVALID_TRANSITION": 409,
    "CONFLICT": 409,
    "IDEMPOTENCY_KEY_REUSED": 409,
    "VERSION_CONFLICT": 412,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "RATE_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "SERVICE_CONFIG_ERROR": 500,
    "DOWNLOAD_GENERATION_FAILED": 500,
    "UPSTREAM_ERROR": 502,
    "NOT_READY": 503,
    "UPSTREAM_TIMEOUT": 504,
}
_CODE_OF_STATUS = {
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    429: "RATE_LIMIT_EXCEEDED",
}
_MESSAGE_OF_CODE = {
    "NOT_FOUND": worded("There is nothing at this address."),
    "METHOD_NOT_ALLOWED": worded("This address does not answer this method; see the Allow header."),
    "REQUEST_TIMEOUT": worded("The request took too long to arrive; send it again, faster."),
    "PAYLOAD_TOO_LARGE": worded("The body is too large."),
    "RANGE_NOT_SATISFIABLE": worded("The file has no such range; see the Content-Range header."),
    "RATE_LIMIT_EXCEEDED": worded(
        "Too many requests; wait as long as the Retry-After header says."
    ),
}
_RETRY_SECONDS = 5
# How MariaDB names a constraint, and SQLite the columns of one.
_NAMED_RULE = re.compile(r"(?:for key|CONSTRAINT) [`']([^`']+)|constraint failed: ([\w., ]+)")

# Below these it is programs that call, which can do nothing with a page.
_PROGRAMS = ("/api", "/services.php", "/healthz", "/readyz", "/metrics", "/v1/", "/loki/")


def init_errors(app: Flask) -> None:
    app.register_error_handler(errors.DomainError, _domain_error)
    app.register_error_handler(RateLimitExceeded, _http_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StaleDataError, _lost_race)
    app.register_error_handler(IntegrityError, _integrity_error)
    app.register_error_handler(DataError, _data_error)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(unavailable, _database_unavailable)
    app.register_error_handler(Exception, _crash)


def _domain_error(error: errors.DomainError) -> Response:
    status = STATUS_OF_CODE[error.code]
    if status >= 500:
        log.error("domain error", code=error.code, reason=error.message)
    response = _answer(error.code, error.message, status, error.details)
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _crash(error)
    code = _CODE_OF_STATUS.get(status, "VALIDATION_ERROR" if status < 500 else "INTERNAL_ERROR")
    message = (
        _MESSAGE_OF_CODE.get(code)
        or said_by_library(error.description or "")
        or worded("The request can't be answered.")
    )
    details = {"request": [message]} if code == "VALIDATION_ERROR" else None
    response = _answer(code, message, 400 if code == "VALIDATION_ERROR" else status, details)
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            response.headers.setdefault(name, value)
    return response


def _lost_race(_: StaleDataError | None = None) -> Response:
    return _answer("CONFLICT", LOST_RACE, 409)


def _integrity_error(error: IntegrityError) -> Response:
    log.warning("integrity error", rule=_broken_rule(error))
    return _answer(
        "CONFLICT",
        worded("This contradicts what is stored: something is taken or still in use."),
        409,
    )


def _broken_rule(error: IntegrityError) -> str:
    """The constraint that was broken, without the value that the database quotes beside it."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name)
    told = str(error.orig)
    named = _NAMED_RULE.search(told)
    return str(named[1] or named[2]) if named else "unknown"


def _data_error(error: DataError) -> Response:
    log.warning("data error", kind=type(error.orig).__name__)
    message = worded("A value is too large for its field.")
    return _answer("VALIDATION_ERROR", message, 400, {"body": [message]})


def _database_unavailable(error: Exception) -> Response:
    if isinstance(error, OperationalError) and is_deadlock(error):
        log.warning("deadlock", error=str(error.orig))
        return _lost_race()
    if not is_outage(error):
        return _crash(error)
    log.error("database unavailable", exc_info=error)
    return _answer("NOT_READY", worded("The database does not answer; try again shortly."), 503)


def _crash(error: Exception) -> Response:
    log.error("unhandled exception", exc_info=error)
    return _answer(
        "INTERNAL_ERROR",
        worded(
            "Something went wrong on our side. Quote the request id %(id)s.",
            id=g.get("request_id"),
        ),
        500,
    )


def _answer(code: str, message: str, status: int, details: object = None) -> Response:
    g.error_code = code
    if is_otlp():
        response = refusal(code, message, status)
    elif not answers_with_page():
        told = translated(message) if request.headers.get(MESSAGE_LANGUAGE) else message
        response = failure(code, told, status, details)
    else:
        page = render_template("error.html", code=code, message=message, status=status)
        response = Response(page, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    elif status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def answers_with_page() -> bool:
    """Whether this request is for people: not for the two APIs or the operator's addresses."""
    return not request.path.startswith(_PROGRAMS)
