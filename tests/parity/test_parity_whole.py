"""From a recording of the old CMS to a profile with which every answer is equal."""

import json
import shutil
import stat
import urllib.request
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.parity.old_and_new import (
    EMAIL,
    copy_data,
    lines_of,
    new_application,
    recording,
    rename_service,
)
from tests.people import PASSWORD
from tests.php_cms.running import PhpCms, php_cms
from tests.processes.servers import COMMAND, run_command

pytestmark = pytest.mark.skipif(shutil.which("php-fpm8.2") is None, reason="needs php-fpm")


def run_parity(folder: Path, *arguments: str) -> CompletedProcess[str]:
    return run_command(folder, *COMMAND, "parity", *arguments)


def open_through(recorder: str, path: str, session: str, body: bytes | None = None) -> bytes:
    headers = {"Cookie": f"PHPSESSID={session}; theme=dark"}
    if body is not None and body.startswith(b"{"):
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(recorder + path, body, headers)
    with urllib.request.urlopen(request) as answer:
        told: bytes = answer.read()
        return told


def record_reads(cms: PhpCms, folder: Path, to: Path) -> None:
    session = cms.sign_in("juergen")
    with cms.connected() as connection:
        # Within the time that we keep entries for.
        connection.exec_driver_sql(
            "UPDATE service_log SET logged_at = UTC_TIMESTAMP() - INTERVAL id HOUR"
        )
    with recording(folder, cms.url, to) as recorder:
        for path in (
            "getServices=getServices",
            "getServices=1&project=Shop&_=1700000000",
            "getServices=1&type=data",
            "getServices=1&project=nowhere",
            *(f"getService=1&serviceId={number}" for number in (12, 13, 14, 15)),
            "getService=1&serviceId=99999",
            *(f"getLogs=1&serviceId={number}" for number in (12, 13, 14)),
            "getLogs=1&serviceId=99999",
            "getLogs=1&serviceId=12&limit=2",
            "nothing=1",
        ):
            open_through(recorder, f"/services.php?{path}", session)
        open_through(recorder, "/services.php", session, b"getServices=1&status=active")
        open_through(recorder, "/services.php", session, b'{"getService": 1, "serviceId": 13}')
        open_through(recorder, "/whoami.php", session)


def test_a_profile_is_inferred_and_then_every_answer_is_equal(tmp_path: Path) -> None:
    recorded, profile = tmp_path / "recording.jsonl", tmp_path / "profile.yaml"
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    account = ("--sign-in", EMAIL, "--password-file", str(password))
    with php_cms(tmp_path / "php") as cms:
        record_reads(cms, tmp_path / "recorder", recorded)
        url = copy_data(cms, tmp_path)
    assert len(lines_of(recorded)) == 17
    assert stat.S_IMODE(recorded.stat().st_mode) == 0o600
    with new_application(tmp_path / "plain", url) as plain:
        address = f"http://127.0.0.1:{plain.port}"
        before = run_parity(tmp_path / "a", "replay", str(recorded), "--against", address, *account)
        assert before.returncode == 1, before.stderr
        told = run_parity(
            tmp_path / "b", "infer", str(recorded), "--against", address, *account,
            "--write", str(profile),
        )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert "times are Y-m-d H:i:s in Europe/Berlin" in told.stdout
    with new_application(tmp_path / "adapted", url, LEGACY_PROFILE=str(profile)) as adapted:
        address = f"http://127.0.0.1:{adapted.port}"
        command = ("replay", str(recorded), "--against", address, *account, "--exact")
        after = run_parity(tmp_path / "c", *command)
        assert after.returncode == 0, after.stdout + after.stderr
        rename_service(url, "13", "Stock!")
        planted = run_parity(tmp_path / "d", *command, "--report", "json")
    assert planted.returncode == 1
    found = json.loads(planted.stdout)
    assert found["actions"]["getService"]["differences"][0]["example"] == {
        "path": "$.service.name",
        "baseline": '"Stock"',
        "candidate": '"Stock!"',
    }
    assert found["actions"]["getLogs"]["differing"] == 0
