"""Which actions a request names, read more tolerantly than where we answer it ourselves.

What we would refuse may well be an action that PHP answers: a form in Latin-1, a name that is
nested too deeply, JSON that is none. It only matters which names there are.
"""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any

import orjson
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from cms_services.legacy.php_parameters import (
    MAX_VARIABLES,
    ParameterError,
    parse_pairs,
    urlencoded_pairs,
)

_JSON = ("application/json", "text/plain", "")


def named_in(query: bytes, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters of a request that are set; what stands in the body wins over the query."""
    named = _of_pairs(urlencoded_pairs(query))
    if body:
        named |= _of_body(content_type, body)
    # PHP's isset: null counts as absent.
    return {name: value for name, value in named.items() if value is not None}


def _of_body(content_type: str, body: bytes) -> dict[str, Any]:
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    if kind == "application/x-www-form-urlencoded":
        return _of_pairs(urlencoded_pairs(body))
    if kind == "multipart/form-data":
        # Silent, it reads nothing where the body is broken.
        parser = FormDataParser(max_form_memory_size=None, max_form_parts=None)
        _, form, files = parser.parse(BytesIO(body), kind, len(body), options)
        for _, file in files.items(multi=True):
            file.close()
        fields = form.items(multi=True)
        return _of_pairs((name.encode(), value.encode()) for name, value in fields)
    if kind in _JSON:
        try:
            parsed = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            return {}
        return parsed if isinstance(parsed, dict) else {}
    return {}


def _of_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    # PHP leaves out what is beyond, and says so in its log alone.
    for name, value in islice(pairs, MAX_VARIABLES):
        try:
            named |= parse_pairs([(_utf8(name), _utf8(value))])
        except ParameterError:
            # PHP drops what is nested too deeply, too.
            continue
    return named


def _utf8(raw: bytes) -> bytes:
    return raw.decode(errors="replace").encode(errors="replace")
