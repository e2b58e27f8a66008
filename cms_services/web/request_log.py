"""One log line and one metric observation a request, and the request id that ties them together.

Neither query strings nor bodies nor headers are logged, so that no secret can be.
"""

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_REQUESTS = Counter(
    "cms_http_requests_total", "Requests answered", ["method", "operation", "status"]
)
_DURATION = Histogram(
    "cms_http_request_duration_seconds", "Time to answer a request", ["method", "operation"]
)


def init_request_log(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_finish)


def name_operation(name: str) -> None:
    """Say what this request does, for its log line and metrics: a services.php action."""
    g.operation = name


def request_id_of(given: str) -> str:
    """What names a request in answers and logs: what its sender gave, or something new."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = request_id_of(request.headers.get("X-Request-ID", ""))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    # Each use of the stand-ins costs a look-up, and this runs at every request.
    context = g._get_current_object()
    current = request._get_current_object()  # type: ignore[attr-defined]
    response.headers["X-Request-ID"] = context.request_id
    elapsed = time.perf_counter() - context.started
    rule = current.url_rule
    operation = context.get("operation") or (rule.rule if rule else "unmatched")
    # Methods are words of the caller's; an unknown one must not make a new series.
    method = current.method if rule else "ANY"
    _REQUESTS.labels(method, operation, str(response.status_code)).inc()
    _DURATION.labels(method, operation).observe(elapsed)
    actor = context.get("actor")
    log.info(
        "request",
        user=actor.user_id if actor else None,
        method=current.method,
        operation=operation,
        status=response.status_code,
        duration_ms=round(elapsed * 1000, 2),
        address=current.remote_addr,
    )
    return response


def note_passed_on(
    method: str, operation: str, status: int, seconds: float, address: str | None, request_id: str
) -> None:
    """The line and the observation of a request that another server has answered for us."""
    _REQUESTS.labels(method, operation, str(status)).inc()
    _DURATION.labels(method, operation).observe(seconds)
    log.info(
        "request",
        request_id=request_id,
        method=method,
        operation=operation,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        address=address,
        passed_on=True,
    )
