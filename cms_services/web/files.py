"""Sending files: in pieces, resumable, and with a checksum."""

import base64
import hashlib
import io
from urllib.parse import quote

from flask import Response, send_file

from cms_services.downloads.bundles import Download
from cms_services.downloads.names import file_name


def send_download(download: Download, resumable: bool = True) -> Response:
    """The file, or the part of it that a Range asks for, or 304 where the reader has it.

    Named by RFC 6266, with the digests of RFC 9530: of the file, and of what is sent of it. A file
    that can be had once is not `resumable`: it is sent whole, whatever is asked for.
    """
    content = download.content
    response = send_file(
        io.BytesIO(content),
        mimetype=download.media_type,
        as_attachment=True,
        download_name=download.file_name,
        etag=download.sha256,
        conditional=resumable,
    )
    _name(response, download.file_name)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Repr-Digest"] = _digest(content)
    if response.status_code == 200:
        response.headers["Content-Digest"] = _digest(content)
    elif response.status_code == 206:
        part = response.content_range
        response.headers["Content-Digest"] = _digest(content[part.start : part.stop])
    return response


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
