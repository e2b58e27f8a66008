"""Stand-ins for what takes our log lines: Loki, whose behaviour a test sets, and syslog servers."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It took too long."
        time.sleep(0.02)


class Loki:
    """Remembers what is pushed to it. It answers with a status, after so many seconds."""

    def __init__(self, port: int = 0) -> None:
        self.status, self.seconds = 204, 0.0
        self.asked = 0
        self.pushes: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        loki = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                loki.asked += 1
                time.sleep(loki.seconds)
                loki.headers = dict(self.headers)
                if loki.status < 300:
                    assert self.path == "/loki/api/v1/push"
                    loki.pushes.append(json.loads(body))
                self.send_response(loki.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def streams(self) -> list[dict[str, Any]]:
        return [stream for push in tuple(self.pushes) for stream in push["streams"]]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines in the order of their times, parsed."""
        values = [value for stream in self.streams for value in stream["values"]]
        return [json.loads(text) for _, text in sorted(values, key=lambda value: int(value[0]))]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def standing_in_for_loki(port: int = 0) -> Iterator[Loki]:
    loki = Loki(port)
    try:
        yield loki
    finally:
        loki.stop()


class SyslogServer:
    """Takes connections at a port, one after the other, and remembers what they send."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self._open: socket.socket | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._open is not None:
            self._open.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def has(self, text: str) -> bool:
        return text.encode() in self.received

    def messages(self) -> list[bytes]:
        """The messages by the lengths before them."""
        rest, found = self.received, []
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)])
            rest = rest[int(length) :]
        return found

    def _run(self) -> None:
        while True:
            try:
                self._open, _ = self._listener.accept()
            except OSError:
                return
            with self._open:
                while data := self._open.recv(65_536):
                    self.received += data
            self._open = None
