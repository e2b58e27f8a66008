"""Reading a services.php request: query, form and JSON become one set of parameters."""

from typing import Any, cast

from flask import g, request
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.errors import ValidationFailed
from cms_services.legacy.php_parameters import ParameterError, parse_pairs, parse_urlencoded
from cms_services.web.bodies import parse_json_object, read_body, refuse_unstorable

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
# What old XMLHttpRequest code sends JSON as.
_JSON = ("application/json", "text/plain", "")


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
    kind = request.mimetype
    if kind == _MULTIPART:
        # Reading the form also refuses one that is too large, or has too many parts.
        fields = request.form.items(multi=True)
        return dict(parse_pairs((name.encode(), value.encode()) for name, value in fields))
    raw = read_body()
    if not raw:
        return {}
    if kind == _FORM:
        return dict(parse_urlencoded(raw))
    if kind in _JSON:
        return parse_json_object(_without_byte_order_mark(raw))
    raise UnsupportedMediaType(f"Send parameters as {_FORM}, {_MULTIPART} or application/json.")


def _without_byte_order_mark(raw: bytes) -> bytes:
    return raw.removeprefix(b"\xef\xbb\xbf")
