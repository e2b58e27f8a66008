"""Passing a request on to PHP as it came, and PHP's answer back as it comes.

Nothing is sent twice: a connection is opened for each request and closed after it, so that none can
turn out to be closed when a change has been written to it.
"""

import http.client
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cms_services.errors import NotReady, UpstreamError, UpstreamTimeout

PASSED_ON = "X-CMS-Passed-On"
_CONNECT_SECONDS = 2.0
_ONE_READ = 64 * 1024
# RFC 9110, section 7.6.1; and what each server writes by itself.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
        "trailer",
        "proxy-authenticate",
        "proxy-authorization",
    }
)
_OWN_IN_ANSWERS = frozenset({"date", "server"})
# We have received the body; its length is told anew.
_OWN_IN_REQUESTS = frozenset({"host", "expect", "content-length", PASSED_ON.lower()})


@dataclass(frozen=True)
class PassedOn:
    """PHP's answer: its head, and the body, which is read while it is passed back."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: "AnswerBody"


class AnswerBody:
    """The body as WSGI wants it; ends the connection with it."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse):
        self._connection, self._answer = connection, answer

    def __iter__(self) -> Iterator[bytes]:
        left = self._answer.length
        while left != 0 and (piece := self._answer.read1(_ONE_READ)):
            left = None if left is None else left - len(piece)
            yield piece
        if left:
            # What breaks off here breaks off for the client too: the head is sent already, and it
            # would take the next answer for the rest of this one.
            raise http.client.IncompleteRead(b"", left)

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def pass_on(
    address: tuple[str, int],
    environ: Mapping[str, Any],
    body: bytes,
    added: Mapping[str, str],
    timeout_seconds: float,
) -> PassedOn:
    """Send a WSGI request to PHP at (host, port) and return its answer.

    `added` headers are sent in the place of the request's own. Raises NotReady where nothing
    answers at the address, UpstreamTimeout, UpstreamError.
    """
    connection = http.client.HTTPConnection(*address, timeout=_CONNECT_SECONDS)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise NotReady("PHP, which answers this action, can't be reached; try again.") from error
    try:
        connection.sock.settimeout(timeout_seconds)
        _send(connection, environ, body, added)
        answer = connection.getresponse()
    except TimeoutError as error:
        connection.close()
        raise UpstreamTimeout("PHP, which answers this action, takes too long.") from error
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise UpstreamError("PHP, which answers this action, broke off.") from error
    return PassedOn(
        answer.status, answer.reason, _answer_headers(answer), AnswerBody(connection, answer)
    )


def _send(
    connection: http.client.HTTPConnection,
    environ: Mapping[str, Any],
    body: bytes,
    added: Mapping[str, str],
) -> None:
    target = environ["PATH_INFO"]
    if environ.get("QUERY_STRING"):
        # Bytes that no URL has, but PHP reads, are the same to it when they are escaped.
        target += "?" + quote(environ["QUERY_STRING"].encode("latin-1"), safe=_IN_URLS)
    connection.putrequest(
        environ["REQUEST_METHOD"], target, skip_host=True, skip_accept_encoding=True
    )
    for name, value in request_headers(environ, added):
        connection.putheader(name, value)
    if body or environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS"):
        connection.putheader("Content-Length", str(len(body)))
    try:
        connection.endheaders(body or None)
    except (BrokenPipeError, ConnectionResetError):
        # It may have answered before it read all, and closed: that a body is too long for it.
        connection.sock.shutdown(socket.SHUT_WR)


_IN_URLS = bytes(range(0x21, 0x7F)).decode()


def request_headers(environ: Mapping[str, Any], added: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers to send: those of the request but for the connection's own, and `added`."""
    listed = {each.strip().lower() for each in environ.get("HTTP_CONNECTION", "").split(",")}
    replaced = {name.lower() for name in added}
    left_out = _HOP_BY_HOP | _OWN_IN_REQUESTS | listed | replaced
    host = environ.get("werkzeug.proxy_fix.orig", {}).get("HTTP_HOST") or environ.get("HTTP_HOST")
    headers = [("Host", str(host or "localhost"))]
    if environ.get("CONTENT_TYPE"):
        headers.append(("Content-Type", environ["CONTENT_TYPE"]))
    for key, value in environ.items():
        name = key.removeprefix("HTTP_").replace("_", "-")
        if key.startswith("HTTP_") and name.lower() not in left_out:
            headers.append((name.title(), value))
    return [*headers, *added.items()]


def _answer_headers(answer: http.client.HTTPResponse) -> list[tuple[str, str]]:
    listed = {
        each.strip().lower()
        for value in answer.headers.get_all("Connection", [])
        for each in value.split(",")
    }
    left_out = _HOP_BY_HOP | _OWN_IN_ANSWERS | listed
    return [(name, value) for name, value in answer.getheaders() if name.lower() not in left_out]
