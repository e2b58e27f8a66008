"""A clock that is set while we run: in one process on all databases, and under real processes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.mail.models import Letter
from cms_services.worker.running import run_due_jobs
from tests.databases import need_server
from tests.faults.rig import settings_of, under_load
from tests.people import PASSWORD, Person
from tests.processes.servers import COMMAND, Server, eventually, serving

HOUR = timedelta(hours=1)


def letters(app: Flask) -> int:
    with app.app_context():
        return db.session.query(Letter).count()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_set_forward_and_back(app: Flask, admin: Person) -> None:
    """An hour forward and an hour back lock nobody out, write nothing twice and stop no work.

    Answers that are kept for an Idempotency-Key stay, and letters are sent. Only who signed in by
    the clock that was ahead has to sign in again.
    """
    start = now()
    client = app.test_client(use_cookies=False)

    def sign_in() -> str:
        answer = client.post("/api/auth/login", json={"email": admin.email, "password": PASSWORD})
        return str(answer.get_json()["data"]["accessToken"])

    def create(token: str, key: str) -> str:
        headers = bearer(token) | {"Idempotency-Key": key}
        answer = client.post("/api/services", json={"name": key, "type": "api"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["data"]["id"])

    def send(token: str, to: str) -> None:
        asked = {"email": admin.email}
        client.post("/api/auth/password/forgot", json=asked, headers=bearer(token))
        assert letters(app) > 0, to
        with app.app_context():
            run_due_jobs()
        assert letters(app) == 0, to

    with fixed_at(start):
        before = sign_in()
        first = create(before, "first")
    with fixed_at(start + HOUR):
        ahead = sign_in()
        assert create(before, "first") == first
        second = create(ahead, "second")
        send(ahead, "forward")
    with fixed_at(start + timedelta(seconds=10)):
        # Not valid yet, by its own word.
        assert client.get("/api/auth/me", headers=bearer(ahead)).status_code == 401
        assert (create(before, "first"), create(sign_in(), "second")) == (first, second)
        create(before, "third")
        send(before, "back")


# libfaketime 0.9.10 knows no sleep until a moment of the monotonic clock, which Python's is.
_SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class Clock:
    """The clock of processes that are started by its command: libfaketime reads it from a file."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            need_server("libfaketime is not installed")
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_SLEEP)
        self._file = folder / "offset"
        self.set(timedelta(0))
        self.command = (
            "env",
            f"LD_PRELOAD={found[0]}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            # It is to be read each time, and nobody sets the monotonic clock or the files' times.
            *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"),
            f"PYTHONPATH={folder}",
            *COMMAND,
        )

    def set(self, ahead: timedelta) -> None:
        made = self._file.with_suffix(".new")
        made.write_text(f"{ahead.total_seconds():+.0f}\n")
        made.replace(self._file)


def test_set_under_processes_that_write(tmp_path: Path) -> None:
    """Web processes and the worker go on when the clock is set forward and back: nothing fails."""
    clock = Clock(tmp_path / "clock")
    settings = settings_of(tmp_path, REGISTRATION="invite")

    def invites(server: Server, token: str, email: str) -> None:
        body = {"email": email, "role": "user"}
        assert server.post("/api/invitations", body, token).status == 201
        eventually(lambda: f"To: {email}" in server.stderr, "the letter is sent")

    with serving(tmp_path / "server", command=clock.command, **settings) as server:
        server.wait_for_worker()
        first, worker = server.web_processes(), server.workers()
        with under_load(server, settings, "clock", clients=2) as rig:
            for name, ahead in (("ahead", HOUR), ("back", timedelta(0)), ("behind", -HOUR / 60)):
                clock.set(ahead)
                made = {"name": name, "type": "api"}
                created = server.post("/api/services", made, rig.writers.token).data["createdAt"]
                off = datetime.fromisoformat(created) - datetime.now(UTC) - ahead
                assert abs(off) < timedelta(minutes=1) / 2
                rig.writers.wait_for_more(4)
                invites(server, rig.writers.token, f"{name}@example.com")
            clock.set(timedelta(0))
            rig.ended()
            assert (server.web_processes(), server.workers()) == (first, worker)
        assert rig.writers.unknown == []
        assert rig.alive.failures == 0
