"""The command `cms-services doctor`, on installations that are whole and broken."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from cms_services.commands.doctor import doctor_command
from cms_services.doctor.checks import CHECKS
from tests.local_servers import listening
from tests.processes.servers import serving
from tests.schema_versions import schema_said_to_be


def _told(*arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(doctor_command, ["--json", *arguments], env=environment)
    return result.exit_code, json.loads(result.stdout)


def _failures(findings: list[dict[str, Any]], check: str) -> list[str]:
    return [
        each["seen"] for each in findings if each["check"] == check and each["level"] == "failure"
    ]


def test_reached_database_with_its_schema_is_well(
    app: object, database_url: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    code, findings = _told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    assert not [each for each in findings if each["level"] == "failure"]
    assert code == 0
    assert _told("--strict", CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)[0] == 1


def test_bad_settings_are_told_beside_everything_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    key = tmp_path / "secret.key"
    key.write_text("x\n")
    key.chmod(0o644)
    code, findings = _told(
        CMS_DATA_DIR=str(tmp_path),
        WEB_THREADS="many",
        WEB_CONCURRENCY="none",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        REDIS_URL="redis://127.0.0.1:1",
    )
    assert code == 2
    assert len(_failures(findings, "settings")) == 2
    assert len(_failures(findings, "data folder")) == 2
    assert len(_failures(findings, "database")) == 1
    assert len(_failures(findings, "redis")) == 1
    assert all(each["mend"] for each in findings if each["level"] != "ok")


def test_looking_makes_no_database(tmp_path: Path) -> None:
    code, findings = _told(CMS_DATA_DIR=str(tmp_path))
    assert code == 2
    assert _failures(findings, "database")
    assert not list(tmp_path.iterdir())


def test_bad_setting_leads_to_no_look_at_its_default() -> None:
    code, findings = _told(
        CMS_DATA_DIR="~nobody-of-this-name/data", REDIS_URL="redis://:hidden@127.0.0.1:none"
    )
    assert code == 2
    unseen = {each["check"] for each in findings if each["seen"] == "was not looked at"}
    assert unseen == {"data folder", "disk", "database", "redis", "worker", "backups"}
    assert "hidden" not in json.dumps(findings)


@pytest.mark.parametrize(
    ("revision", "oldest", "level"),
    [("0001", "0001", "failure"), ("9999", "0011", "warning"), ("9999", "9998", "failure")],
)
def test_schema_of_another_version_is_told(
    app: Flask, database_url: str, tmp_path: Path, revision: str, oldest: str, level: str
) -> None:
    tmp_path.chmod(0o700)
    with app.app_context(), schema_said_to_be(revision, oldest):
        _, findings = _told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    (told,) = [each for each in findings if each["seen"].startswith("the schema")]
    assert (told["level"], bool(told["mend"])) == (level, True)


def test_password_of_the_database_is_never_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for url in ("postgresql://me:hidden@127.0.0.1:1/none", "mysql://me:hidden@127.0.0.1:1/none"):
        _, findings = _told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url)
        (seen,) = _failures(findings, "database")
        assert "127.0.0.1:1" in seen
        assert "hidden" not in json.dumps(findings)


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
            url = f"http://127.0.0.1:{server.port}"
            data = str(folder / "data")
            _, findings = _told("--url", url, CMS_DATA_DIR=data, TRUSTED_PROXIES=proxies)
        seen[proxies] = {
            f"{each['level']}: {each['seen']}"
            for each in findings
            if each["check"] in ("address", "worker")
        }
    return seen


def test_a_forged_address_that_is_believed_is_found(found: dict[str, set[str]]) -> None:
    forged = "a forged X-Forwarded-For is believed: limits can be evaded"
    assert f"failure: {forged}" in found["1"]
    assert "ok: forged X-Forwarded-For is not believed" in found["0"]


def test_what_else_is_open_is_told(found: dict[str, set[str]]) -> None:
    for seen in found.values():
        assert "ok: the application answers services.php there" in seen
        assert "warning: it is not encrypted" in seen
        assert "warning: anybody can read /metrics there" in seen


def test_somebody_else_and_nobody_are_told(tmp_path: Path) -> None:
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    with listening(stranger) as url:
        _, findings = _told("--url", url, CMS_DATA_DIR=str(tmp_path))
    [seen] = _failures(findings, "address")
    assert seen.startswith("somebody else answers services.php there")
    _, findings = _told("--url", "https://127.0.0.1:1", CMS_DATA_DIR=str(tmp_path))
    [seen] = _failures(findings, "address")
    assert seen == "does not answer (ConnectionRefusedError)"
