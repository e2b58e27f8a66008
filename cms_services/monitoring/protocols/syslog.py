"""Messages of syslog as log entries (RFC 5424).

The service is told by its ingest token in structured data: `[cms@32473 token="cms_ingest_..."]`,
where 32473 is the enterprise number of examples (RFC 5612).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cms_services.monitoring.ingest_tokens import INGEST_TOKEN_PREFIX
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.monitoring.protocols.log_values import (
    bounded_attributes,
    bounded_message,
    bounded_source,
    trace_id_among,
)
from cms_services.vocabulary import LogLevel

# In bytes; no datagram is longer.
LONGEST_MESSAGE = 65_536
_TOKEN_ID = "cms@32473"  # noqa: S105 - where the token stands
_LONGEST_TOKEN = 100
_NIL = "-"
_BOM = "\ufeff"
_HEADER = re.compile(
    rb"<(?P<priority>0|[1-9][0-9]{0,2})>1 (?P<at>-|[0-9T:.Z+-]{1,64}) (?P<host>[!-~]{1,255}) "
    rb"(?P<app>[!-~]{1,255}) (?P<process>[!-~]{1,128}) (?P<kind>[!-~]{1,32}) "
)
# A name of RFC 5424 has no = ] " or blank.
_NAME = r"[!#-<>-\\^-~]{1,255}"
_ELEMENT = re.compile(rf'\[({_NAME})((?: {_NAME}="(?:[^"\\\]]|\\.)*")*)\]', re.DOTALL)
_PARAMETER = re.compile(rf' ({_NAME})="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')
_GREATEST_PRIORITY = 191
# The severities of RFC 5424, from emergency to debug.
_LEVELS = (*[LogLevel.ERROR] * 4, LogLevel.WARN, LogLevel.INFO, LogLevel.INFO, LogLevel.DEBUG)
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose token is still to be checked; it is None where there was none like ours."""

    token: str | None
    entry: NewLogEntry


def read_message(raw: bytes) -> Message:
    """Raises ValueError for what is no message of RFC 5424."""
    header = _HEADER.match(raw)
    if header is None:
        raise ValueError("It has no header of RFC 5424.")
    priority = int(header["priority"])
    if priority > _GREATEST_PRIORITY:
        raise ValueError("Its priority is above 191.")
    rest = raw[header.end() :].decode("utf-8", "replace")
    data, text = _structured_data(rest)
    token = data.pop(_TOKEN_ID, {}).get("token", "")
    told = {"facility": _FACILITIES[priority // 8]}
    for name, field in (("hostname", "host"), ("procId", "process"), ("msgId", "kind")):
        value = header[field].decode("ascii")
        if value != _NIL:
            told[name] = value
    parameters = {f"{id}.{name}": value for id, of in data.items() for name, value in of.items()}
    app = header["app"].decode("ascii")
    entry = NewLogEntry(
        level=_LEVELS[priority % 8],
        message=bounded_message(text.removeprefix(_BOM)),
        at=_moment(header["at"].decode("ascii")),
        source="" if app == _NIL else bounded_source(app),
        attributes=bounded_attributes(told, parameters),
        trace_id=next(filter(None, map(trace_id_among, data.values())), None),
    )
    return Message(token if _may_be_ours(token) else None, entry)


def _may_be_ours(token: str) -> bool:
    """Whether the database is to be asked for it, which costs more than sending a message does."""
    return token.startswith(INGEST_TOKEN_PREFIX) and len(token) <= _LONGEST_TOKEN


def _moment(text: str) -> datetime | None:
    """The time of a message; None where it tells none. Raises ValueError."""
    if text == _NIL:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("Its time has no time zone.")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("Its time is beyond the calendar.") from error


def _structured_data(text: str) -> tuple[dict[str, dict[str, str]], str]:
    """The elements by their ids, and what stands after them."""
    data: dict[str, dict[str, str]] = {}
    end = 1 if text.startswith(_NIL) else 0
    while not text.startswith(_NIL):
        element = _ELEMENT.match(text, end)
        if element is None:
            break
        parameters = _PARAMETER.findall(element[2])
        unescaped = {name: _ESCAPED.sub(r"\1", value) for name, value in parameters}
        data.setdefault(element[1], {}).update(unescaped)
        end = element.end()
    if end == 0 or text[end : end + 1] not in ("", " "):
        raise ValueError("Its structured data can't be read.")
    return data, text[end + 1 :]
