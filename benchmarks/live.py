"""Open event streams beside requests: python -m benchmarks.live [--tabs N --seconds S].

A node of one process and eight threads, on an SQLite of its own, is asked for getServices by wrk:
alone, with many open event streams (tabs), and alone again. Then events happen: how long each took
from when it was written, just before its commit, until each tab had it, with and without wrk
beside it. The same is measured of the application under two of gunicorn's own workers: gthread,
where each stream holds a thread, with as many streams as it bears, and gevent, which is installed
into a folder of the run's own. The tabs are one other process, which shares the cores.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from benchmarks.reads_and_creates import LISTS, PASSWORD, fill, sign_in
from benchmarks.servers import Load, gunicorn, installation, wrk, wrk_beside
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.extensions import db
from cms_services.projects.models import Project, ProjectMember

_THREADS = 8
# One caller may have 100 in a process.
_TABS_OF_ONE = 90
_EVENTS = 20
_APP = "cms_services:create_app()"
_AT_ONCE = 50


def main() -> None:
    if sys.argv[1:2] == ["--role"]:
        asyncio.run(_tabs(json.loads(sys.stdin.readline())))
        return
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
        settings |= {"WEB_CONCURRENCY": "1", "WEB_THREADS": str(_THREADS)}
        fill(settings)
        emails = _people(settings, -(-options.tabs // _TABS_OF_ONE))
        print(f"one process of {_THREADS} threads, wrk with {options.connections} connections "
              f"for {options.seconds} s each\n")  # fmt: skip
        print(
            f"{'getServices, 50':34}{'req/s':>9}{'p99 ms':>9}{'errors':>8}{'of alone':>10}{'MB':>7}"
        )
        with installation(settings) as base:
            _measure("ours", base, emails, options, Path(folder))
        with gunicorn(_APP, "/healthz", settings, 1, _THREADS) as base:
            _starve(base, emails, options, Path(folder))
        packages = Path(folder) / "gevent"
        if not _install_gevent(packages):
            print("gevent can't be installed here, and is left out")
            return
        settings["PYTHONPATH"] = str(packages)
        with gunicorn(_APP, "/healthz", settings, 1, 1, "gevent") as base:
            _measure("gevent", base, emails, options, Path(folder))


def _measure(
    name: str, base: str, emails: list[str], options: argparse.Namespace, folder: Path
) -> None:
    """Requests without and with the tabs, and events to all of them."""
    cookie = sign_in(base, emails[0])
    _load(base, cookie, 2, options)
    before = _measured(base, cookie, folder, options)
    with Tabs(base, emails, options.tabs) as tabs:
        beside = _measured(base, cookie, folder, options)
        quiet = _events(base, cookie, tabs)
        url = base + LISTS[0].path
        with wrk_beside(url, _EVENTS, options.connections, {"Cookie": cookie}) as result:
            busy = _events(base, cookie, tabs)
            result()
    after = _measured(base, cookie, folder, options)
    _show(f"{name}, no tab, before", before, before, after)
    _show(f"{name}, {options.tabs} tabs", beside, before, after)
    _show(f"{name}, no tab, after", after, before, after)
    for when, found in (("", quiet), (", beside wrk", busy)):
        cut = quantiles(found, n=100)
        print(f"  {_EVENTS} events to all tabs{when}: p50 {cut[49] * 1000:.0f} ms, "
              f"p99 {cut[98] * 1000:.0f} ms, the last {max(found) * 1000:.0f} ms, "
              f"{_EVENTS * options.tabs - len(found)} missing")  # fmt: skip


def _starve(base: str, emails: list[str], options: argparse.Namespace, folder: Path) -> None:
    """Requests beside more and more streams, of which each holds a thread."""
    cookie = sign_in(base, emails[0])
    _load(base, cookie, 2, options)
    alone = _measured(base, cookie, folder, options)
    _show("gthread, no tab", alone, alone)
    for count in (_THREADS // 2, _THREADS - 1):
        with Tabs(base, emails, count):
            _show(f"gthread, {count} tabs", _measured(base, cookie, folder, options), alone)
    with Tabs(base, emails, _THREADS):
        request = urllib.request.Request(base + LISTS[0].path, headers={"Cookie": cookie})
        try:
            urllib.request.urlopen(request, timeout=options.seconds)
        except TimeoutError:
            print(f"gthread, {_THREADS} tabs: no request is answered within {options.seconds} s")
        else:
            print(f"gthread, {_THREADS} tabs: requests are still answered")


@dataclass(frozen=True)
class Measured:
    """What wrk saw, the server's CPU seconds a request, and its memory in MB."""

    load: Load
    cpu: float
    megabytes: float


def _measured(base: str, cookie: str, folder: Path, options: argparse.Namespace) -> Measured:
    server = _server(folder)
    began = _cpu_seconds(server)
    load = _load(base, cookie, options.seconds, options)
    cpu = (_cpu_seconds(server) - began) / (load.rate * options.seconds)
    return Measured(load, cpu, sum(map(_megabytes, server)))


class Tabs:
    """Many open event streams, in a process of their own."""

    def __init__(self, base: str, emails: list[str], count: int) -> None:
        cookies = [sign_in(base, email) for email in emails]
        self._told = {"base": base, "cookies": cookies, "count": count}
        command = [sys.executable, "-m", "benchmarks.live", "--role", "tabs"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Tabs":
        opened = self.ask(self._told)
        if opened != self._told["count"]:
            sys.exit(f"only {opened} of {self._told['count']} streams could be opened")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def ask(self, told: Any) -> Any:
        """Say a line, and read the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Tab(asyncio.Protocol):
    """A connection that keeps what it is sent, and when."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.is_open = asyncio.Event()
        self.pieces: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.time(), data))
        if b": connected" in data:
            self.is_open.set()


async def _tabs(told: dict[str, Any]) -> None:
    """Open the streams; then, asked for a number of events, say how long each took to each tab."""
    place = urlsplit(told["base"])
    loop = asyncio.get_running_loop()
    found: list[Tab] = []
    for start in range(0, told["count"], _AT_ONCE):
        for number in range(start, min(start + _AT_ONCE, told["count"])):
            cookie = told["cookies"][number % len(told["cookies"])]
            head = f"GET /api/events/stream HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {cookie}"
            tab = Tab(f"{head}\r\n\r\n".encode())
            await loop.create_connection(lambda tab=tab: tab, place.hostname, place.port)
            found.append(tab)
        await asyncio.wait_for(asyncio.gather(*(tab.is_open.wait() for tab in found)), 60)
    print(len(found), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        deadline = time.monotonic() + 30
        expected = json.loads(line) * len(found)
        while len(taken := _taken(found)) < expected and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        for tab in found:
            tab.pieces.clear()
        print(json.dumps(taken), flush=True)
    # Without waiting for the streams, which would not end.
    os._exit(0)


def _taken(tabs: list[Tab]) -> list[float]:
    taken = []
    for tab in tabs:
        for at, data in tab.pieces:
            for part in data.split(b"data: ")[1:]:
                happened = json.loads(part.partition(b"\n")[0])["time"]
                taken.append(at - datetime.fromisoformat(happened).timestamp())
    return taken


def _events(base: str, cookie: str, tabs: Tabs) -> list[float]:
    """Let a service stop and go on again and again; the seconds until tabs knew."""
    body = _ask(base, cookie, "GET", "/api/services?type=api")
    service = json.loads(body)["data"][0]["id"]
    for number in range(_EVENTS):
        verb = "resume" if number % 2 else "suspend"
        _ask(base, cookie, "POST", f"/api/services/{service}/{verb}")
        time.sleep(0.5)
    found: list[float] = tabs.ask(_EVENTS)
    return found


def _ask(base: str, cookie: str, method: str, path: str) -> bytes:
    headers = {"Cookie": cookie, "Origin": base, "Content-Type": "application/json"}
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request(base + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def _people(settings: dict[str, str], count: int) -> list[str]:
    """The owner of the services, and members of the project that they are in."""
    app = create_app(settings)
    emails = [f"tab{number}@x.io" for number in range(count)]
    with app.app_context():
        project = db.session.scalars(select(Project).where(Project.name == "shop")).one()
        for email in emails:
            user = User(email=email, name=email, password_hash=hash_password(PASSWORD))
            db.session.add(user)
            db.session.flush()
            member = ProjectMember(project_id=project.id, user_id=user.id, role="viewer")
            db.session.add(member)
        db.session.commit()
        db.engine.dispose()
    return ["few@x.io", *emails]


def _load(base: str, cookie: str, seconds: int, options: argparse.Namespace) -> Load:
    return wrk(base + LISTS[0].path, seconds, options.connections, {"Cookie": cookie})


def _server(folder: Path) -> list[Path]:
    """The processes of the web server of this run."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                process.name.isdigit()
                and b"gunicorn" in (process / "cmdline").read_bytes()
                and str(folder).encode() in (process / "environ").read_bytes()
            ):
                found.append(process)
    return found


def _cpu_seconds(server: list[Path]) -> float:
    ticks = 0
    for process in server:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _megabytes(process: Path) -> float:
    """What a process holds in memory, its part of what is shared."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _show(name: str, measured: Measured, *alone: Measured) -> None:
    load = measured.load
    rate = load.rate * len(alone) / sum(each.load.rate for each in alone)
    print(f"{name:28}{load.rate:9.0f}{load.p99:9.1f}{load.errors:8}{rate:10.0%}"
          f"{measured.cpu * 1000:9.2f}{measured.megabytes:7.0f}")  # fmt: skip


def _install_gevent(folder: Path) -> bool:
    """Put gevent into a folder, since the project itself doesn't use it; whether that worked."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "gevent"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--tabs", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
