"""Clients that read and write all the time by both doors, and notice each answer that fails."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.processes.servers import Server, eventually

_CLIENTS = 4
_PAUSE_SECONDS = 0.04


class Load:
    """Threads that call by kept connections. What they send can't be sent twice.

    They ask before each request which ports there are, and each takes one of them.
    """

    def __init__(self, ports: Callable[[], Sequence[int]], token: str, name: str) -> None:
        self._ports = ports
        self._token = token
        self._name = name
        self._stop = threading.Event()
        self.created: list[str] = []
        self.failures: list[str] = []
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self._threads = [threading.Thread(target=self._call_as, args=(n,)) for n in range(_CLIENTS)]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(40)
            assert not thread.is_alive()

    def wait_for_more(self, number: int = 10) -> None:
        """Wait until so many more services were created."""
        before = len(self.created)
        eventually(lambda: len(self.created) >= before + number, "more services are created")

    def _call_as(self, client: int) -> None:
        kept: dict[int, http.client.HTTPConnection] = {}
        number = 0

        def call(method: str, path: str, body: Any = None) -> Any:
            ports = self._ports()
            port = ports[client % len(ports)]
            for gone in kept.keys() - ports:
                kept.pop(gone).close()
            if port not in kept:
                kept[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            return self._call(kept[port], method, path, body)

        while not self._stop.wait(_PAUSE_SECONDS):
            number += 1
            by_php = number % 2 == 0
            project = f"{self._name}-{client}"
            fields = {"name": f"{project}-{number}", "type": "api", "project": project}
            path = "/services.php?createService=1" if by_php else "/api/services"
            made = call("POST", path, fields)
            if made is None:
                continue
            self.created.append(made["name"])
            one = f"/api/services/{made['id']}"
            call("PATCH", one, {"description": "changed"})
            call("GET", one)
            call("GET", f"/services.php?getService=1&serviceId={made['id']}")
        for connection in kept.values():
            connection.close()

    def _call(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
    ) -> Any:
        sent = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        begin = time.monotonic()
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{method} {path}: {error!r}")
            connection.close()
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begin)
        self.answers[answer.headers.get("X-Served-By", "")] += 1
        if answer.status >= 300:
            self.failures.append(f"{method} {path}: {answer.status} {told[:300]!r}")
            return None
        return json.loads(told)["data"]


@contextmanager
def load_on(ports: Callable[[], Sequence[int]], token: str, name: str = "load") -> Iterator[Load]:
    """Clients that call while the block runs, spread over the ports that there are."""
    load = Load(ports, token, name)
    load.begin()
    try:
        yield load
    finally:
        load.end()


def names_of_all(server: Server, token: str) -> Counter[str]:
    """How often each name occurs among the services of the load."""
    names: Counter[str] = Counter()
    cursor = ""
    while cursor is not None:
        answer = server.get(f"/api/services?limit=500{cursor and f'&cursor={cursor}'}", token)
        names.update(each["name"] for each in answer.data)
        cursor = json.loads(answer.body)["meta"]["nextCursor"]
    return names
