"""A disk without room for what is to be written."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import need_server
from tests.faults.rig import OUTAGE_SECONDS, settings_of, under_load
from tests.processes.servers import eventually, serving

_SIZE_MIB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        need_server("only root mounts disks")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={_SIZE_MIB}m"
    try:
        subprocess.run(("mount", "-t", "tmpfs", "-o", options, "cms", folder), check=True)
    except (OSError, subprocess.CalledProcessError):
        need_server("this system mounts no disks")
    try:
        yield folder
    finally:
        # Lazily, should something that was killed still be there.
        subprocess.run(("umount", "-l", folder), check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk, but for what goes when this file does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return filler


def test_full_under_sqlite(tmp_path: Path, small_disk: Path) -> None:
    """On a full disk what is read is answered; what is to be written gets 503, and is not there.

    When there is room again it goes on by itself, the background worker too.
    """
    settings = settings_of(small_disk, REGISTRATION="invite")
    with serving(tmp_path / "server", **settings) as server:
        server.wait_for_worker()
        with under_load(server, settings, "full", clients=2) as rig:
            filler = fill(small_disk)
            rig.writers.wait_until_refused(20)
            assert server.get("/api/services?limit=1", rig.writers.token).status == 200
            assert server.get("/healthz").status == 200
            time.sleep(OUTAGE_SECONDS)
            filler.unlink()
            rig.ended()
            body = {"email": "someone@example.com", "role": "user"}
            assert server.post("/api/invitations", body, rig.writers.token).status == 201
            eventually(lambda: "To: someone@example.com" in server.stderr, "the worker works", 20)
