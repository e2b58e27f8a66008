"""A node with servers of its own, under load, that a fault is to happen to."""

import base64
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.claims import ANSWER_SECONDS, Outage, afterwards, outage
from tests.faults.engines import Engine
from tests.faults.writers import Alive, Follower, Writers, asking_whether_alive, following, writing
from tests.processes.servers import Server

# How long what can last longer lasts; by hand more (docs/faults.md).
OUTAGE_SECONDS = float(os.environ.get("FAULT_SECONDS", "3"))


def settings_of(folder: Path, database: Engine | None = None, **more: str) -> dict[str, str]:
    """The settings of a node with its data in a folder; without a database it is SQLite's."""
    own = {
        "CMS_DATA_DIR": str(folder / "data"),
        "SECRET_KEY": "s" * 32,
        "ENCRYPTION_KEY": base64.b64encode(b"e" * 32).decode(),
        "RATE_LIMITS": "off",
        "PASSWORD_HASH_MEMORY_MB": "12",
        "WEB_CONCURRENCY": "2",
    }
    if database is not None:
        own["DATABASE_URL"] = database.url
    return own | more


@dataclass(frozen=True)
class Rig:
    """What a test has while its load runs."""

    server: Server
    writers: Writers
    follower: Follower
    alive: Alive

    def ended(
        self, *, answered_within: float = ANSWER_SECONDS, breaks_connections: bool = False
    ) -> Outage:
        """The fault's cause has just ended: wait until the service is back, and judge."""
        moment = time.monotonic()
        found = outage(self.writers, moment, answered_within, breaks_connections=breaks_connections)
        self.writers.wait_for_more()
        return found


@contextmanager
def under_load(
    server: Server, settings: dict[str, str], label: str, clients: int = 4
) -> Iterator[Rig]:
    """A server under load while the block runs; after it holds what no fault must change."""
    token = server.token()
    with following(server, token) as follower:
        with (
            asking_whether_alive(server) as alive,
            writing(server, token, label, clients) as writers,
        ):
            writers.wait_for_more()
            yield Rig(server, writers, follower, alive)
        print(f"{label}: {len(writers.acknowledged)} acknowledged, /healthz {alive.slowest:.2f} s")
        afterwards(writers, follower, settings)
