"""The command `cms-services doctor`, on installations that are whole and broken."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask

from cms_services.doctor.checks import CHECKS
from tests.doctor.telling import told
from tests.local_servers import listening
from tests.processes.servers import serving
from tests.schema_versions import schema_said_to_be


def test_reached_database_with_its_schema_is_well(
    app: object, database_url: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    assert not [each for each in found.findings if each["level"] == "failure"]
    assert found.code == 0
    assert told("--strict", CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url).code == 1


def test_bad_settings_are_told_beside_everything_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    key = tmp_path / "secret.key"
    key.write_text("x\n")
    key.chmod(0o644)
    found = told(
        CMS_DATA_DIR=str(tmp_path),
        WEB_THREADS="many",
        WEB_CONCURRENCY="none",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        REDIS_URL="redis://127.0.0.1:1",
    )
    assert found.code == 2
    assert len(found.of("settings", "failure")) == 2
    assert len(found.of("data folder", "failure")) == 2
    assert len(found.of("database", "failure")) == 1
    assert len(found.of("redis", "failure")) == 1
    assert all(each["mend"] for each in found.findings if each["level"] != "ok")


def test_looking_makes_no_database(tmp_path: Path) -> None:
    found = told(CMS_DATA_DIR=str(tmp_path))
    assert found.code == 2
    assert found.of("database", "failure")
    assert not list(tmp_path.iterdir())


def test_bad_setting_leads_to_no_look_at_its_default() -> None:
    found = told(
        CMS_DATA_DIR="~nobody-of-this-name/data", REDIS_URL="redis://:hidden@127.0.0.1:none"
    )
    assert found.code == 2
    unseen = {each["check"] for each in found.findings if each["seen"] == "was not looked at"}
    assert unseen == {*("data folder", "disk", "database", "keys", "redis", "worker", "backups")}
    assert "hidden" not in str(found.findings)


@pytest.mark.parametrize(
    ("revision", "oldest", "level"),
    [
        ("0001", "0001", "failure"),
        ("9999", "0011", "warning"),
        ("9999", "9998", "failure"),
        ("restoring", "0011", "failure"),
    ],
)
def test_schema_of_another_version_is_told(
    app: Flask, database_url: str, tmp_path: Path, revision: str, oldest: str, level: str
) -> None:
    tmp_path.chmod(0o700)
    with app.app_context(), schema_said_to_be(revision, oldest):
        found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    words = ("the schema", "a restore")
    (seen,) = [each for each in found.of("database") if each.startswith(words)]
    assert seen in found.of("database", level)


def test_password_of_the_database_is_never_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for url in ("postgresql://me:hidden@127.0.0.1:1/none", "mysql://me:hidden@127.0.0.1:1/none"):
        found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url)
        (seen,) = found.of("database", "failure")
        assert "127.0.0.1:1" in seen
        assert "hidden" not in str(found.findings)


def test_every_check_has_a_line_in_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
    assert [name for name in ("settings", *CHECKS) if f"| {name} |" not in page] == []


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What is seen at a server that believes forged headers, and at one that doesn't."""
    seen: dict[str, set[str]] = {}
    for proxies in ("0", "1"):
        folder = tmp_path_factory.mktemp("node")
        settings = {"TRUSTED_PROXIES": proxies, "PASSWORD_HASH_MEMORY_MB": "12"}
        with serving(folder, **settings) as server:
            server.wait_for_worker()
            url = f"http://127.0.0.1:{server.port}"
            data = str(folder / "data")
            looked = told("--url", url, CMS_DATA_DIR=data, TRUSTED_PROXIES=proxies)
        seen[proxies] = {
            f"{each['level']}: {each['seen']}"
            for each in looked.findings
            if each["check"] in ("address", "worker") or each["level"] == "failure"
        }
    return seen


def test_a_forged_address_that_is_believed_is_found(found: dict[str, set[str]]) -> None:
    forged = "a forged X-Forwarded-For is believed: limits can be evaded"
    assert f"failure: {forged}" in found["1"]
    assert "ok: forged X-Forwarded-For is not believed" in found["0"]


def test_nothing_fails_at_one_that_was_only_started(found: dict[str, set[str]]) -> None:
    assert [each for each in found["0"] if each.startswith("failure")] == []


def test_what_else_is_open_is_told(found: dict[str, set[str]]) -> None:
    for seen in found.values():
        assert "ok: the application answers services.php there" in seen
        assert "warning: it is not encrypted" in seen
        assert "warning: anybody can read /metrics there" in seen
        assert "ok: a too long request line is refused in our form" in seen
        assert "ok: a too long body is refused in our form" in seen


def test_somebody_else_and_nobody_are_told(tmp_path: Path) -> None:
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    with listening(stranger) as url:
        found = told("--url", url, CMS_DATA_DIR=str(tmp_path))
    [seen] = found.of("address", "failure")
    assert seen.startswith("somebody else answers services.php there")
    found = told("--url", "https://127.0.0.1:1", CMS_DATA_DIR=str(tmp_path))
    [seen] = found.of("address", "failure")
    assert seen == "does not answer (ConnectionRefusedError)"
