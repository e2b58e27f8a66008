"""Checks at scale beside the web server: python -m benchmarks.checks [--services N --seconds S].

Many services with an HTTP check every 30 s each are checked by one worker process on one core,
which the target shares, while wrk asks the web server for getServices on the other one. The target
notes when it was asked for what, so that checks which came late, twice or never are counted by
somebody who knows nothing of the worker. At last all services are made due at once: how fast the
worker gets through them is the most that it can do.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy import bindparam, insert, select, update

from benchmarks.reads_and_creates import fill, row_of, sign_in
from benchmarks.servers import Load, gunicorn, wrk
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import begin_writing, new_id
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.synchronising import synchronise
from cms_services.worker.probing import probe_until

INTERVAL = 30.0
_WORKER_CORE, _WEB_CORE = 0, 1
_LIST = "/services.php?getServices=getServices&project=shop"
_WRK_SECONDS = 10


def main() -> None:
    options = _options()
    if options.role == "worker":
        asyncio.run(_work())
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "CMS_DATA_DIR": folder,
            "RATE_LIMITS": "off",
            "LOG_LEVEL": "warning",
            "PROBE_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        if options.database:
            settings["DATABASE_URL"] = options.database
        fill(settings)
        _measure(options, settings, Path(folder))


def _measure(options: argparse.Namespace, settings: dict[str, str], folder: Path) -> None:
    print(f"{options.services} services, a check every {INTERVAL:.0f} s each, "
          f"for {options.seconds} s")  # fmt: skip
    print(f"worker and target on core {_WORKER_CORE}, web server and wrk on core {_WEB_CORE}")
    app = create_app(settings)
    calls = folder / "calls"
    os.sched_setaffinity(0, {_WORKER_CORE})
    with _target(calls) as port:
        begun = time.monotonic()
        with app.app_context():
            _seed(options.services, port)
            synchronise(now())
            _dues(now() + timedelta(hours=1))
        print(f"seeded and scheduled in {time.monotonic() - begun:.1f} s")
        os.sched_setaffinity(0, {_WEB_CORE})
        with gunicorn("cms_services:create_app()", "/healthz", settings, 1, 4) as base:
            cookie = sign_in(base, "few@x.io")
            _load(base, cookie)
            idle = _load(base, cookie)
            os.sched_setaffinity(0, {_WORKER_CORE})
            with _worker(settings) as worker:
                os.sched_setaffinity(0, {_WEB_CORE})
                assert worker.stdout is not None
                worker.stdout.readline()
                with app.app_context():
                    dues = _dues(now() + timedelta(seconds=4))
                first = min(dues.values())
                time.sleep(max(0.0, first - time.time()))
                beside = _while_checking(base, cookie, options.seconds)
                last = time.time() - 3
                time.sleep(3)
                with app.app_context():
                    burst = _all_at_once(app)
                print(f"worker: {_cpu(worker.pid):.0%} of its core")
                _tell_batches(worker)
    with app.app_context():
        db.engine.dispose()
    _tell(calls, dues, last, burst[0])
    most = sum(1 for _, at in _read(calls) if at >= burst[0]) / (burst[1] - burst[0])
    print(f"most: {most:.0f} checks a second, with {options.services} due at once")
    rates = [each.rate for each in beside]
    print(f"getServices: {idle.rate:.0f}/s alone (p99 {idle.p99:.0f} ms), beside it "
          f"{', '.join(f'{each:.0f}' for each in rates)}/s "
          f"(p99 {max(each.p99 for each in beside):.0f} ms): "
          f"{sum(rates) / len(rates) / idle.rate:.0%}")  # fmt: skip


def _while_checking(base: str, cookie: str, seconds: int) -> list[Load]:
    """Load the web server all the time; a figure for each part."""
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        found.append(_load(base, cookie, min(60, max(5, int(end - time.monotonic())))))
    return found


def _load(base: str, cookie: str, seconds: int = _WRK_SECONDS) -> Load:
    return wrk(base + _LIST, seconds, 8, {"Cookie": cookie})


def _seed(count: int, port: int) -> None:
    owner = db.session.scalars(select(User.id).where(User.email == "many@x.io")).one()
    rows = []
    for number in range(count):
        check = {"type": "http", "target": f"http://127.0.0.1:{port}/{number}", "interval": "30s"}
        config = {"healthChecks": [check]}
        rows.append(row_of(owner, number, "api", None) | {"config": config, "dependencies": []})
        rows[-1] |= {"id": f"{number}-{new_id()}"}
    for start in range(0, count, 1000):
        db.session.execute(insert(Service), rows[start : start + 1000])
        db.session.commit()


def _dues(start: datetime) -> dict[str, float]:
    """Spread the first checks evenly over an interval from `start`; when each is, by its path."""
    names = sorted(db.session.scalars(select(MonitoredService.service_id).where(
        MonitoredService.due_at.is_not(None)
    )))  # fmt: skip
    step = INTERVAL / max(1, len(names))
    return _set_dues({name: start.timestamp() + step * n for n, name in enumerate(names)})


def _set_dues(dues: dict[str, float]) -> dict[str, float]:
    known = MonitoredService
    query = select(known.service_id, known.states)
    states = {row.service_id: row.states for row in db.session.execute(query)}
    rows = []
    for name, due in dues.items():
        state = states[name]
        for each in state["checks"].values():
            each["due"] = round(due, 3)
        moment = datetime.fromtimestamp(round(due, 3), tz=UTC)
        rows.append({"id_": name, "states_": state, "due": moment})
    table: Any = known.__table__
    statement = update(table).where(table.c.service_id == bindparam("id_"))
    statement = statement.values(states=bindparam("states_"), due_at=bindparam("due"))
    db.session.rollback()
    begin_writing(db.session())
    db.session.connection().execute(statement, rows)
    db.session.commit()
    return {f"/{name.partition('-')[0]}": due for name, due in dues.items()}


def _all_at_once(app: Flask) -> tuple[float, float]:
    """Make all services due now, and wait until all were checked. When it began and ended."""
    known = MonitoredService
    due = now().replace(microsecond=0)
    query = select(known.service_id).where(known.due_at.is_not(None))
    _set_dues(dict.fromkeys(db.session.scalars(query).all(), due.timestamp()))
    begun = time.time()
    left = select(known.service_id).where(known.due_at <= due).limit(1)
    while db.session.scalar(left) is not None and time.time() < begun + 120:
        db.session.rollback()
        time.sleep(0.1)
    db.session.rollback()
    return begun, time.time()


def _tell(calls: Path, dues: dict[str, float], last: float, until: float) -> None:
    """Compare when the target was asked with when it should have been, until `last`."""
    asked: dict[str, list[float]] = defaultdict(list)
    for path, at in _read(calls):
        if at < until:
            asked[path].append(at)
    lateness, lost, twice, early = [], 0, 0, 0
    for path, due in dues.items():
        expected = int((last - due) // INTERVAL) + 1 if last >= due else 0
        slots = [round((at - due - INTERVAL / 2) / INTERVAL) if at < due - 1 else
                 int((at - due + 0.5) // INTERVAL) for at in asked[path]]  # fmt: skip
        seen = {slot for slot in slots if 0 <= slot < expected}
        lost += expected - len(seen)
        twice += len(slots) - len(set(slots))
        late = [at - due - slot * INTERVAL for at, slot in zip(asked[path], slots, strict=True)]
        early += sum(1 for each in late if each < -0.05)
        lateness += late
    cut = quantiles(lateness, n=100)
    print(f"checks: {len(lateness)} run, {lost} lost, {twice} twice, {early} too early")
    print(f"lateness: p50 {cut[49] * 1000:.0f} ms, p99 {cut[98] * 1000:.0f} ms, "
          f"most {max(lateness) * 1000:.0f} ms")  # fmt: skip


def _read(calls: Path) -> list[tuple[str, float]]:
    lines = (line.split() for line in calls.read_text().splitlines())
    return [(path, float(at)) for path, at in lines]


@contextmanager
def _target(calls: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.local_target", str(calls)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@contextmanager
def _worker(settings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.checks", "--role", "worker"]
    environment = os.environ | settings
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


async def _work() -> None:
    """What `cms-services worker` does about checks, alone."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = create_app(os.environ)
    print("ready", flush=True)
    await probe_until(app, stop)
    name = "cms_check_batch_size"
    found = {each: REGISTRY.get_sample_value(f"{name}_{each}") for each in ("sum", "count")}
    print(json.dumps(found))


def _tell_batches(worker: "subprocess.Popen[str]") -> None:
    worker.send_signal(signal.SIGTERM)
    for line in worker.communicate(timeout=60)[0].splitlines():
        if line.startswith('{"sum"'):
            found = json.loads(line)
            average = found["sum"] / max(1, found["count"])
            print(f"batches: {found['count']:.0f}, of {average:.0f} services on average")
        else:
            print(f"worker: {line}")


def _cpu(pid: int) -> float:
    """The share of a core that a process has used since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    alive = float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / ticks
    return (int(fields[11]) + int(fields[12])) / ticks / alive


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--database", help="a URL; without one, an SQLite of its own")
    parser.add_argument("--role", choices=["bench", "worker"], default="bench")
    return parser.parse_args()


if __name__ == "__main__":
    main()
