"""A network between a node and its database that swallows packets."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.claims import SILENT_SECONDS
from tests.faults.engines import Engine, engine
from tests.faults.networks import Network, network
from tests.faults.rig import OUTAGE_SECONDS, settings_of, under_load
from tests.processes.servers import COMMAND, serving


@pytest.fixture
def away() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, away: Network) -> Iterator[Engine]:
    with engine(request.param, address=away.ours) as own:
        yield own


def test_one_node_is_cut_off(tmp_path: Path, away: Network, database: Engine) -> None:
    """A node that is cut off answers 503 soon, and what it held locks nobody else out.

    When packets get through again it serves on. The other node has its database all the time; it
    waits for the locks of the one that is gone until the server gives that one up.
    """
    settings = settings_of(tmp_path, database)
    there = settings | {"HOST": away.node, "CMS_DATA_DIR": str(tmp_path / "data-there")}
    with (
        serving(tmp_path / "here", **settings, WORKER_BESIDE_WEB="off") as near,
        serving(tmp_path / "there", command=(*away.command, *COMMAND), **there) as far,
        under_load(far, there, "far", clients=6) as cut,
        under_load(near, settings, "near", clients=2) as other,
    ):
        away.cut()
        began = time.monotonic()
        cut.writers.wait_until_refused(30)
        waited = other.writers.seconds_to_recover(began)
        print(f"the other node went on after {waited:.1f} s")
        assert waited <= 20
        time.sleep(OUTAGE_SECONDS)
        away.mend()
        cut.ended(answered_within=SILENT_SECONDS)
        other.ended(answered_within=SILENT_SECONDS)
