"""systemd's units, judged by systemd, and what they rely on: a socket that outlives the server."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.real_nginx import DEPLOY
from tests.downloads.samples import program
from tests.processes.servers import COMMAND, EMAIL, PASSWORD, Server, start

UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# The program itself is not installed here, and manual pages may not be.
_VERIFY = ("verify", "--man=no", "--recursive-errors=no")

# The file has the number 3 then, and the variable that of the process.
_HAND_OVER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); "
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}; "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def unit(name: str) -> list[tuple[str, str]]:
    """The lines of a unit: names, of which several may be the same, and values."""
    lines = (UNITS / name).read_text().splitlines()
    return [
        (found[1], found[2]) for line in lines if (found := re.match(r"([A-Za-z]+)=(.*)", line))
    ]


def with_what_is_there(folder: Path) -> list[Path]:
    """The units with a program and an account that exist on this machine."""
    for path in UNITS.glob("*.[st]*"):
        text = path.read_text().replace("/opt/cms-services/bin/cms-services", COMMAND[0])
        text = re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.M)
        (folder / path.name).write_text(text)
    return [*folder.glob("*.service"), *folder.glob("*.socket"), *folder.glob("*.timer")]


def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    paths = with_what_is_there(tmp_path / "units")
    done = analyzed(*_VERIFY, *(str(path) for path in paths))
    assert (done.returncode, "cms-services" in done.stderr) == (0, False), done.stderr
    # What it is there to find.
    broken = tmp_path / "units" / "cms-services-web.service"
    broken.write_text(broken.read_text() + "Nonsense=1\n")
    assert "Nonsense" in analyzed(*_VERIFY, str(broken)).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_exposed_as_little_as_can_be(name: str) -> None:
    done = analyzed("security", "--offline=true", "--no-pager", str(UNITS / name))
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) < 2.0, done.stdout


def test_all_services_run_with_the_same_rights_and_secrets() -> None:
    def common(name: str) -> list[tuple[str, str]]:
        of_its_own = ("Exec", "Timeout", "Restart", "LoadCredential", "Environment", "ReadWrite")
        own = ("Type", "KillMode", "LimitNOFILE", "Nice", "IOSchedulingClass", "StateDirectory")
        section = (*of_its_own, *own, "Description", "Documentation", "Wants", "After", "Requires")
        return [
            line for line in unit(name) if not line[0].startswith((*section, "WantedBy", "Also"))
        ]

    assert len({tuple(common(name)) for name in SERVICES}) == 1
    for name in SERVICES:
        given = {v.partition(":")[0] for n, v in unit(name) if n == "LoadCredential"}
        told = {v.rpartition("/")[2] for n, v in unit(name) if n == "Environment"}
        assert given == told
        assert {"database_url", "secret_key", "encryption_key"} <= given


def test_stopping_has_more_time_than_the_server_takes() -> None:
    from cms_services import gunicorn_conf

    stop = int(dict(unit("cms-services-web.service"))["TimeoutStopSec"].removesuffix("s"))
    longest_delay = 300
    assert stop > longest_delay + gunicorn_conf.graceful_timeout


def test_account_and_folders_are_what_systemd_reads() -> None:
    command = [program("systemd-sysusers"), "--dry-run", str(UNITS / "cms-services.sysusers")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Its sister can only write, so that reading must do.
    lines = (UNITS / "cms-services.tmpfiles").read_text().splitlines()
    assert [
        re.fullmatch(r"d /\S+ 0700 (root|cms-services) \1", line) is None for line in lines
    ] == [
        True,
        False,
        False,
    ]


@contextmanager
def activated(folder: Path, listener: socket.socket, **settings: str) -> Iterator[Server]:
    """The server with a socket that somebody else has opened, as sd_listen_fds(3) has it."""
    command = (sys.executable, "-c", _HAND_OVER, str(listener.fileno()), *COMMAND)
    with start(folder, "run", command=command, pass_fds=(listener.fileno(),), **settings) as server:
        yield server


def test_a_restart_refuses_no_connection(tmp_path: Path) -> None:
    """The socket is ours, as it would be systemd's, and is handed to one server after the other."""
    admin = {"CMS_ADMIN_EMAIL": EMAIL, "CMS_ADMIN_PASSWORD": PASSWORD}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = admin | {"PORT": str(port), "WORKER_BESIDE_WEB": "off"}

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", port), 60) as asking:
                asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: asking.recv(65536), b""))

        with activated(tmp_path, listener, **settings) as first:
            assert ask().startswith(b"HTTP/1.1 200 ")
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(60) == 0
            first.wait_until_all_are_gone()
            assert "worker started" not in first.stdout
        with socket.create_connection(("127.0.0.1", port), 60) as waiting:
            waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with activated(tmp_path, listener, **settings):
                answer = b"".join(iter(lambda: waiting.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
