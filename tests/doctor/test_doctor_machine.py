"""The doctor's checks of the machine and of what goes on there by itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from cms_services.backup.record import note
from cms_services.clock import now
from cms_services.doctor.file_systems import file_system_of, place_of_sqlite
from cms_services.extensions import db
from cms_services.mail.models import Letter
from cms_services.settings import load_settings
from cms_services.worker.models import JobClaim
from tests.databases import need_server
from tests.doctor.telling import told

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:40 / /srv rw - nfs4 files:/srv rw,vers=4.2
41 40 0:41 / /srv/local rw - xfs /dev/vdb rw
42 27 0:42 / /mnt/of\040two rw - ext4 /dev/vdc rw
43 42 0:43 / /mnt/of\040two rw master:2 - fuse.sshfs me@there:/ rw
44 27 0:44 / /host rw - 9p share rw
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/var/lib/cms/a.sqlite3", "ext4"),
        ("/srv/cms/a.sqlite3", "nfs4"),
        ("/srv/local/a.sqlite3", "xfs"),
        ("/srv/locality/a.sqlite3", "nfs4"),
        ("/mnt/of two/a.sqlite3", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_file_is_the_one_mounted_last_above_it(file: str, kind: str) -> None:
    assert file_system_of(Path(file), MOUNTS) == kind


def test_sqlite_on_a_network_fails() -> None:
    [(level, seen, mend)] = place_of_sqlite(Path("/srv/cms/a.sqlite3"), MOUNTS)
    assert (level, "nfs4" in seen, "DATABASE_URL" in str(mend)) == ("failure", True, True)
    [(level, _, _)] = place_of_sqlite(Path("/host/a.sqlite3"), MOUNTS)
    assert level == "warning"
    assert list(place_of_sqlite(Path("/var/lib/a.sqlite3"), MOUNTS)) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB, in memory."""
    if os.geteuid() != 0:
        need_server("only root mounts disks")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=1m,nr_inodes=100,mode=700"
    done = subprocess.run(("mount", "-t", "tmpfs", "-o", options, "cms", folder), check=False)
    if done.returncode != 0:
        need_server("this system mounts no disks")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "-l", folder), check=True)


def test_a_disk_that_is_nearly_full_and_goes_with_a_restart_is_told(small_disk: Path) -> None:
    (small_disk / "cms-services.sqlite3").touch(0o600)
    (small_disk / "filler").write_bytes(bytes(1_000_000))
    for number in range(92):
        (small_disk / str(number)).touch()
    found = told(CMS_DATA_DIR=str(small_disk))
    space, inodes = found.of("disk", "warning")
    assert space.endswith("of the space is free")
    assert inodes.endswith("inodes are free")
    [seen] = [each for each in found.of("database", "warning") if "tmpfs" in each]
    assert seen.endswith("in memory: it is gone after a restart")


def test_a_process_that_may_open_few_files_is_told(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cms-services")
    done = subprocess.run(
        ("sh", "-c", f"ulimit -n 256; exec {program} doctor --json"),
        env={"PATH": os.environ["PATH"], "CMS_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    [seen] = [each for each in json.loads(done.stdout) if each["check"] == "limits"]
    assert (seen["level"], seen["seen"]) == ("warning", "a process may open 256 files")
    assert "LimitNOFILE" in seen["mend"]


def test_a_data_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    found = told(CMS_DATA_DIR=str(tmp_path / "gone"))
    assert found.of("data folder", "failure") == [f"{tmp_path}/gone is no folder"]


def test_a_worker_that_is_away_is_told(app: Flask, database_url: str, tmp_path: Path) -> None:
    with app.app_context():
        db.session.add(JobClaim(job="any", period_start=now() - timedelta(minutes=30)))
        written = now() - timedelta(hours=2)
        db.session.add(Letter(kind="any", recipient="a@example.com", data={}, created_at=written))
        db.session.commit()
    found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    idle, waiting = found.of("worker", "warning")
    assert idle.startswith("no worker has done periodic work since 20")
    assert waiting == "1 letters have waited for over an hour"


def test_old_backups_and_a_drill_that_did_not_pass_are_told(tmp_path: Path) -> None:
    settings = load_settings({"CMS_DATA_DIR": str(tmp_path)})
    note(settings, "backup", now() - timedelta(days=3), tmp_path / "a.age")
    note(settings, "drill", now(), tmp_path / "a.age", passed=False)
    found = told(CMS_DATA_DIR=str(tmp_path))
    [old] = found.of("backups", "warning")
    assert old.startswith("the last backup was at ")
    assert found.of("backups", "failure") == ["the last drill did not pass"]


def test_settings_that_do_not_serve_many_are_told(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    found = told(
        CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url, RATE_LIMITS="off", WEB_CONCURRENCY="2"
    )
    assert len(found.of("settings for serving", "warning")) == 4
    assert found.of("redis", "warning") == ["none is set, yet WEB_CONCURRENCY is 2"]
