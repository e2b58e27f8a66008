"""Reading request bodies and query strings strictly."""

from functools import cache
from typing import Any, cast

import orjson
from flask import request
from marshmallow import Schema, ValidationError, fields
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from cms_services.errors import MalformedBody, ValidationFailed
from cms_services.field_messages import field_messages
from cms_services.wording import worded

# MariaDB stores 31, and the audit trail stores a configuration within objects of its own.
MAX_DEPTH = 28
_LONGEST_TOLD = 100


def read_json_object() -> dict[str, Any]:
    """The request's JSON object; an empty body counts as an empty one.

    Raises UnsupportedMediaType for a body of another type, MalformedBody, ValidationFailed.
    """
    raw = read_body()
    if not raw:
        return {}
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as application/json.")
    return parse_json_object(raw)


def read_body() -> bytes:
    """The whole body. Raises RequestEntityTooLarge."""
    raw = request.get_data(cache=True)
    # Where no length is told, Werkzeug cuts a body at the limit and says nothing.
    most = request.max_content_length
    if request.content_length is None and most is not None and len(raw) >= most:
        raise RequestEntityTooLarge
    return raw


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Raises MalformedBody for what is no JSON object, ValidationFailed for NUL characters."""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(
            worded("The body is not valid JSON: %(problem)s.", problem=error.msg)
        ) from error
    if not isinstance(parsed, dict):
        raise MalformedBody(worded("The body must be a JSON object."))
    refuse_unstorable(parsed)
    return parsed


def refuse_unstorable(value: Any, path: tuple[Any, ...] = ()) -> None:
    """Raise MalformedBody for nesting beyond MAX_DEPTH, ValidationFailed for a NUL character."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValidationFailed({_told(path): [worded("Must not contain a NUL character.")]})
        return
    if not isinstance(value, dict | list):
        return
    if len(path) >= MAX_DEPTH:
        raise MalformedBody(
            worded("The data is nested deeper than %(most)s levels.", most=MAX_DEPTH)
        )
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in entries:
        if isinstance(name, str) and "\x00" in name:
            problem = [worded("A name must not contain a NUL character.")]
            raise ValidationFailed({_told(path) or "body": problem})
        refuse_unstorable(child, (*path, name))


def _told(path: tuple[Any, ...]) -> str:
    """A path as errors name it. Worked out for errors alone: names may be long, and many."""
    return ".".join(str(name)[:_LONGEST_TOLD] for name in path)


def load(schema: type[Schema], given: dict[str, Any]) -> dict[str, Any]:
    """Validate by a schema. Raises ValidationFailed with messages for each field's path."""
    try:
        return cast(dict[str, Any], instance_of(schema).load(given))
    except ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise ValidationFailed(field_messages(messages)) from error


@cache
def instance_of(schema: type[Schema], many: bool = False) -> Schema:
    """A schema ready for use. Making one copies its fields, which takes longer than loading."""
    return schema(many=many)


def read_query(schema: type[Schema]) -> dict[str, Any]:
    """The query string by a schema. Raises ValidationFailed, for repeated parameters too.

    Only what the schema has as a list may be repeated.
    """
    given = request.args.to_dict(flat=False)
    lists = {
        field.data_key or name
        for name, field in instance_of(schema).fields.items()
        if isinstance(field, fields.List)
    }
    repeated = {
        name: [worded("Give it once.")]
        for name, values in given.items()
        if len(values) > 1 and name not in lists
    }
    if repeated:
        raise ValidationFailed(repeated)
    read = {name: values if name in lists else values[0] for name, values in given.items()}
    refuse_unstorable(read)
    return load(schema, read)
