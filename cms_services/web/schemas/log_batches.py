"""Batches of log entries as JSON or as lines of it: the good entries, and what the others lack.

Plain code, since a schema takes longer to judge an entry than the database does to store it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.errors import DomainError, MalformedBody, ValidationFailed
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.vocabulary import LogLevel
from cms_services.web.bodies import load, refuse_unstorable
from cms_services.web.packed_bodies import read_packed_body
from cms_services.web.schemas.logs import LONGEST_MESSAGE, MOST_ENTRIES, LogBatch

JSON_LINES = "application/x-ndjson"
_KNOWN = frozenset({"timestamp", "level", "message", "source", "attributes", "traceId", "id"})
_TOO_MANY = f"Takes at most {MOST_ENTRIES} entries at once."
# In bytes of JSON.
_LONGEST_ATTRIBUTES = 64 * 1024
_LEVELS = {str(level): level for level in LogLevel}
# The one way in which JSON can have a NUL character.
_NUL = b"\\u0000"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    entries: list[NewLogEntry]
    rejected: list[Rejected]
    batch_id: str | None


class _Bad(Exception):
    """What is wrong with an entry."""


def read_batch(batch_id: str | None) -> Batch:
    """The request's batch, by its Content-Type. `batch_id` is the query string's.

    Raises UnsupportedMediaType, MalformedBody, ValidationFailed and what read_packed_body() does.
    """
    raw = read_packed_body()
    if request.mimetype == JSON_LINES:
        items: Iterable[Any] = _lines(raw)
    elif request.is_json or not raw:
        items, batch_id = _read_json(raw, batch_id)
    else:
        raise UnsupportedMediaType(f"Send the batch as application/json or as {JSON_LINES}.")
    may_have_nul = _NUL in raw
    may_be_long = len(raw) > _LONGEST_ATTRIBUTES
    entries: list[NewLogEntry] = []
    rejected: list[Rejected] = []
    for index, item in enumerate(items):
        if index >= MOST_ENTRIES:
            raise ValidationFailed({"entries": [_TOO_MANY]})
        if item is None:
            continue
        try:
            entry = _judged(item, index, may_have_nul)
            if may_be_long:
                _require_short(entry.attributes)
            entries.append(entry)
        except _Bad as bad:
            rejected.append(Rejected(index, str(bad)))
    return Batch(entries, rejected, batch_id)


def _read_json(raw: bytes, batch_id: str | None) -> tuple[list[Any], str | None]:
    try:
        document = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error.msg}.") from error
    if not isinstance(document, dict):
        raise MalformedBody("The body must be a JSON object.")
    problem = None
    if "entries" not in document:
        problem = "Missing data for required field."
    entries = document.pop("entries", [])
    if not isinstance(entries, list):
        problem = "Not a valid list."
    elif len(entries) > MOST_ENTRIES:
        problem = _TOO_MANY
    refuse_unstorable(document)
    details = {} if problem is None else {"entries": [problem]}
    try:
        told = load(LogBatch, document)["batch_id"]
    except ValidationFailed as error:
        raise ValidationFailed(error.details | details) from error
    if details:
        raise ValidationFailed(details)
    # A null would be passed over as an empty line is.
    return [_NO_ENTRY if entry is None else entry for entry in entries], told or batch_id


class _Unreadable:
    """A line that is not JSON."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


_NO_ENTRY = _Unreadable("Takes an object.")


def _lines(raw: bytes) -> Iterator[Any]:
    """What each line has; None for an empty one, which counts only for the numbering."""
    lines = raw.split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    for line in lines:
        if not line.strip():
            yield None
            continue
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield _Unreadable(f"The line is not valid JSON: {error.msg}.")
        else:
            yield _NO_ENTRY if item is None else item


def _judged(item: Any, index: int, may_have_nul: bool) -> NewLogEntry:
    """The entry. Raises _Bad with everything that is wrong with it."""
    if type(item) is not dict:
        raise _Bad(item.reason if isinstance(item, _Unreadable) else "Takes an object.")
    get = item.get
    word = get("level")
    level = _LEVELS.get(word) if isinstance(word, str) else None
    message: Any = get("message")
    source = get("source", "")
    attributes, trace_id, client_id = get("attributes"), get("traceId"), get("id")
    at = None
    troubles = []
    if not item.keys() <= _KNOWN:
        unknown = sorted(item.keys() - _KNOWN)
        troubles.append(f"{unknown[0][:100]}: Unknown field.")
    if level is None:
        troubles.append(f"level: Must be one of: {', '.join(_LEVELS)}.")
    if type(message) is not str or not 0 < len(message) <= LONGEST_MESSAGE:
        troubles.append(f"message: Takes a text of 1 to {LONGEST_MESSAGE} characters.")
    if type(source) is not str or len(source) > 255:
        troubles.append("source: Takes a text of at most 255 characters.")
    if attributes is None:
        attributes = {}
        if "attributes" in item:
            troubles.append("attributes: Takes an object.")
    elif type(attributes) is not dict:
        troubles.append("attributes: Takes an object.")
    elif may_have_nul or any(type(value) in (dict, list) for value in attributes.values()):
        _add_unstorable(attributes, troubles)
    if trace_id is not None and (type(trace_id) is not str or len(trace_id) > 64):
        troubles.append("traceId: Takes a text of at most 64 characters.")
    if client_id is not None and (type(client_id) is not str or not 0 < len(client_id) <= 255):
        troubles.append("id: Takes a text of 1 to 255 characters.")
    if "timestamp" in item:
        at = _moment(item["timestamp"])
        if at is None:
            troubles.append(
                "timestamp: Takes an ISO 8601 time with its zone, such as 2026-01-31T12:00:00Z."
            )
    if may_have_nul:
        _add_unstorable({k: v for k, v in item.items() if k != "attributes"}, troubles)
    if troubles:
        raise _Bad(" ".join(troubles))
    assert level is not None  # noqa: S101 - it would be among the troubles
    return NewLogEntry(level, message, at, source, attributes, trace_id, client_id, index)


def _require_short(attributes: Mapping[str, Any]) -> None:
    if attributes and len(orjson.dumps(attributes)) > _LONGEST_ATTRIBUTES:
        raise _Bad(f"attributes: Takes at most {_LONGEST_ATTRIBUTES} bytes of JSON.")


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not UTC:
            if moment.tzinfo is None:
                return None
            moment = moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if _EARLIEST <= moment <= _LATEST else None


def _add_unstorable(value: Any, troubles: list[str]) -> None:
    try:
        refuse_unstorable(value)
    except ValidationFailed as error:
        fields = error.details or {}
        troubles += [f"{field}: {' '.join(texts)}" for field, texts in fields.items()]
    except DomainError as error:
        troubles.append(error.message)
