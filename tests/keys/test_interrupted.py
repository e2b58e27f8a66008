"""Rotations as operators run them: beside a server that is written to, killed, and two at once."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from flask import Flask
from sqlalchemy import Text, func, select

from cms_services.configuration.models import ConfigurationVersion
from cms_services.configuration.secrets import secret_context
from cms_services.encryption import Vault
from cms_services.extensions import db
from tests.conftest import MakeApp
from tests.keys.stored import keys_in_use, new_service, secrets_of, vault_of
from tests.people import Person
from tests.processes.servers import COMMAND, Server, environment, eventually, serving, start

_VERSIONS = 2000


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Flask:
    return make_app(CMS_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture
def history(app: Flask, alice: Person) -> str:
    """A service whose configuration has so many versions that rotating takes a while."""
    service = new_service(alice, KEY="version-1")
    context = secret_context(service, "environment.KEY")
    with app.app_context():
        db.session.add_all(
            ConfigurationVersion(
                service_id=service,
                number=number,
                document={
                    "environment": {
                        "KEY": {
                            "secret": True,
                            "sealed": vault_of(app).seal(f"version-{number}", context),
                        }
                    }
                },
            )
            for number in range(2, _VERSIONS + 1)
        )
        db.session.commit()
    return service


class Installation:
    """Commands on the installation that the tests' application belongs to."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.settings = {
            "CMS_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": database_url,
            "RATE_LIMITS": "off",
            "LOG_LEVEL": "warning",
        }

    def rotate(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "keys", "rotate"],
            env=environment(self.folder, **self.settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def rotating(self, name: str) -> Iterator[Server]:
        with start(self.folder / name, "keys", "rotate", **self.settings) as command:
            yield command

    def serving(self) -> ExitStack:
        stack = ExitStack()
        self.server = stack.enter_context(
            serving(self.folder / "server", WEB_CONCURRENCY="2", **self.settings)
        )
        return stack


@pytest.fixture
def installation(app: Flask, tmp_path: Path, database_url: str) -> Installation:
    return Installation(tmp_path, database_url)


class Writer(Thread):
    """Somebody who changes a secret again and again, and knows the last answer."""

    def __init__(self, server: Server, token: str, service: str) -> None:
        super().__init__()
        self._server, self._token, self.service = server, token, service
        self._ended = Event()
        self.written: list[str] = []
        self.failure: BaseException | None = None
        self.start()

    def has_written(self, count: int) -> bool:
        assert self.failure is None, self.failure
        return len(self.written) >= count

    def end(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        try:
            for number in range(100_000):
                if self._ended.wait(0.05):
                    return
                value = f"{self.service}-{number}"
                patch = {"environment": {"KEY": value, "KEPT": "encrypted"}}
                path = f"/api/services/{self.service}/config"
                assert self._server.post(path, patch, self._token).data
                self.written.append(value)
        except BaseException as error:
            self.failure = error


def resealed(app: Flask, service: str, key_id: str) -> int:
    """How many versions of the history are under a key."""
    document = ConfigurationVersion.document
    query = select(func.count()).where(
        ConfigurationVersion.service_id == service,
        db.cast(document, Text).like(f"%v1:{key_id}:%"),
    )
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def assert_history_is_whole(app: Flask, service: str) -> None:
    vault: Vault = vault_of(app)
    with app.app_context():
        query = select(ConfigurationVersion.number, ConfigurationVersion.document).where(
            ConfigurationVersion.service_id == service
        )
        found = {
            number: vault.open(
                document["environment"]["KEY"]["sealed"], secret_context(service, "environment.KEY")
            )
            for number, document in db.session.execute(query)
        }
    assert found == {number: f"version-{number}" for number in range(1, _VERSIONS + 1)}


def test_killed_in_the_middle_beside_a_server_it_loses_nothing_and_goes_on(
    app: Flask, alice: Person, history: str, installation: Installation
) -> None:
    services = [new_service(alice, KEY="first", KEPT=f"kept-{n}") for n in range(3)]
    old = vault_of(app).key_id
    with installation.serving():
        writers = [Writer(installation.server, alice.token, each) for each in services]
        try:
            eventually(lambda: all(each.has_written(3) for each in writers), "they write")
            with installation.rotating("killed") as command:
                eventually(
                    lambda: (
                        vault_of(app).key_id != old
                        and resealed(app, history, vault_of(app).key_id) > 0
                    ),
                    "something is under a new key",
                )
                command.signal_group(signal.SIGKILL)
                assert command.process.wait() == -signal.SIGKILL
            new = vault_of(app).key_id
            assert 0 < resealed(app, history, new) < _VERSIONS
            assert_history_is_whole(app, history)

            again = installation.rotate()
            assert (again.returncode, again.stderr) == (0, "")
            assert "Another rotation had begun" in again.stdout
            assert vault_of(app).key_id == new
            wrote = [len(each.written) for each in writers]
            eventually(
                lambda: all(
                    each.has_written(n + 3) for each, n in zip(writers, wrote, strict=True)
                ),
                "they still write",
            )
        finally:
            for writer in writers:
                writer.end()
    assert installation.rotate().returncode == 0
    assert keys_in_use(app) == {vault_of(app).key_id}
    assert_history_is_whole(app, history)
    for number, writer in enumerate(writers):
        assert writer.failure is None
        expected = {"KEY": writer.written[-1], "KEPT": f"kept-{number}"}
        assert secrets_of(app, writer.service) == expected
        for version, value in enumerate(["first", *writer.written], start=1):
            assert secrets_of(app, writer.service, version) == expected | {"KEY": value}
    assert "Traceback" not in (installation.folder / "server" / "stderr").read_text()


def test_two_processes_at_once_lose_nothing(
    app: Flask, history: str, installation: Installation
) -> None:
    with installation.rotating("one") as one, installation.rotating("two") as two:
        codes = Counter(each.process.wait(120) for each in (one, two))
        assert codes == {0: 2}, one.stderr + two.stderr
    assert_history_is_whole(app, history)
    assert installation.rotate().returncode == 0
    assert keys_in_use(app) == {vault_of(app).key_id}
    assert_history_is_whole(app, history)
