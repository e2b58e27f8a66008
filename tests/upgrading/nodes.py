"""Several nodes of one installation, which share a database, its keys and Redis."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import fresh_server_database, need_redis
from tests.local_servers import free_port
from tests.processes.servers import Server, serving

# Longer than a proxy keeps an idle connection (balancer.py).
SHUTDOWN_DELAY = 2


def installation(kind: str, worker_id: str, name: str) -> dict[str, str]:
    """Settings that all nodes of a new installation share; of `sqlite` each has its own file."""
    database = {}
    if kind != "sqlite":
        database["DATABASE_URL"] = fresh_server_database(kind, database_name(worker_id, name))
    return database | {
        "REDIS_URL": need_redis(),
        "SECRET_KEY": "s" * 32,
        "ENCRYPTION_KEY": base64.b64encode(b"e" * 32).decode(),
        "RATE_LIMITS": "off",
        "TRUSTED_PROXIES": "1",
        "SHUTDOWN_DELAY": str(SHUTDOWN_DELAY),
    }


def database_name(worker_id: str, name: str) -> str:
    """What fresh_server_database() was told for an installation."""
    return f"cms_{name}_{worker_id}"


class Node:
    """A node that is stopped and started again, on the same port and with the same data."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        self.port = free_port()
        self._settings = settings | {"PORT": str(self.port)}
        self._starts = 0

    @contextmanager
    def running(self, **settings: str) -> Iterator[Server]:
        """The node, from when it is ready until the block ends."""
        self._starts += 1
        folder = self._folder / str(self._starts)
        data = str(self._folder / "data")
        with serving(folder, CMS_DATA_DIR=data, **(self._settings | settings)) as server:
            yield server
