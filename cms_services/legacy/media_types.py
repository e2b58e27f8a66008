"""What kind of body a request to services.php has, for all who read it: here, in PHP, on a tape."""

import re

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data"
JSON = "application/json"
# What old XMLHttpRequest code sends JSON as.
_ALSO_JSON = ("text/plain", "")
# As PHP reads a content type.
_TYPE = re.compile(r"[^;, ]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def media_type_of(content_type: str) -> str:
    """The type in a Content-Type header, without parameters; empty where it says none."""
    match = _TYPE.match(content_type)
    return match[0].lower() if match else ""


def kind_of(content_type: str, body: bytes) -> str | None:
    """FORM, PARTS or JSON; None for what services.php does not take.

    A body that begins with a brace is JSON under a form's type too. Libraries send it so that are
    given a text of JSON and not told its type; in a form each of them would escape the brace.
    """
    media_type = media_type_of(content_type)
    if media_type == FORM and json_text(body).lstrip()[:1] == b"{":
        return JSON
    if media_type in (FORM, PARTS, JSON):
        return media_type
    return JSON if media_type in _ALSO_JSON else None


def json_text(body: bytes) -> bytes:
    """A body of JSON without the byte order mark that old editors leave."""
    return body.removeprefix(_BYTE_ORDER_MARK)
