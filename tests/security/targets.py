"""Real servers on this machine that an outbound request may reach, and names that lead there."""

import gzip
import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import unquote

ALLOWED, FORBIDDEN = "127.0.0.2", "127.0.0.1"
BOMB_BYTES = 64 * 1024 * 1024


@cache
def packed_bomb() -> bytes:
    """A few bytes that unpack to BOMB_BYTES."""
    return gzip.compress(bytes(BOMB_BYTES))


class _Answers(http.server.BaseHTTPRequestHandler):
    """Misbehaves as its path says."""

    server: "Target"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        name, _, argument = self.path.lstrip("/").partition("?")
        # A client that has seen enough closes the connection.
        with suppress(OSError):
            getattr(self, name)(argument)

    def ok(self, _: str) -> None:
        self._send(200, b"fine")

    def to(self, address: str) -> None:
        self._send(302, b"", Location=unquote(address), **{"Set-Cookie": "stolen=1"})

    def large(self, _: str) -> None:
        self._send(200, b"x" * 10_000_000)

    def pieces(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n")
        for piece in (b"one ", b"two ", b"three"):
            self.wfile.write(piece)
            time.sleep(0.05)

    def bomb(self, _: str) -> None:
        self._send(200, packed_bomb(), **{"Content-Encoding": "gzip"})

    def slow_body(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self._drip(b"x")

    def slow_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self._drip(b"X-Filler: 1\r\n")

    def many_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 1\r\n" * 100_000 + b"\r\n")

    def large_header(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1_000_000 + b"\r\n\r\n")

    def garbage(self, _: str) -> None:
        self.wfile.write(b"\x00\xff SSH-2.0\r\n" * 100)

    def silence(self, _: str) -> None:
        pass

    def _drip(self, piece: bytes) -> None:
        for _ in range(200):
            self.wfile.write(piece)
            time.sleep(0.05)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Target(http.server.ThreadingHTTPServer):
    """A server, and what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, port: int = 0) -> None:
        super().__init__((address, port), _Answers)
        self.asked: list[tuple[str, dict[str, str]]] = []

    def server_bind(self) -> None:
        # The web server's own would ask a name server who we are.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serving(target: Target) -> Iterator[Target]:
    threading.Thread(target=target.serve_forever, daemon=True).start()
    try:
        yield target
    finally:
        target.shutdown()
        target.server_close()


class Names:
    """A name server's stand-in: each look-up of a name gets its next answer, the last one again.

    Stands in the place of socket.getaddrinfo; spellings of addresses are read by the real one.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {"localhost": [["127.0.0.1"]]}
        self.looked_up: list[str] = []
        self.seconds = 0.0
        self._real = socket.getaddrinfo

    def __call__(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        with suppress(socket.gaierror):
            return self._read(host, port, family)
        name = str(host).lower().rstrip(".")
        self.looked_up.append(name)
        time.sleep(self.seconds)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [info for each in addresses for info in self._read(each, port, family)]

    def _read(self, spelled: Any, port: Any, family: int) -> list[Any]:
        numeric = socket.AI_NUMERICHOST
        return self._real(spelled, port, family, socket.SOCK_STREAM, flags=numeric)
