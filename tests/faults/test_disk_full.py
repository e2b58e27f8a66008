"""A disk without room for what is to be written."""

import time
from pathlib import Path

from tests.faults.disks import fill, small_disk
from tests.faults.engines import engine
from tests.faults.rig import OUTAGE_SECONDS, settings_of, under_load
from tests.processes.servers import eventually, serving


def test_full_under_sqlite(tmp_path: Path) -> None:
    """On a full disk what is read is answered; what is to be written gets 503, and is not there.

    When there is room again it goes on by itself, the background worker too.
    """
    with small_disk(24) as disk:
        settings = settings_of(disk, REGISTRATION="invite")
        with serving(tmp_path / "server", **settings) as server:
            server.wait_for_worker()
            with under_load(server, settings, "full", clients=2) as rig:
                filler = fill(disk)
                rig.writers.wait_until_refused(20)
                assert server.get("/api/services?limit=1", rig.writers.token).status == 200
                assert server.get("/healthz").status == 200
                time.sleep(OUTAGE_SECONDS)
                filler.unlink()
                rig.ended()
                body = {"email": "someone@example.com", "role": "user"}
                assert server.post("/api/invitations", body, rig.writers.token).status == 201
                eventually(
                    lambda: "To: someone@example.com" in server.stderr, "the worker works", 20
                )


def test_full_under_postgresql(tmp_path: Path) -> None:
    """So it is where the disk that is full is that of the database's server.

    Not with MariaDB, which may abort there.
    """
    with small_disk(160) as disk, engine("postgresql", disk=disk) as database:
        settings = settings_of(tmp_path, database)
        with (
            serving(tmp_path / "server", **settings) as server,
            under_load(server, settings, "full", clients=4) as rig,
        ):
            filler = fill(disk)
            # Until what room there is within its files is used up, some are written.
            rig.writers.wait_until_refused(20)
            ends = time.monotonic() + OUTAGE_SECONDS
            while time.monotonic() < ends:
                assert server.get("/api/services?limit=1", rig.writers.token).status == 200
                assert server.get("/healthz").status == 200
                time.sleep(0.2)
            rig.writers.wait_until_refused()
            filler.unlink()
            rig.ended()
