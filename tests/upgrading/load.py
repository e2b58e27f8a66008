"""Clients that read and write all the time by both doors, and notice each answer that fails."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.processes.servers import Server, eventually

_CLIENTS = 4
_PAUSE_SECONDS = 0.04


class Load:
    """Threads that call one port each on a kept connection. What they send can't be sent twice."""

    def __init__(self, ports: list[int], token: str) -> None:
        self._token = token
        self._stop = threading.Event()
        self.created: list[str] = []
        self.failures: list[str] = []
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self._threads = [
            threading.Thread(target=self._call_on, args=(ports[n % len(ports)], n))
            for n in range(_CLIENTS)
        ]

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

    def _call_on(self, port: int, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        number = 0
        while not self._stop.wait(_PAUSE_SECONDS):
            number += 1
            by_php = number % 2 == 0
            fields = {"name": f"load-{client}-{number}", "type": "api", "project": f"of-{client}"}
            path = "/services.php?createService=1" if by_php else "/api/services"
            made = self._call(connection, "POST", path, fields)
            if made is None:
                continue
            self.created.append(made["name"])
            one = f"/api/services/{made['id']}"
            self._call(connection, "PATCH", one, {"description": "changed"})
            self._call(connection, "GET", one)
            self._call(connection, "GET", f"/services.php?getService=1&serviceId={made['id']}")
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
def load_on(ports: list[int], token: str) -> Iterator[Load]:
    """Clients that call while the block runs, spread over some ports."""
    load = Load(ports, token)
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
