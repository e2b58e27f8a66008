"""Sending log lines to Grafana Loki, or to a syslog server (RFC 5424)."""

import base64
import http.client
import logging
import os
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import SplitResult, unquote, urlsplit

import orjson

from cms_services.own_log.external import Line, NotSent, Refused, Sender

# Where Loki takes lines, and the port of syslog servers, unless the URL says otherwise.
PUSH_PATH = "/loki/api/v1/push"
SYSLOG_PORT = 514
_SECONDS = 5.0
_NAME = "cms-services"
# More than this no datagram has.
_LONGEST_DATAGRAM = 60_000
# Facility local0 (16), and the severities of RFC 5424.
_FACILITY = 16 * 8
_SEVERITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
_WORDS = {3: "error", 4: "warn", 6: "info", 7: "debug"}
# Refusals that pass, or that the operator can mend meanwhile.
_PASSING = frozenset({401, 403, 404, 408, 429})


def sender_for(url: str) -> Sender:
    """What sends to LOG_EXTERNAL_URL."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return LokiSender(parts)
    return SyslogSender(parts)


class LokiSender:
    """Pushes lines as JSON, in a stream for each level.

    https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
    """

    def __init__(self, url: SplitResult) -> None:
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port
        self._path = url.path if url.path not in ("", "/") else PUSH_PATH
        self._headers = {"Content-Type": "application/json", "User-Agent": _NAME}
        if url.username is not None:
            shown = f"{unquote(url.username)}:{unquote(url.password or '')}"
            told = base64.b64encode(shown.encode()).decode()
            self._headers["Authorization"] = f"Basic {told}"

    def send(self, lines: list[Line]) -> None:
        try:
            status, told = self._post(_push_of(lines))
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(str(error) or type(error).__name__) from error
        if status in _PASSING or status >= 500:
            raise NotSent(f"it answered {status}")
        if status >= 300:
            raise Refused(f"it answered {status}: {told}")

    def close(self) -> None:
        """Nothing stays open."""

    def _post(self, body: bytes) -> tuple[int, str]:
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        try:
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read(300).decode("utf-8", "replace")
        finally:
            connection.close()


class SyslogSender:
    """Sends lines by UDP, one a datagram, or by TCP with their lengths before them (RFC 6587)."""

    def __init__(self, url: SplitResult) -> None:
        self._tcp = url.scheme == "syslog+tcp"
        self._address = (url.hostname or "", url.port or SYSLOG_PORT)
        self._host = socket.gethostname().encode("ascii", "replace")[:255] or b"-"
        self._socket: socket.socket | None = None

    def send(self, lines: list[Line]) -> None:
        try:
            opened = self._opened()
            messages = [self._message(line) for line in lines]
            if self._tcp:
                opened.sendall(b"".join(b"%d %s" % (len(each), each) for each in messages))
            else:
                for each in messages:
                    opened.send(each[:_LONGEST_DATAGRAM])
        except OSError as error:
            self.close()
            raise NotSent(error.strerror or str(error)) from error

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        """The connection, made anew where the other end has closed it."""
        if self._socket is not None and self._tcp:
            with suppress(BlockingIOError):
                if self._socket.recv(1, socket.MSG_DONTWAIT) == b"":
                    self.close()
        if self._socket is None:
            if self._tcp:
                self._socket = socket.create_connection(self._address, timeout=_SECONDS)
            else:
                family, kind, _, _, address = socket.getaddrinfo(
                    *self._address, type=socket.SOCK_DGRAM
                )[0]
                self._socket = socket.socket(family, kind)
                self._socket.connect(address)
        return self._socket

    def _message(self, line: Line) -> bytes:
        at = datetime.fromtimestamp(line.nanoseconds / 1e9, tz=UTC).isoformat()
        head = f"<{_FACILITY + _severity(line.level)}>1 {at}".encode()
        text = line.text.encode("utf-8", "backslashreplace")
        return b"%s %s %s %d - - %s" % (head, self._host, _NAME.encode(), os.getpid(), text)


def _severity(level: int) -> int:
    return next((severity for least, severity in _SEVERITIES if level >= least), 7)


def _push_of(lines: list[Line]) -> bytes:
    streams: dict[str, list[list[str]]] = {}
    for line in lines:
        value = [str(line.nanoseconds), line.text]
        streams.setdefault(_WORDS[_severity(line.level)], []).append(value)
    labels = {"service_name": _NAME, "job": _NAME, "host": socket.gethostname()}
    return orjson.dumps(
        {
            "streams": [
                {"stream": labels | {"level": level, "process": str(os.getpid())}, "values": values}
                for level, values in streams.items()
            ]
        }
    )
