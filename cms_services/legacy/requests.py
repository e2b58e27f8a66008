"""Reading a services.php request: query, form and JSON become one set of parameters."""

from typing import Any, cast

from flask import g, request
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.errors import ValidationFailed
from cms_services.legacy.media_types import FORM, JSON, PARTS, json_text, kind_of
from cms_services.legacy.php_parameters import ParameterError, parse_pairs, parse_urlencoded
from cms_services.web.bodies import parse_json_object, read_body, refuse_unstorable


def read_parameters() -> dict[str, Any]:
    """The parameters of this request; what stands in the body wins over the query.

    They are read once, also where a rate limit asks for them first.
    Raises MalformedBody, ValidationFailed, UnsupportedMediaType.
    """
    if "php_parameters" in g:
        return cast(dict[str, Any], g.php_parameters)
    try:
        parameters: dict[str, Any] = dict(parse_urlencoded(request.query_string))
        parameters |= _read_body()
    except ParameterError as error:
        raise ValidationFailed({error.name or "name": [f"{error}."]}) from error
    refuse_unstorable(parameters)
    g.php_parameters = parameters
    return parameters


def _read_body() -> dict[str, Any]:
    content_type = request.headers.get("Content-Type", "")
    if kind_of(content_type, b"") == PARTS:
        # Reading the form also refuses one that is too large, or has too many parts.
        fields = request.form.items(multi=True)
        return dict(parse_pairs((name.encode(), value.encode()) for name, value in fields))
    raw = read_body()
    if not raw:
        return {}
    kind = kind_of(content_type, raw)
    if kind == FORM:
        return dict(parse_urlencoded(raw))
    if kind == JSON:
        return parse_json_object(json_text(raw))
    raise UnsupportedMediaType(f"Send parameters as {FORM}, {PARTS} or {JSON}.")
