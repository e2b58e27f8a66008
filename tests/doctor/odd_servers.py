"""Servers that are not as they should be: silent, too old, endless, with another clock."""

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.local_servers import listening


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections, and where nobody ever says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


@contextmanager
def endless_answer() -> Iterator[str]:
    """A web server that goes on sending the head of an answer, a little at a time."""
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
                while not ended.wait(0.2):
                    self.request.sendall(b"x")

    try:
        with listening(_Threading(("127.0.0.1", 0), Handler)) as url:
            yield url
    finally:
        ended.set()


@contextmanager
def server_that_says(change: Callable[[bytes], bytes], host: str, port: int) -> Iterator[int]:
    """A port that leads to a server, of whose answers something is changed, not their length."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port)) as server, suppress(OSError):
                back = threading.Thread(target=_pass_on, args=(self.request, server))
                back.start()
                while data := server.recv(65536):
                    self.request.sendall(change(data))
                self.request.shutdown(socket.SHUT_RDWR)
                back.join()

    with listening(_Threading(("127.0.0.1", 0), Handler)) as url:
        yield int(url.rpartition(":")[2])


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def an_older_version(data: bytes) -> bytes:
    """That a database's server is one of the years before."""
    data = re.sub(rb"PostgreSQL [0-9]{2}\.", b"PostgreSQL 14.", data)
    return re.sub(
        rb"[0-9]{2}\.([0-9]+)(\.[0-9]+-MariaDB)",
        lambda match: b"10." + b"6".rjust(len(match[1]), b"0") + match[2],
        data,
    )


def an_earlier_hour(data: bytes) -> bytes:
    """That it is an hour ago, wherever a time in seconds since 1970 is told."""
    seconds = rb"(?<![0-9])[1-4][0-9]{9}(?=\.[0-9]|\r\n)"
    return re.sub(seconds, lambda match: str(int(match[0]) - 3600).encode(), data)


@contextmanager
def web_server_of_the_year_2001() -> Iterator[str]:
    """A server that answers everything as the application would, whose clock is wrong."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"success": true, "data": []}'
            self.send_response_only(200)
            for name, value in (
                ("Date", "Mon, 01 Jan 2001 00:00:00 GMT"),
                ("X-Request-ID", "1"),
                ("Content-Length", str(len(body))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


class _Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
