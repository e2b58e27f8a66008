"""What metrics and logs by the OpenTelemetry Protocol share: messages, values and times.

https://opentelemetry.io/docs/specs/otlp/ (1.9), with its JSON: the mapping of proto3, but for the
identifiers of traces, which are hexadecimal, and names that nobody knows, which are skipped.
"""

import base64
import binascii
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
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
    _identifiers_to_base64(parsed, 0)
    try:
        return ParseDict(parsed, kind(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, OverflowError) as error:
        told = str(error)[:300]
        raise MalformedBody(f"The body is no {kind.DESCRIPTOR.name} in JSON: {told}") from error


def plain_value(value: AnyValue, depth: int = 0) -> Any:
    """An attribute's or a body's value as JSON knows it: bytes as base64, NaN and such as texts."""
    which = value.WhichOneof("value")
    if which is None or depth > _DEEPEST:
        return None
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
    """Attributes by their keys; of repeated ones the last counts."""
    return {storable(each.key): plain_value(each.value, depth) for each in attributes}


def attribute_text(value: Any) -> str:
    """A plain value as text, as labels want it: true and false in small letters, lists as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def moment_of(nanoseconds: int) -> datetime | None:
    """A time in nanoseconds since 1970, to the microsecond; None for 0, which means unknown."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds else None


def storable(text: str) -> str:
    """The text without NUL characters, which not every database stores."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _identifiers_to_base64(value: Any, depth: int) -> None:
    """Turn the hexadecimal identifiers of OTLP/JSON into what the mapping of proto3 reads."""
    if depth > _DEEPEST:
        raise MalformedBody(f"The body is nested deeper than {_DEEPEST} levels.")
    if isinstance(value, list):
        for each in value:
            _identifiers_to_base64(each, depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _IDENTIFIERS and isinstance(each, str):
                value[name] = _hex_to_base64(name, each)
            elif isinstance(each, dict | list):
                _identifiers_to_base64(each, depth + 1)


def _hex_to_base64(name: str, text: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError) as error:
        raise MalformedBody(f"{name} must be hexadecimal.") from error
