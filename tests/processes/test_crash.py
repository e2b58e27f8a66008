"""`kill -9` of everything in the middle of writes loses nothing that was acknowledged."""

import http.client
import signal
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.processes.servers import Server, eventually, serving

_CLIENTS = 6
_ACKNOWLEDGED_BEFORE_THE_CRASH = 60


class Clients:
    """Threads that create services, each with an Idempotency-Key, until the server is gone."""

    def __init__(self, server: Server, token: str, crash: int) -> None:
        self._server = server
        self._token = token
        self.acknowledged: dict[str, str] = {}
        self.unanswered: set[str] = set()
        self._threads = [
            threading.Thread(target=self._create, args=(f"crash-{crash}-client-{n}",))
            for n in range(_CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def are_busy(self) -> bool:
        return len(self.acknowledged) >= _ACKNOWLEDGED_BEFORE_THE_CRASH

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _create(self, client: str) -> None:
        for number in range(100_000):
            key = f"{client}-{number}"
            try:
                self.acknowledged[key] = create(self._server, self._token, key)["id"]
            except (OSError, http.client.HTTPException):
                self.unanswered.add(key)
                return


def create(server: Server, token: str, key: str) -> dict[str, Any]:
    """Create the service whose name is the key, or find it created by the same request before."""
    fields = {"name": key, "type": "api"}
    created: dict[str, Any] = server.post("/api/services", fields, token, Idempotency_Key=key).data
    return created


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


class TestACrashInTheMiddleOfWrites:
    def test_what_was_acknowledged_is_there_and_retries_double_nothing(
        self, tmp_path: Path
    ) -> None:
        settings = {"RATE_LIMITS": "off", "WEB_CONCURRENCY": "2", "LOG_LEVEL": "warning"}
        acknowledged: dict[str, str] = {}
        unanswered: set[str] = set()
        for crash in range(2):
            with serving(tmp_path, **settings) as server:
                clients = Clients(server, server.token(), crash)
                eventually(clients.are_busy, "services are created")
                server.signal_group(signal.SIGKILL)
                server.wait_until_all_are_gone()
                clients.wait()
            assert len(clients.unanswered) == _CLIENTS
            acknowledged |= clients.acknowledged
            unanswered |= clients.unanswered

        with serving(tmp_path, **settings) as server:
            token = server.token()
            for key in sorted(unanswered):
                create(server, token, key)
            for key, service_id in list(acknowledged.items())[::10]:
                assert create(server, token, key)["id"] == service_id
            server.process.terminate()
            assert server.process.wait(timeout=20) == 0

        database = tmp_path / "data" / "cms-services.sqlite3"
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        services = dict(rows(database, "SELECT id, name FROM services"))
        names = Counter(services.values())
        assert set(names) == acknowledged.keys() | unanswered
        assert set(names.values()) == {1}
        assert {key: services.get(id_) for key, id_ in acknowledged.items()} == {
            key: key for key in acknowledged
        }
        for query in (
            "SELECT target_id FROM audit_entries WHERE target_type = 'service'",
            "SELECT subject FROM events WHERE type = 'service.created'",
            "SELECT service_id FROM service_config_versions",
        ):
            found = Counter(subject for (subject,) in rows(database, query))
            assert found == dict.fromkeys(services, 1), query


class LogSenders:
    """Threads that send batches of log entries, each with an id, until the server is gone."""

    def __init__(self, server: Server, token: str, path: str) -> None:
        self.acknowledged: set[str] = set()
        self.unanswered: dict[str, list[dict[str, str]]] = {}
        self._threads = [
            threading.Thread(target=self._send, args=(server, token, path, f"sender-{n}"))
            for n in range(2)
        ]
        for thread in self._threads:
            thread.start()

    def are_busy(self) -> bool:
        return len(self.acknowledged) >= 8

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _send(self, server: Server, token: str, path: str, sender: str) -> None:
        for number in range(100_000):
            batch = f"{sender}-{number}"
            entries = [{"level": "info", "message": f"{batch} {n}"} for n in range(300)]
            body = {"entries": entries, "batchId": batch}
            try:
                answer = server.post(path, body, token).data
            except (OSError, http.client.HTTPException):
                self.unanswered[batch] = entries
                return
            assert answer == {"accepted": 300, "rejected": []}
            self.acknowledged.add(batch)


class TestACrashWhileLogsArrive:
    def test_no_acknowledged_entry_is_lost_and_none_is_there_twice(self, tmp_path: Path) -> None:
        settings = {"RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
        with serving(tmp_path, **settings) as server:
            token = server.token()
            service = create(server, token, "service")["id"]
            path = f"/api/services/{service}/logs"
            senders = LogSenders(server, token, path)
            eventually(senders.are_busy, "batches are stored")
            server.signal_group(signal.SIGKILL)
            server.wait_until_all_are_gone()
            senders.wait()
        with serving(tmp_path, **settings) as server:
            token = server.token()
            for batch, entries in senders.unanswered.items():
                body = {"entries": entries, "batchId": batch}
                assert server.post(path, body, token).data["accepted"] == 300
            # Found by the words, which are stored in the same transaction.
            last = f"{min(senders.acknowledged)} 299"
            found = server.get(f"{path}?q=%22{quote(last)}%22", token).data
            assert [entry["message"] for entry in found] == [last]
            server.process.terminate()
            assert server.process.wait(timeout=20) == 0
        database = tmp_path / "data" / "cms-services.sqlite3"
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        stored = Counter(
            message.split()[0] for (message,) in rows(database, "SELECT message FROM log_entries")
        )
        assert stored == dict.fromkeys(senders.acknowledged | set(senders.unanswered), 300)
        assert rows(database, "SELECT SUM(entries) FROM log_volumes") == [(300 * len(stored),)]
