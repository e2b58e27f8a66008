"""`kill -9` of our own processes, one kind at a time."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, LiteralString

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from psycopg import connect

from tests.faults.engines import Engine, engine
from tests.faults.rig import settings_of, under_load
from tests.processes.servers import Server, eventually, free_port, serving


@pytest.fixture(scope="module")
def database() -> Iterator[Engine]:
    with engine("postgresql") as own:
        yield own


def test_a_web_process(tmp_path: Path, database: Engine) -> None:
    """Of a web process only the requests that it was answering break off; another takes its place.

    And so it is where it is killed again and again.
    """
    settings = settings_of(tmp_path, database)
    with (
        serving(tmp_path / "server", **settings) as server,
        under_load(server, settings, "web") as rig,
    ):
        for _ in range(3):
            before = server.web_processes()
            os.kill(min(before), signal.SIGKILL)
            rig.ended(breaks_connections=True)
            eventually(lambda: len(server.web_processes()) == 2, "there are two again", 10)
        # A client has one request on its way.
        assert len(rig.writers.unknown) <= 3 * 4


def test_the_first_process(tmp_path: Path, database: Engine) -> None:
    """What a killed first process leaves ends, and a supervisor's restart serves on at its port.

    The supervisor does what systemd does by Restart=always and KillMode=control-group.
    """
    port = str(free_port())
    settings = settings_of(tmp_path, database, PORT=port)
    with ExitStack() as running:
        server = running.enter_context(serving(tmp_path / "first", **settings))
        with under_load(server, settings, "master") as rig:
            server.process.kill()
            server.process.wait(10)
            killed = time.monotonic()
            # As systemd does with what is left of a service.
            server.signal_group(signal.SIGTERM)
            # The background worker ends its jobs first.
            server.wait_until_all_are_gone(30)
            began = time.monotonic()
            print(f"all are gone after {began - killed:.1f} s")
            running.enter_context(serving(tmp_path / "second", **settings))
            print(f"started within {time.monotonic() - began:.1f} s")
            rig.ended(breaks_connections=True)


class MailServer:
    """Takes letters; answers whoever brings one only while `may_answer` is set."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.taken: list[str] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:
        self.taken += envelope.rcpt_tos
        while not self.may_answer.is_set():
            await asyncio.sleep(0.05)
        return "250 taken"


def test_a_worker_amid_a_letter(tmp_path: Path, database: Engine) -> None:
    """A letter whose sender is killed is sent again: at least once, by the next worker.

    What was sent before is not sent again, and requests are answered all the while.
    """
    mail = MailServer()
    controller = Controller(mail, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings = settings_of(
        tmp_path,
        database,
        REGISTRATION="invite",
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(controller.port),
        SMTP_SECURITY="none",
    )
    try:
        with (
            serving(tmp_path / "server", **settings) as server,
            under_load(server, settings, "worker", clients=2) as rig,
        ):
            mail.may_answer.set()
            _invite(server, rig.writers.token, "first@example.com")
            eventually(lambda: _letters(database) == 0, "the first is sent and forgotten")
            mail.may_answer.clear()
            _invite(server, rig.writers.token, "second@example.com")
            eventually(lambda: "second@example.com" in mail.taken, "the second is being sent")
            (killed,) = server.workers()
            os.kill(killed, signal.SIGKILL)
            rig.ended()
            mail.may_answer.set()
            eventually(lambda: server.workers() - {killed} != set(), "there is a worker again", 10)
            # The two minutes for which whoever takes a letter keeps it to itself.
            _execute(database, "UPDATE letters SET due_at = due_at - interval '2 minutes'")
            eventually(lambda: _letters(database) == 0, "the second is sent and forgotten")
        assert mail.taken == ["first@example.com", "second@example.com", "second@example.com"]
    finally:
        mail.may_answer.set()
        controller.stop()


def _invite(server: Server, token: str, email: str) -> None:
    answer = server.post("/api/invitations", {"email": email, "role": "user"}, token)
    assert answer.status == 201, answer.body


def _letters(database: Engine) -> int:
    with connect(database.url) as connection:
        (number,) = connection.execute("SELECT count(*) FROM letters").fetchone() or (0,)
        return int(number)


def _execute(database: Engine, statement: LiteralString) -> None:
    with connect(database.url) as connection:
        connection.execute(statement)
