"""Sending files: in pieces, resumable, and with a checksum."""

import base64
import hashlib
import io
from typing import Any
from urllib.parse import quote

from flask import Response, request
from werkzeug.utils import send_file

from cms_services.downloads.bundles import Download
from cms_services.downloads.names import file_name
from cms_services.errors import VersionConflict
from cms_services.wording import worded


def send_download(download: Download, resumable: bool = True) -> Response:
    """The file, or the part of it that a Range asks for, or 304 where the reader has it.

    Named by RFC 6266, with the digests of RFC 9530: of the file, and of what is sent of it. A file
    that can be had once is not `resumable`: it is sent whole, whatever is asked for.
    """
    content = download.content
    if "If-Match" in request.headers and not request.if_match.contains(download.sha256):
        raise VersionConflict(
            worded("The file is another one by now."), {"current": download.sha256}
        )
    response = send_file(
        io.BytesIO(content),
        _conditions(download.sha256),
        mimetype=download.media_type,
        as_attachment=True,
        download_name=download.file_name,
        etag=download.sha256,
        conditional=resumable,
        response_class=Response,
    )
    assert isinstance(response, Response)  # noqa: S101 - it is of the class that was asked for
    _name(response, download.file_name)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Repr-Digest"] = _digest(content)
    if response.status_code == 200:
        response.headers["Content-Digest"] = _digest(content)
    elif response.status_code == 206:
        part = response.content_range
        response.headers["Content-Digest"] = _digest(content[part.start : part.stop])
    return response


def _conditions(tag: str) -> dict[str, Any]:
    """The request's environment with a Range only where it counts.

    One of another unit, several ranges, and what is none are ignored, and what the reader has
    already is not sent in part (RFC 9110, sections 13.2.2 and 14.2).
    """
    environ = dict(request.environ)
    asked = request.range
    counts = asked is not None and asked.units == "bytes" and len(asked.ranges) == 1
    if not counts or request.if_none_match.contains(tag):
        environ.pop("HTTP_RANGE", None)
    return environ


def _name(response: Response, name: str) -> None:
    stem, _, ending = name.rpartition(".")
    plain = f"{file_name(stem)}.{ending}"
    full = "" if name == plain else f"; filename*=UTF-8''{quote(name, safe='')}"
    # The plain name has nothing that would need an escape within quotes.
    response.headers["Content-Disposition"] = f'attachment; filename="{plain}"{full}'


def _digest(content: bytes) -> str:
    """As a dictionary of structured fields (RFC 9530, section 2)."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha-256=:{digest}:"
