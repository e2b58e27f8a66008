"""What runs beside a hosting plan's site: jobs, workers, the rotation of logs, the check."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.configuration.documents import MASK, Opened
from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.quoting import fits_crontab
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_service,
    a_subject,
    program,
    unicode_text,
    without_comments,
)
from tests.downloads.servers import IS_ROOT, Site, assembled, running

_JOB = re.compile(r"(?P<schedule>@\w+|(?:\S+ ){4}\S+) web482913749123 (?P<command>.+)")


def crontab(jobs: Any) -> str:
    return hosting_files(a_subject({"cron": jobs}))["cron"].decode()


def jobs_in(content: str) -> list[re.Match[str]]:
    """The jobs of a file of /etc/cron.d, as cron(8) finds them."""
    lines = [line for line in content.split("\n") if line and not line.startswith("#")]
    assert lines[:2] == ["SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin"]
    found = [_JOB.fullmatch(line) for line in lines[2:]]
    assert None not in found, lines
    return [job for job in found if job]


def read_by_cron(command: str) -> str:
    """What cron hands to the shell: a bare % would end it, and \\% is a percent sign."""
    read = re.match(r"(?:\\%|[^%])*", command)
    assert read
    assert read[0] == command
    return command.replace("\\%", "%")


def is_accepted_by_cron(schedule: str, folder: Path) -> bool:
    # The files of users have no column for the account.
    (folder / "crontab").write_text(f"{schedule} true\n")
    command = [program("crontab"), "-n", str(folder / "crontab")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "schedule",
    [
        *("* * * * *", "*/5 0-23/2 1,15 jan-mar,12 MON-fri", "59 23 31 12 7", "0 0 * * sun"),
        *("@daily", "@reboot", "@Hourly", "1-5,10-20/3 * * * *"),
    ],
)
def test_cron_takes_the_schedules(schedule: str, tmp_path: Path) -> None:
    (job,) = jobs_in(crontab([{"schedule": f" {schedule} ", "command": "true"}]))
    assert job["schedule"] == schedule.lower()
    assert is_accepted_by_cron(job["schedule"], tmp_path)


@pytest.mark.parametrize(
    "schedule",
    [
        *("60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * *"),
        *("*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "x * * * *", "@never", "* * * * * *"),
        *("-1 * * * *", "1- * * * *", "* * * * m", "* * fri * *", ", * * * *"),
    ],
)
def test_what_cron_would_not_take_is_refused(schedule: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        crontab([{"schedule": schedule, "command": "true"}])
    assert list(refusal.value.details) == ["cron.0.schedule"]
    # Six fields are five and a command here; Debian's cron never runs a range that runs backwards.
    if schedule not in ("* * * * * *", "5-1 * * * *"):
        assert not is_accepted_by_cron(schedule, tmp_path)


@pytest.mark.parametrize(
    "given", [None, 5, "٣ * * * *", "* * * *\n*\n* root x", "*\\/5 * * * *", ""]
)
def test_a_schedule_is_one_line_of_ascii(given: Any) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        crontab([{"schedule": given, "command": "true"}])
    assert list(refusal.value.details) == ["cron.0.schedule"]


@settings(max_examples=100, deadline=None)
@given(command=unicode_text | st.sampled_from(HOSTILE) | st.text("\\%\n;' a", max_size=8))
def test_commands_come_back_as_they_were_or_are_refused(command: str) -> None:
    jobs = [{"schedule": "@daily", "command": each} for each in ("first", command, "last")]
    if fits_crontab(command):
        found = [read_by_cron(job["command"]) for job in jobs_in(crontab(jobs))]
        assert found == ["first", command, "last"]
        return
    with pytest.raises(ServiceConfigError) as refusal:
        crontab(jobs)
    assert list(refusal.value.details) == ["cron.1.command"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("* * * * * true", "cron"),
        ({"schedule": "@daily"}, "cron"),
        (["true"], "cron.0"),
        ([{"schedule": "@daily"}], "cron.0.command"),
        ([{"schedule": "@daily", "command": "x" * 901}], "cron.0.command"),
        ([{"schedule": "@daily", "command": "a\nb"}], "cron.0.command"),
        ([{"schedule": "@daily", "command": "true"}] * 101, "cron"),
    ],
)
def test_jobs_that_cannot_be_used_are_refused_by_their_path(given: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        crontab(given)
    assert list(refusal.value.details) == [path]


@pytest.mark.parametrize("given", [None, [], {}, ""])
def test_without_jobs_the_file_has_none(given: Any) -> None:
    assert jobs_in(crontab(given)) == []


def test_a_masked_command_is_left_out_and_named() -> None:
    jobs = [
        {"schedule": "@daily", "command": MASK},
        {"schedule": "@daily", "command": Opened("date +%s")},
    ]
    files = hosting_files(Subject(a_service(), {"cron": jobs}))
    assert [job["command"] for job in jobs_in(files["cron"].decode())] == ["date +\\%s"]
    assert json.loads(files["manifest.json"])["maskedFields"] == ["cron.0.command"]


def verified(unit: bytes, folder: Path) -> str:
    """What systemd says about the unit, with an executable and an account that exist."""
    text = unit.decode().replace("/srv/www/web482913749123", str(folder))
    text = re.sub(r"^(User|Group)=web\w+$", r"\1=root", text, flags=re.M)
    (folder / "workers").mkdir(exist_ok=True)
    (folder / "workers/queue").write_text("#!/bin/sh\n")
    (folder / "workers/queue").chmod(0o755)
    (folder / "x-worker@queue.service").write_text(text)
    command = [program("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no"]
    done = subprocess.run(
        [*command, str(folder / "x-worker@queue.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode == 0 else f"{done.returncode}: {done.stderr}"


@pytest.mark.parametrize("name", ["Shop", "a\nExecStart=/bin/evil\n", "end \\"])
def test_systemd_accepts_the_worker(name: str, tmp_path: Path) -> None:
    unit = hosting_files(a_subject(name=name))["systemd/worker@.service"]
    assert "x-worker" not in verified(unit, tmp_path)


def test_systemd_would_complain_about_a_broken_worker(tmp_path: Path) -> None:
    unit = hosting_files(a_subject())["systemd/worker@.service"]
    assert "x-worker" in verified(unit + b"Nonsense=1\n", tmp_path)


def test_a_worker_has_the_memory_of_the_plan_and_no_rights() -> None:
    files = hosting_files(a_subject({"runtime": {"memoryLimit": "2GiB"}}))
    unit = files["systemd/worker@.service"].decode().split("\n")
    assert {
        *("MemoryMax=2048M", "User=web482913749123", "NoNewPrivileges=yes"),
        *("ProtectSystem=strict", "CapabilityBoundingSet=", "Restart=on-failure"),
    } <= set(unit)


@settings(max_examples=40, deadline=None)
@given(name=unicode_text | st.sampled_from(HOSTILE))
def test_a_name_changes_nothing_but_comments(name: str) -> None:
    plain, hostile = hosting_files(a_subject()), hosting_files(a_subject(name=name))
    for path in ("cron", "systemd/worker@.service", "check.sh", "logrotate.conf"):
        assert without_comments(hostile[path], "#") == without_comments(plain[path], "#")


def test_logrotate_rotates_both_folders_of_logs() -> None:
    with assembled(a_subject(name="x {\n/etc/passwd {")) as site:
        logs = [site.home / "logs/php-error.log", site.root / "var/log/sites" / site.user / "a.log"]
        for log in logs:
            log.write_text("line\n")
        configuration = site.root / "etc/logrotate.d" / site.user
        command = [program("logrotate"), "-s", str(site.root / "state"), str(configuration)]
        tried = subprocess.run([*command, "-d"], capture_output=True, text=True, check=False)
        assert tried.returncode == 0
        assert "error:" not in tried.stderr
        assert "/etc/passwd" not in tried.stderr
        if not IS_ROOT:
            pytest.skip("only root can give a new log to root and adm")
        subprocess.run([*command, "-f"], capture_output=True, check=True)
        assert [log.with_name(f"{log.name}.1").read_text() for log in logs] == ["line\n"] * 2


def checked(site: Site) -> tuple[int, list[str]]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "NGINX": " ".join(site.nginx),
        "PHP_FPM": " ".join(site.php_fpm),
        "LOGROTATE": program("logrotate"),
    }
    done = subprocess.run(
        ["/bin/sh", str(site.bundle / "check.sh")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_check_says_what_is_missing() -> None:
    environment = {"A": "1", "KEY": MASK}
    with assembled(a_subject(GOOD_CONFIG | {"environment": environment})) as site:
        socket = site.root / "run/php" / f"{site.user}.sock"
        missing = [
            f"MISSING  {socket}: php-fpm does not run this site's pool",
            f"MISSING  {site.home}/.env: real values in the place of REPLACE_ME",
        ]
        fine = ["fine     nginx", "fine     php-fpm", "fine     logrotate"]
        assert checked(site) == (1, [*missing, *fine, "2 missing"])

        env = site.home / ".env"
        env.write_text(env.read_text().replace("REPLACE_ME", "'open sesame'"))
        with running([*site.php_fpm, "-F"], socket):
            assert checked(site) == (0, [*fine, "0 missing"])

        env.unlink()
        (site.bundle / ".user.ini").write_text("")
        (site.bundle / "dns.zone").unlink()
        enabled = site.root / "etc/nginx/sites-enabled" / f"{site.user}.conf"
        enabled.write_text("server { nonsense; }")
        status, lines = checked(site)
        assert status == 1
        assert lines[-1] == "4 missing"
        assert {
            "changed  .user.ini",
            "MISSING  dns.zone of the bundle",
            f"MISSING  {env}",
            "MISSING  a configuration that nginx accepts:",
        } <= set(lines)


def test_the_check_tells_of_a_variable_that_env_lacks_and_lets_it_pass() -> None:
    environment = {"A": "1", "KEY": Opened("a\nb")}
    with assembled(Subject(a_service(), GOOD_CONFIG | {"environment": environment})) as site:
        told = "left out KEY of .env: see README.md"
        status, lines = checked(site)
        assert (status, told in lines, lines[-1]) == (1, True, "1 missing")
        env = site.home / ".env"
        env.write_text(env.read_text().replace("#KEY=", "KEY='other'"))
        assert told not in checked(site)[1]


def test_the_readme_makes_the_folder_of_the_workers() -> None:
    with assembled(a_subject()) as site:
        folder = site.home / "workers"
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.rmdir()
        assert f"MISSING  {folder}" in checked(site)[1]


@pytest.mark.parametrize("name", [each for each in HOSTILE if len(each) < 100])
def test_the_check_is_a_script_of_any_posix_shell(name: str) -> None:
    script = hosting_files(a_subject({}, name=name, service_id=name or "1"))["check.sh"]
    for shell in (["/bin/sh"], ["bash", "--posix"]):
        subprocess.run([*shell, "-n"], input=script, capture_output=True, check=True)


def test_the_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    files = hosting_files(a_subject())
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)
    named = {line.split("  ")[1] for line in files["SHA256SUMS"].decode().splitlines()}
    assert named == set(files) - {"SHA256SUMS", "manifest.json"}
