"""What metrics and logs by the OpenTelemetry Protocol share: messages, values and times.

https://opentelemetry.io/docs/specs/otlp/ (1.9), with its JSON: the mapping of proto3, but for the
identifiers of traces, which are hexadecimal, and names that nobody knows, which are skipped.
"""

import base64
import binascii
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from cms_services.errors import MalformedBody

Export = TypeVar("Export", bound=Message)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDENTIFIERS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id"})
# As deep as protobuf itself reads.
_DEEPEST = 100
# Small messages cost far more time than bytes, and those in JSON most.
_MOST_IN_JSON = 400_000
_MOST_ATTRIBUTES = 1000
_LONGEST_STRUCTURE = 64 * 1024


def read_protobuf(kind: type[Export], body: bytes) -> Export:
    """A message of this kind. Raises MalformedBody."""
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBody(f"The body is no protobuf {kind.DESCRIPTOR.name}.") from error
    return message


def read_json(kind: type[Export], body: bytes) -> Export:
    """A message of this kind from its JSON. Raises MalformedBody."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error.msg}.") from error
    if not isinstance(parsed, dict):
        raise MalformedBody("The body must be a JSON object.")
    _identifiers_to_base64(parsed)
    try:
        return ParseDict(parsed, kind(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, OverflowError) as error:
        told = str(error)[:300]
        raise MalformedBody(f"The body is no {kind.DESCRIPTOR.name} in JSON: {told}") from error


def plain_value(value: AnyValue, depth: int = 0) -> Any:
    """An attribute's or a body's value as JSON knows it: bytes as base64, NaN and such as texts.

    A list or an object of more than 64 KiB is told by its size alone.
    """
    which = value.WhichOneof("value")
    if which is None or depth > _DEEPEST:
        return None
    if depth == 0 and which in ("array_value", "kvlist_value"):
        size = value.ByteSize()
        if size > _LONGEST_STRUCTURE:
            return f"(a structure of {size} bytes)"
    if which == "string_value":
        return storable(value.string_value)
    if which == "double_value":
        number = value.double_value
        return number if math.isfinite(number) else str(number)
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "array_value":
        return [plain_value(each, depth + 1) for each in value.array_value.values]
    if which == "kvlist_value":
        return plain_attributes(value.kvlist_value.values, depth + 1)
    return getattr(value, which)


def plain_attributes(attributes: Iterable[KeyValue], depth: int = 0) -> dict[str, Any]:
    """Attributes by their keys, at most the first 1,000; of repeated ones the last counts."""
    kept = islice(attributes, _MOST_ATTRIBUTES)
    return {storable(each.key): plain_value(each.value, depth) for each in kept}


def attribute_text(value: Any) -> str:
    """A plain value as text, as labels want it: true and false in small letters, lists as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def moment_of(nanoseconds: int) -> datetime | None:
    """A time in nanoseconds since 1970, to the microsecond; None for 0, which means unknown."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds else None


def storable(text: str) -> str:
    """The text without NUL characters, which not every database stores."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _identifiers_to_base64(parsed: dict[str, Any]) -> None:
    """Turn the hexadecimal identifiers of OTLP/JSON into what the mapping of proto3 reads.

    Raises MalformedBody for them, and for what is nested too deep or has too much in it.
    """
    level: list[Any] = [parsed]
    visited = depth = 0
    while level:
        depth += 1
        visited += sum(map(len, level))
        if depth > _DEEPEST:
            raise MalformedBody(f"The body is nested deeper than {_DEEPEST} levels.")
        if visited > _MOST_IN_JSON:
            raise MalformedBody(
                f"JSON of more than {_MOST_IN_JSON} values is not read: send less at once, "
                "or protobuf."
            )
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                for name in _IDENTIFIERS & each.keys():
                    if isinstance(each[name], str):
                        each[name] = _hex_to_base64(name, each[name])
                below += [value for value in each.values() if isinstance(value, dict | list)]
            else:
                below += [value for value in each if isinstance(value, dict | list)]
        level = below


def _hex_to_base64(name: str, text: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError) as error:
        raise MalformedBody(f"{name} must be hexadecimal.") from error
