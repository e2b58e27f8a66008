"""Which actions a request names, read more tolerantly than where we answer it ourselves.

What we would refuse may well be an action that PHP answers: a form in Latin-1, a name that is
nested too deeply, JSON under any type. And what PHP might take for an action of ours must be seen,
lest it is passed on. It only matters which names there are.
"""

import json
from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from cms_services.legacy.media_types import FORM, PARTS, json_text, media_type_of
from cms_services.legacy.php_parameters import (
    MAX_VARIABLES,
    ParameterError,
    parse_pairs,
    urlencoded_pairs,
)

# PHP's max_multipart_body_parts: variables, and the files that max_file_uploads lets pass.
_MOST_PARTS = MAX_VARIABLES + 20


def named_in(query: bytes, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters of a request that are set; what stands in the body wins over the query."""
    named = _of_pairs(urlencoded_pairs(query))
    if body:
        # PHP's isset: null counts as absent. A script that reads the query alone sees that still.
        named |= {name: value for name, value in _of_body(content_type, body) if value is not None}
    return named


def _of_body(content_type: str, body: bytes) -> Iterable[tuple[str, Any]]:
    media_type = media_type_of(content_type)
    if media_type == PARTS:
        return _of_parts(content_type, body).items()
    # Scripts read JSON from php://input, which asks for no type; PHP reads a form all the same.
    form = _of_pairs(urlencoded_pairs(body)) if media_type == FORM else {}
    return (form | _of_json(body)).items()


def _of_parts(content_type: str, body: bytes) -> dict[str, Any]:
    options = parse_options_header(content_type)[1]
    delimiter = b"\n--" + options.get("boundary", "").encode(errors="replace")
    pieces = body.split(delimiter, _MOST_PARTS)
    if len(pieces) > _MOST_PARTS:
        # 16 MiB hold so many that reading them all would take seconds.
        body = delimiter.join([*pieces[:-1], b"--"])
    # Silent, it reads nothing where the body is broken.
    parser = FormDataParser(max_form_memory_size=None, max_form_parts=None)
    _, form, files = parser.parse(BytesIO(body), PARTS, len(body), options)
    for _, file in files.items(multi=True):
        file.close()
    fields = form.items(multi=True)
    return _of_pairs((name.encode(), value.encode()) for name, value in fields)


def _of_json(body: bytes) -> dict[str, Any]:
    try:
        # Unlike orjson it reads numbers of any size, as PHP does.
        parsed = json.loads(json_text(body).decode(errors="replace"), parse_int=str, strict=False)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


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
