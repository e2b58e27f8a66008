"""The two forms of a log line: a JSON object for programs, and a text for people."""

import json
from typing import Any

import orjson
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from cms_services.clock import now, to_wire

_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}
# Those of a traceback, which has lines.
_CONTROLS_WITHIN = {n: text for n, text in _CONTROLS.items() if chr(n) not in "\n\t"}


def _add_time(_: object, __: str, event: EventDict) -> EventDict:
    event["time"] = to_wire(now())
    return event


# What every line goes through before it has a form, those of libraries too.
PREPARING: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _add_time,
    structlog.processors.format_exc_info,
)


def json_form() -> ProcessorFormatter:
    """One JSON object a line, which has no control character."""
    return _form(
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_to_json),
    )


def console_form(*, colours: bool) -> ProcessorFormatter:
    """A text for people, in which no control character of somebody else's reaches a terminal."""
    renderer = ConsoleRenderer(
        colors=colours, timestamp_key="time", exception_formatter=plain_traceback
    )
    return _form(_without_controls, renderer)


def text_form() -> ProcessorFormatter:
    """The text for people as a file has it."""
    return console_form(colours=False)


def _form(*processors: Processor) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=PREPARING,
        processors=[ProcessorFormatter.remove_processors_meta, *processors],
    )


def _to_json(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits: no reason to lose the line.
        return json.dumps(event, default=str, skipkeys=True)


def _without_controls(_: object, __: str, event: EventDict) -> EventDict:
    shown: dict[str, Any] = {}
    for name, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        told = text.translate(_CONTROLS_WITHIN if name == "exception" else _CONTROLS)
        # Half a surrogate pair can't be written.
        shown[name.translate(_CONTROLS)] = told.encode("utf-8", "backslashreplace").decode()
    return shown
