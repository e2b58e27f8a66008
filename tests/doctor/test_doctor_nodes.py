"""`cms-services doctor --nodes`: whether so many nodes like this one can share a database."""

import base64
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cms_services.commands.doctor import doctor_command
from tests.databases import SERVERS
from tests.doctor.telling import told

SHARED = {
    "SECRET_KEY": "x" * 32,
    "ENCRYPTION_KEY": base64.b64encode(bytes(32)).decode(),
    "REDIS_URL": "redis://127.0.0.1:1",
}


@pytest.fixture(params=list(SERVERS))
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that a server has."""
    return SERVERS[request.param]


def test_as_many_fit_as_it_says_and_no_more(server_url: str, tmp_path: Path) -> None:
    settings = SHARED | {"DATABASE_URL": server_url, "CMS_DATA_DIR": str(tmp_path)}
    [one] = [each for each in told(**settings).of("database", "ok") if "such nodes fit" in each]
    found = re.fullmatch(r"this node can take 30 of (\d+) connections: (\d+) such nodes fit", one)
    assert found is not None
    granted, fitting = int(found[1]), int(found[2])
    assert told("--nodes", str(fitting), **settings).of("nodes") == [
        f"{fitting} nodes and {fitting} workers can take {30 * fitting} of {granted} connections"
    ]
    tight = told("--nodes", str(fitting + 1), **settings)
    wanted = 30 * (fitting + 1)
    [seen] = tight.of("nodes", "failure")
    assert f"can take {wanted} of {granted} connections" in seen
    assert tight.mend(seen).startswith(f"Raise max_connections by {wanted + 1 - granted} or more")


def test_processes_and_workers_of_their_own_are_counted(server_url: str, tmp_path: Path) -> None:
    settings = SHARED | {"DATABASE_URL": server_url, "CMS_DATA_DIR": str(tmp_path)}
    settings |= {"WEB_CONCURRENCY": "2", "WEB_THREADS": "3", "WORKER_BESIDE_WEB": "off"}
    [seen] = told("--nodes", "2", "--workers", "3", **settings).of("nodes")
    assert seen.startswith("2 nodes and 3 workers can take 70 of ")
    [seen] = told("--nodes", "2", **settings).of("nodes")
    assert seen.startswith("2 nodes and 1 workers can take 50 of ")


def test_a_node_that_is_too_large_alone_is_told(server_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": server_url, "CMS_DATA_DIR": str(tmp_path), "WEB_THREADS": "256"}
    found = told(**settings, WEB_CONCURRENCY="256")
    assert "max_connections" in found.mend("0 such nodes fit")


def test_what_nodes_can_t_share_is_told(tmp_path: Path) -> None:
    found = told("--nodes", "2", CMS_DATA_DIR=str(tmp_path))
    assert found.of("nodes", "failure") == [
        "SQLite is for one node alone",
        "SECRET_KEY is kept in the data folder, of which each has one",
        "ENCRYPTION_KEY is kept in the data folder, of which each has one",
    ]
    assert found.of("nodes", "warning") == ["without REDIS_URL each counts limits by itself"]
    assert told("--nodes", "1", CMS_DATA_DIR=str(tmp_path)).of("nodes") == []


def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    found = told("--nodes", "2", CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url, **SHARED)
    assert found.of("nodes", "failure") == ["what the database grants can't be asked"]


def test_workers_without_nodes_are_refused() -> None:
    result = CliRunner().invoke(doctor_command, ["--workers", "2"])
    assert result.exit_code == 2
    assert "--workers needs --nodes" in result.stderr
