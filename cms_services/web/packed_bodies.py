"""Bodies that senders of logs and metrics pack: gzip, deflate, snappy or zstd."""

import zlib

import cramjam
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from cms_services.errors import MalformedBody
from cms_services.settings import current_settings
from cms_services.web.bodies import read_body

# As the module zlib wants it: a header of gzip or of zlib itself.
_EITHER_HEADER = 32 + zlib.MAX_WBITS
# Small, since what follows a member is copied at its end: a body may be very many empty ones.
_CHUNK = 4096


def read_packed_body(*, packed_by: str = "identity") -> bytes:
    """The body unpacked, as its Content-Encoding says or, without one, by `packed_by`.

    Raises MalformedBody, UnsupportedMediaType, or RequestEntityTooLarge where it unpacks to more
    than a batch may have, however few bytes it came in.
    """
    body = read_body()
    most = current_settings().ingest_body_limit * 1024 * 1024
    encoding = request.headers.get("Content-Encoding", "").strip().lower() or packed_by
    if encoding == "identity":
        return body
    if encoding in ("gzip", "deflate"):
        return _inflated(body, most)
    if encoding == "snappy":
        return _unsnapped(body, most)
    raise UnsupportedMediaType("Send the body as it is, or packed by gzip, deflate or snappy.")


def _inflated(body: bytes, most: int) -> bytes:
    """All members of the body: a gzip file may be several, one after another (RFC 1952, 2.2)."""
    unpacked = bytearray()
    place = 0
    while True:
        unpacker = zlib.decompressobj(_EITHER_HEADER)
        while not unpacker.eof:
            chunk = body[place : place + _CHUNK]
            if not chunk:
                raise MalformedBody("The packed body breaks off.")
            try:
                unpacked += unpacker.decompress(chunk, most + 1 - len(unpacked))
            except zlib.error as error:
                message = "The body is not packed as its Content-Encoding says."
                raise MalformedBody(message) from error
            if len(unpacked) > most:
                raise RequestEntityTooLarge
            place += len(chunk) - len(unpacker.unused_data)
        if place == len(body):
            return bytes(unpacked)


def _unsnapped(body: bytes, most: int) -> bytes:
    """A raw snappy block, which begins with the length that it unpacks to."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > most:
            raise RequestEntityTooLarge
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise MalformedBody("The body is not a snappy block.") from error
