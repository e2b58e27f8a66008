"""What Grafana Loki's clients push, as log entries: JSON, or protobuf as logproto.PushRequest.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import DecodeError

from cms_services.errors import MalformedBody
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.monitoring.protocols.log_values import (
    MOST_ENTRIES,
    bounded_attributes,
    bounded_message,
    bounded_source,
    level_of_word,
    shared_attributes,
    trace_id_among,
)
from cms_services.monitoring.protocols.loki_messages import PushRequest
from cms_services.monitoring.protocols.measurements import require_few
from cms_services.vocabulary import LogLevel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# name="value", with the value quoted as Go does it.
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.:]*)\s*=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(,|\Z)')
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_SOURCES = ("service_name", "app", "job", "container")
_LEVEL_NAMES = ("level", "detected_level", "severity", "lvl", "severity_text")
_LOGFMT_LEVEL = re.compile(r'(?:^|\s)(?:level|lvl|severity)="?([A-Za-z]{1,16})')
# Beyond these a line is not looked through for its level.
_LONGEST_LOOKED_THROUGH = 4096
_MOST_DIGITS = 19
_MOST_LABELS = 64
# The numbers of pino and bunyan, in tens.
_NUMBERED = {1: LogLevel.DEBUG, 2: LogLevel.DEBUG, 3: LogLevel.INFO, 4: LogLevel.WARN}


class _Line(NamedTuple):
    nanoseconds: int
    text: str
    metadata: Mapping[str, str]


def read_push(body: bytes, *, protobuf: bool) -> tuple[list[NewLogEntry], list[Rejected]]:
    """The entries of all streams in their order, and those that can't be read.

    As with Loki itself, a line that a stream has already at the same nanosecond is the same line.
    Raises MalformedBody where the whole is no push request, ValidationFailed for more than
    MOST_ENTRIES lines.
    """
    entries: list[NewLogEntry] = []
    rejected: list[Rejected] = []
    index = 0
    for labels, lines in _protobuf_streams(body) if protobuf else _json_streams(body):
        # A stream is known by all its labels, though each entry has but those that fit.
        name = hashlib.blake2b(repr(sorted(labels.items())).encode(), digest_size=16).digest()
        shared = shared_attributes(labels)
        for line in lines:
            if isinstance(line, str):
                rejected.append(Rejected(index, line))
            else:
                entries.append(_entry(shared, line, index, name))
            index += 1
    return entries, rejected


def read_labels(text: str) -> dict[str, str]:
    """The labels of a stream: `{job="web", host="a\\"b"}`. Raises MalformedBody."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise MalformedBody('The labels of a stream are written as {name="value", other="value"}.')
    inner = text[1:-1].strip()
    labels: dict[str, str] = {}
    place = 0
    while place < len(inner):
        found = _LABEL.match(inner, place)
        if found is None:
            told = inner[place : place + 50]
            raise MalformedBody(f"The labels of a stream can't be read at: {told}")
        quoted = found[2]
        labels[found[1]] = quoted[1:-1] if quoted[0] == "`" else _unquoted(quoted[1:-1])
        _require_few_labels(len(labels))
        place = found.end()
    return labels


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _ESCAPED.get(found[4], found[4])
    number = int(code, 16)
    # Halves of a surrogate pair can't be stored, nor what is beyond Unicode.
    return chr(number) if number < 0xD800 or 0xDFFF < number <= 0x10FFFF else "\ufffd"


def _entry(labels: Mapping[str, str], line: _Line, index: int, stream: bytes) -> NewLogEntry:
    told = (line.metadata, labels)
    source = next((labels[name] for name in _SOURCES if labels.get(name)), "")
    identity = b"%s\n%d\n%s" % (stream, line.nanoseconds, line.text.encode())
    return NewLogEntry(
        level=_level(told, line.text),
        message=bounded_message(line.text),
        at=_EPOCH + timedelta(microseconds=line.nanoseconds // 1000),
        source=bounded_source(source),
        attributes=bounded_attributes(line.metadata, labels),
        trace_id=next(filter(None, map(trace_id_among, told)), None),
        client_id=f"loki-{hashlib.blake2b(identity, digest_size=16).hexdigest()}",
        index=index,
    )


def _level(told: Sequence[Mapping[str, str]], line: str) -> LogLevel:
    for name in _LEVEL_NAMES:
        for group in told:
            level = level_of_word(group[name]) if name in group else None
            if level is not None:
                return level
    return _level_in(line) or LogLevel.INFO


def _level_in(line: str) -> LogLevel | None:
    """The level that a line of JSON or logfmt tells."""
    if line.startswith("{") and len(line) <= _LONGEST_LOOKED_THROUGH:
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError:
            parsed = {}
        value = next((parsed[name] for name in _LEVEL_NAMES if name in parsed), None)
        if isinstance(value, int) and not isinstance(value, bool) and 10 <= value < 100:
            return _NUMBERED.get(value // 10, LogLevel.ERROR)
        return level_of_word(value) if isinstance(value, str) else None
    found = _LOGFMT_LEVEL.search(line, 0, _LONGEST_LOOKED_THROUGH)
    return level_of_word(found[1]) if found else None


_Streams = Iterator[tuple[dict[str, str], list["_Line | str"]]]


def _protobuf_streams(body: bytes) -> _Streams:
    push: Any = PushRequest()
    try:
        push.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBody("The body is no protobuf PushRequest.") from error
    require_few(len(push.streams), "streams", MOST_ENTRIES)
    require_few(sum(len(stream.entries) for stream in push.streams), "lines", MOST_ENTRIES)
    for stream in push.streams:
        yield read_labels(stream.labels), [_protobuf_line(each) for each in stream.entries]


def _protobuf_line(entry: Any) -> _Line | str:
    nanoseconds = entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos
    pairs = {pair.name: pair.value for pair in entry.structuredMetadata}
    return _checked(_Line(nanoseconds, entry.line, pairs))


def _json_streams(body: bytes) -> _Streams:
    try:
        push = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error.msg}.") from error
    streams = push.get("streams") if isinstance(push, dict) else None
    if not isinstance(streams, list):
        raise MalformedBody('The body must be a JSON object with a list "streams".')
    require_few(len(streams), "streams", MOST_ENTRIES)
    lines = 0
    for stream in streams:
        labels = stream.get("stream") if isinstance(stream, dict) else None
        values = stream.get("values") if isinstance(stream, dict) else None
        if labels is None or not _is_texts(labels) or not isinstance(values, list):
            raise MalformedBody(
                'Each stream has an object "stream" of labels, whose values are texts, '
                'and a list "values".'
            )
        _require_few_labels(len(labels))
        lines += len(values)
        require_few(lines, "lines", MOST_ENTRIES)
        yield labels, [_json_line(each) for each in values]


def _require_few_labels(count: int) -> None:
    if count > _MOST_LABELS:
        raise MalformedBody(f"A stream has at most {_MOST_LABELS} labels.")


def _json_line(value: Any) -> _Line | str:
    well_made = (
        isinstance(value, list)
        and len(value) in (2, 3)
        and isinstance(value[0], str)
        and isinstance(value[1], str)
    )
    if not well_made:
        return 'Takes ["<nanoseconds since 1970>", "<line>"], and an object of metadata.'
    metadata = value[2] if len(value) == 3 else {}
    if not _is_texts(metadata):
        return "Its metadata must be an object whose values are texts."
    if not (value[0].isascii() and value[0].isdigit() and len(value[0]) <= _MOST_DIGITS):
        return "Its time must be a text of nanoseconds since 1970."
    return _checked(_Line(int(value[0]), value[1], metadata))


def _checked(line: _Line) -> _Line | str:
    if not 0 < line.nanoseconds < 1 << 63:
        return "Its time must be in nanoseconds since 1970."
    return line


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
