"""A machine's clock that is set while we run."""

import time
from pathlib import Path

import pytest

from tests.databases import need_server
from tests.faults.rig import settings_of, under_load
from tests.processes.servers import Server, eventually, serving

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def test_set_forward_and_back(tmp_path: Path) -> None:
    """An hour forward and an hour back lock nobody out, and no work stops for good.

    Tokens go on to be good, writes to succeed, events and letters to be sent.
    """
    if not _LIBRARIES:
        need_server("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    settings = settings_of(tmp_path, REGISTRATION="invite")
    faked = {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with serving(tmp_path / "server", **settings, **faked) as server:
        server.wait_for_worker()
        for number, offset in enumerate(("+3600", "+0", "-3600", "+0")):
            with under_load(server, settings, f"clock{number}", clients=2) as rig:
                clock.write_text(offset)
                rig.ended()
                assert rig.writers.unknown == []
                address = f"person{number}@example.com"
                _invite(server, rig.writers.token, address)
                eventually(lambda to=address: f"To: {to}" in server.stderr, "it is sent", 20)


def _invite(server: Server, token: str, email: str) -> None:
    body = {"email": email, "role": "user"}
    answer = server.post("/api/invitations", body, token)
    assert answer.status == 201, answer.body
