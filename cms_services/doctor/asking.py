"""One HTTP request of the doctor's, to an address that the operator gave."""

import base64
import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_TIMEOUT_SECONDS = 2.0
_MOST_BYTES = 1024 * 1024


class NoAnswer(Exception):
    """Nobody answers there. The message says why; `certificate` where that is the reason."""

    def __init__(self, why: str, certificate: bool = False) -> None:
        super().__init__(why)
        self.certificate = certificate


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def asked(
    url: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Answer:
    """What the server of a URL answers for a path with its query, in seconds. Raises NoAnswer.

    A name and password in the URL are shown as there are no other ones among the headers.
    """
    parts = urlsplit(url)
    sent = dict(headers or {})
    if parts.username is not None:
        shown = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        sent.setdefault("Authorization", f"Basic {base64.b64encode(shown).decode()}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        # It may answer that the body is too long before it has read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read(_MOST_BYTES))
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason
        raise NoAnswer(str(reason), certificate=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(type(error).__name__) from error
    finally:
        connection.close()
