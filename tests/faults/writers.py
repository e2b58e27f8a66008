"""Clients that write all the time, know what was acknowledged, and repeat what may have been."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.processes.servers import Server, eventually

_PAUSE_SECONDS = 0.02
_AFTER_A_FAILURE_SECONDS = 0.1
CREATED_EVENTS = "/api/events?limit=500&type=service.created"
# Longer than any answer takes, whatever fails.
_CLIENT_SECONDS = 40


@dataclass(frozen=True)
class Outcome:
    """What came of one write. Status 0: the connection broke. Times are monotonic seconds."""

    key: str
    begun: float
    seconds: float
    status: int
    told: bytes = b""
    retry_after: str | None = None
    # The answer was given before.
    replayed: bool = False

    @property
    def created_id(self) -> str:
        return str(json.loads(self.told)["data"]["id"])


class Writers:
    """Threads that create services, each with an Idempotency-Key that is its name."""

    def __init__(self, server: Server, token: str, label: str, clients: int) -> None:
        self.server = server
        self.token = token
        self.label = label
        self.acknowledged: dict[str, str] = {}
        self.unknown: list[Outcome] = []
        # What neither succeeded nor says that it may be repeated.
        self.refused: list[Outcome] = []
        self.slowest_success = 0.0
        self._last_success = 0.0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(clients)
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_CLIENT_SECONDS + 5)
            assert not thread.is_alive()

    def wait_for_more(self, number: int = 20) -> None:
        """Wait until so many more writes were acknowledged."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) >= before + number, "more is acknowledged")

    def wait_until_refused(self, number: int = 4, seconds: float = 30) -> None:
        """Wait until so many more writes failed."""
        before = len(self.unknown)
        eventually(lambda: len(self.unknown) >= before + number, "writes fail", seconds)

    def seconds_to_recover(self, since: float) -> float:
        """How long after a moment the first write that began after it was acknowledged."""
        eventually(lambda: self._last_success > since, "a write succeeds", 30)
        return time.monotonic() - since

    def repeat(self, key: str) -> Outcome:
        connection = self._connection()
        try:
            return self._send(connection, key)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            self.server.host, self.server.port, timeout=_CLIENT_SECONDS
        )

    def _write(self, client: int) -> None:
        connection = self._connection()
        number = 0
        while not self._stop.wait(_PAUSE_SECONDS):
            number += 1
            key = f"{self.label}-{client}-{number}"
            outcome = self._send(connection, key)
            if outcome.status == 201:
                self.acknowledged[key] = outcome.created_id
                self.slowest_success = max(self.slowest_success, outcome.seconds)
                self._last_success = max(self._last_success, outcome.begun)
                continue
            if outcome.status in (0, 503):
                self.unknown.append(outcome)
            else:
                self.refused.append(outcome)
            connection.close()
            self._stop.wait(_AFTER_A_FAILURE_SECONDS)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, key: str) -> Outcome:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        body = json.dumps({"name": key, "type": "api"})
        begun = time.monotonic()
        try:
            connection.request("POST", "/api/services", body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Outcome(key, begun, time.monotonic() - begun, 0, repr(error).encode())
        return Outcome(
            key,
            begun,
            time.monotonic() - begun,
            answer.status,
            told,
            answer.headers.get("Retry-After"),
            answer.headers.get("Idempotent-Replayed") == "true",
        )


@contextmanager
def writing(server: Server, token: str, label: str, clients: int = 4) -> Iterator[Writers]:
    """Clients that write while the block runs."""
    writers = Writers(server, token, label, clients)
    writers.begin()
    try:
        yield writers
    finally:
        writers.end()


class Follower:
    """Somebody who follows /api/events/stream, and comes back where it breaks off."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token
        self._stop = threading.Event()
        self._last_id: str | None = None
        self._coming_id: str | None = None
        self.created: set[str] = set()
        self._is_there = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._follow)

    def begin(self) -> None:
        """Begin, and wait until what happens from now on is told, whatever breaks off."""
        self._thread.start()
        assert self._is_there.wait(45), "the stream never began"

    def end(self) -> None:
        self._stop.set()
        if self._socket is not None:
            # It may be waiting for an event that never comes.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        while not self._stop.wait(0.2):
            with suppress(OSError, http.client.HTTPException, ValueError):
                self._read_stream()

    def _read_stream(self) -> None:
        connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=10)
        headers = {"Authorization": f"Bearer {self._token}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        try:
            connection.connect()
            self._socket = connection.sock
            if self._stop.is_set():
                return
            connection.request("GET", "/api/events/stream", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return
            while not self._stop.is_set():
                line = answer.readline().decode().rstrip("\n")
                if not line and answer.isclosed():
                    return
                self._take(line)
        finally:
            connection.close()

    def _take(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self._coming_id = value
        elif not line:
            # An event counts once it is whole: what broke off before is told again.
            # The first has no data, and says where we are.
            self._last_id = self._coming_id
            if self._last_id is not None:
                self._is_there.set()
        elif name == "event" and value == "reset":
            self._read_anew()
        elif name == "data":
            event: dict[str, Any] = json.loads(value)
            if event.get("type") == "service.created":
                self.created.add(event["subject"])

    def _read_anew(self) -> None:
        try:
            for each in listed(self._server, self._token, CREATED_EVENTS):
                self.created.add(each["subject"])
        except AssertionError as refused:
            # It is told to read anew again when it comes back with the id that it has still.
            raise http.client.HTTPException from refused


def listed(server: Server, token: str, path: str) -> Iterator[dict[str, Any]]:
    """Everything that a list of the API has, page by page."""
    page = path
    while page:
        answer = server.get(page, token)
        yield from answer.data
        cursor = json.loads(answer.body)["meta"]["nextCursor"]
        page = f"{path}&cursor={quote(cursor)}" if cursor else ""


@contextmanager
def following(server: Server, token: str) -> Iterator[Follower]:
    """Somebody who follows the events while the block runs."""
    follower = Follower(server, token)
    follower.begin()
    try:
        yield follower
    finally:
        follower.end()


class Alive:
    """Asks /healthz all the time, and knows how long that took at most."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.slowest = 0.0
        self.failures = 0
        self._thread = threading.Thread(target=self._ask)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(45)

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            begun = time.monotonic()
            try:
                self.failures += self._server.get("/healthz").status != 200
            except (OSError, http.client.HTTPException):
                self.failures += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)


@contextmanager
def asking_whether_alive(server: Server) -> Iterator[Alive]:
    alive = Alive(server)
    alive.begin()
    try:
        yield alive
    finally:
        alive.end()
