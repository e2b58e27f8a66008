"""Reading request bodies and query strings strictly."""

from functools import cache
from typing import Any, cast

import orjson
from flask import request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.errors import MalformedBody, ValidationFailed

MAX_DEPTH = 32


def read_json_object() -> dict[str, Any]:
    """The request's JSON object; an empty body counts as an empty one.

    Raises UnsupportedMediaType for a body of another type, MalformedBody, ValidationFailed.
    """
    raw = request.get_data(cache=True)
    if not raw:
        return {}
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as application/json.")
    return parse_json_object(raw)


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Raises MalformedBody for what is no JSON object, ValidationFailed for NUL characters."""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error.msg}.") from error
    if not isinstance(parsed, dict):
        raise MalformedBody("The body must be a JSON object.")
    refuse_unstorable(parsed)
    return parsed


def refuse_unstorable(value: Any, path: str = "", depth: int = 1) -> None:
    """Raise MalformedBody for nesting beyond MAX_DEPTH, ValidationFailed for a NUL character."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValidationFailed({path: ["Must not contain a NUL character."]})
        return
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        raise MalformedBody(f"The data is nested deeper than {MAX_DEPTH} levels.")
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in entries:
        if isinstance(name, str) and "\x00" in name:
            raise ValidationFailed({path or "body": ["A name must not contain a NUL character."]})
        refuse_unstorable(child, f"{path}.{name}" if path else str(name), depth + 1)


def load(schema: type[Schema], given: dict[str, Any]) -> dict[str, Any]:
    """Validate by a schema. Raises ValidationFailed with messages for each field's path."""
    try:
        return cast(dict[str, Any], instance_of(schema).load(given))
    except ValidationError as error:
        raise ValidationFailed(field_messages(error)) from error


@cache
def instance_of(schema: type[Schema], many: bool = False) -> Schema:
    """A schema ready for use. Making one copies its fields, which takes longer than loading."""
    return schema(many=many)


def read_query(schema: type[Schema]) -> dict[str, Any]:
    """The query string by a schema. Raises ValidationFailed, for repeated parameters too."""
    given = request.args.to_dict(flat=False)
    repeated = {name: ["Give it once."] for name, values in given.items() if len(values) > 1}
    if repeated:
        raise ValidationFailed(repeated)
    single = {name: values[0] for name, values in given.items()}
    refuse_unstorable(single)
    return load(schema, single)


def field_messages(error: ValidationError) -> dict[str, list[str]]:
    """Marshmallow's nested messages as one level: `networking.port` -> list of messages."""
    flat: dict[str, list[str]] = {}

    def flatten(messages: Any, path: str) -> None:
        if isinstance(messages, dict):
            for name, inner in messages.items():
                own = path if name in ("_schema", "value") and path else str(name)
                flatten(inner, own if not path or own == path else f"{path}.{own}")
        else:
            texts = messages if isinstance(messages, list) else [messages]
            flat.setdefault(path or "body", []).extend(str(text) for text in texts)

    flatten(error.normalized_messages(), "")  # type: ignore[no-untyped-call]
    return flat
