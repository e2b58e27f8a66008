"""A database that is restarted, killed or frozen under load."""

import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.claims import SILENT_SECONDS
from tests.faults.engines import Engine, engine
from tests.faults.rig import OUTAGE_SECONDS, settings_of, under_load
from tests.processes.servers import Server, serving


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with engine(request.param) as own:
        yield own


@pytest.fixture(scope="module")
def settings(database: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return settings_of(tmp_path_factory.mktemp("node"), database)


@pytest.fixture(scope="module")
def server(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), **settings) as running:
        yield running


def test_restarted(server: Server, settings: dict[str, str], database: Engine) -> None:
    """A restart, which ends every connection, costs answers of 503 and nothing that was stored."""
    with under_load(server, settings, "restarted") as rig:
        database.stop(signal.SIGINT if database.name == "postgresql" else signal.SIGTERM)
        rig.writers.wait_until_refused()
        time.sleep(OUTAGE_SECONDS)
        database.start()
        rig.ended()


def test_killed(server: Server, settings: dict[str, str], database: Engine) -> None:
    """`kill -9` of a database in the middle of writes loses nothing that was acknowledged."""
    with under_load(server, settings, "killed") as rig:
        database.kill()
        rig.writers.wait_until_refused()
        database.start()
        rig.ended()


def test_frozen(server: Server, settings: dict[str, str], database: Engine) -> None:
    """A database that keeps its connections and says nothing holds no thread for long."""
    with under_load(server, settings, "frozen", clients=12) as rig:
        database.freeze()
        try:
            rig.writers.wait_until_refused(40)
            time.sleep(OUTAGE_SECONDS)
        finally:
            database.thaw()
        rig.ended(answered_within=SILENT_SECONDS)
        assert rig.alive.slowest <= SILENT_SECONDS
