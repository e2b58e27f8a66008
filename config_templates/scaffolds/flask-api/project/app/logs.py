"""Log lines: JSON on the standard output and, where a CMS is set, to its log ingest.

Write them as everywhere in Python; what `extra` holds becomes attributes:
`logging.getLogger(__name__).info("letter sent", extra={"recipients": 3})`.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context

from app.log_shipping import ShippingHandler

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_MESSAGE = 8_000
_LONGEST_LINE = 50_000


class JsonFormatter(logging.Formatter):
    """One entry as one line, in the form that the log ingest takes."""

    def format(self, record: logging.LogRecord) -> str:
        entry = _entry(record)
        try:
            line = json.dumps(entry, default=str, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError):
            line = ""
        if not 0 < len(line) <= _LONGEST_LINE:
            # Attributes that JSON has no form for, or no end, must not cost the line.
            entry["attributes"] = {"attributes": repr(entry["attributes"])[:_LONGEST_MESSAGE]}
            line = json.dumps(entry, ensure_ascii=False)
        # Half of a surrogate pair has no form in UTF-8.
        return line.encode("utf-8", "replace").decode()


def configure_logging(config: Mapping[str, Any]) -> None:
    """Send all log lines where they belong, instead of where an earlier call did."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if config["LOG_TARGET"] is not None:
        handlers.append(ShippingHandler(*config["LOG_TARGET"]))
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, JsonFormatter):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
    root.setLevel(config["LOG_LEVEL"])
    # The development server's line for each request; ours says more.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    attributes = {
        name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD
    }
    if record.exc_info:
        attributes["exception"] = logging.Formatter().formatException(record.exc_info)
    entry: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "level": _level(record.levelno),
        "message": record.getMessage()[:_LONGEST_MESSAGE] or "-",
        "source": record.name[:255],
        "attributes": attributes,
    }
    if has_request_context() and "request_id" in g:
        attributes["requestId"] = g.request_id
        if "user_id" in g:
            attributes["userId"] = g.user_id
        if g.trace_id:
            entry["traceId"] = g.trace_id
    return entry


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"
