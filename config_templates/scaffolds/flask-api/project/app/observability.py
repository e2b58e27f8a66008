"""What is done around every request: its id, its log line, its metrics."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context: version, trace, parent, flags.
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# They are asked every few seconds, and would drown all other lines.
_QUIET = frozenset({"/health", "/metrics"})

_REQUESTS = Counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
_DURATIONS = Histogram(
    "http_request_duration_seconds", "How long answers took.", ["method", "route"]
)


def watch(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    trace = _TRACE_PARENT.fullmatch(request.headers.get("traceparent", ""))
    g.trace_id = trace[1] if trace else None


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    # Templates and known methods alone: others are without number, and so would the series be.
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in _METHODS else "other"
    _REQUESTS.labels(method, route, response.status_code).inc()
    _DURATIONS.labels(method, route).observe(seconds)
    _log.log(
        logging.DEBUG if route in _QUIET else logging.INFO,
        "%s %s %d",
        method,
        route,
        response.status_code,
        extra={"path": request.path, "durationMs": round(seconds * 1000, 1)},
    )
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
