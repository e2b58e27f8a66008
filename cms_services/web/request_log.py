"""One JSON line and one metric observation a request, and the request id that ties them together.

Neither query strings nor bodies nor headers are logged, so that no secret can be.
"""

import json
import logging
import re
import sys
import time
import uuid
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from cms_services.clock import now, to_wire

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_REQUESTS = Counter(
    "cms_http_requests_total", "Requests answered", ["method", "operation", "status"]
)
_DURATION = Histogram(
    "cms_http_request_duration_seconds", "Time to answer a request", ["method", "operation"]
)


def configure_logging(level: str) -> None:
    """Send every log line of the process, ours and the libraries', to stdout as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_time,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its lines at INFO describe each migration step; one line of ours says what happened.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def init_request_log(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_finish)


def name_operation(name: str) -> None:
    """Say what this request does, for its log line and metrics: a services.php action."""
    g.operation = name


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
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


def _to_json(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits: no reason to lose the line.
        return json.dumps(event, default=str, skipkeys=True)


def _add_time(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["time"] = to_wire(now())
    return event
