"""Logs: how fast entries are stored, and how fast they are found among a million.

Stores entries through HTTP with the server on one core and the client on another, then asks by the
HTTP test client: by service and level, and by words. One service has half of the rows, a hundred
others share the rest. On an SQLite of its own, or on an empty database by --database.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Flask
from sqlalchemy import func, select, text

from benchmarks.servers import free_port
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.accounts.sessions import begin_session
from cms_services.accounts.tokens import issue_tokens
from cms_services.actor import ANONYMOUS, Actor
from cms_services.extensions import db
from cms_services.gunicorn_conf import freeze_what_is_loaded
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.provisioning.services import NewService, create_service
from cms_services.schema import upgrade_schema
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import LogLevel, Role, ServiceType
from cms_services.web.signing_in import token_lifetimes
from cms_services.web.transactions import writing

_BATCH = 1000
_OTHERS = 100
_CHANCE = random.Random(7)
_VERBS = ("created", "loaded", "sent", "cached", "queued", "rendered", "checked", "archived")
_NOUNS = ("order", "invoice", "basket", "session", "mail", "picture", "page", "payment", "user")
_LEVELS = [LogLevel.DEBUG] * 20 + [LogLevel.INFO] * 65 + [LogLevel.WARN] * 10 + [LogLevel.ERROR] * 5


def line(number: int) -> tuple[LogLevel, str]:
    """A line of a shop's log: everyday words, an id in each, and seldom something strange."""
    level = _CHANCE.choice(_LEVELS)
    if number % 50_021 == 17:
        return LogLevel.ERROR, f"certificate of gateway expired after {number} requests"
    verb, noun = _CHANCE.choice(_VERBS), _CHANCE.choice(_NOUNS)
    spent = _CHANCE.randint(1, 900)
    return level, f"{noun} {_CHANCE.randint(1, 9_999_999)} {verb} in {spent} ms by /api/{noun}s"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
        if options.database:
            settings["DATABASE_URL"] = options.database
        app = create_app(settings)
        token, services = _prepare(app)
        with app.app_context():
            db.engine.dispose()
        _measure_ingest(settings, token, services[0], options.ingest)
        _fill(app, services, options.rows)
        _measure_searches(app, token, services)


def _measure_ingest(settings: dict[str, str], token: str, service: str, rows: int) -> None:
    """Send batches on two connections to a server that has one core."""
    port = free_port()
    environment = os.environ | settings | {"PORT": str(port), "WEB_CONCURRENCY": "1"}
    command = [sys.executable, "-m", "cms_services", "run"]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], env=environment, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/readyz")
        os.sched_setaffinity(0, {1})
        bodies = [_body(begin) for begin in range(0, rows, _BATCH)]
        spent: list[float] = []

        def send() -> None:
            while True:
                try:
                    body = bodies.pop()
                except IndexError:
                    return
                request = urllib.request.Request(f"{url}/api/services/{service}/logs", body)
                request.add_header("Content-Type", "application/json")
                request.add_header("Authorization", f"Bearer {token}")
                began = time.perf_counter()
                with urllib.request.urlopen(request) as answer:
                    assert orjson.loads(answer.read())["data"]["accepted"] == _BATCH
                spent.append(time.perf_counter() - began)

        before = _cpu_seconds(process.pid)
        began = time.perf_counter()
        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        cpu = _cpu_seconds(process.pid) - before
        print(
            f"ingest: {rows / seconds:,.0f} entries/s on one core, {cpu / rows * 1e6:.1f} us CPU "
            f"an entry; a batch of {_BATCH} in {statistics.median(spent) * 1000:.0f} ms (p50)",
            flush=True,
        )
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.killpg(process.pid, 15)
        process.wait(30)


def _cpu_seconds(pid: int) -> float:
    """What the web process below gunicorn's first has used."""
    ticks = 0
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    for child in [str(pid), *children.split()]:
        with open(f"/proc/{child}/stat") as file:
            ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _body(begin: int) -> bytes:
    moment = datetime.now(UTC) - timedelta(days=2)
    return orjson.dumps(
        {
            "entries": [
                {
                    "timestamp": moment + timedelta(milliseconds=begin + n),
                    "level": level,
                    "message": message,
                    "source": "http",
                    "attributes": {"status": 200, "region": "eu"},
                }
                for n in range(_BATCH)
                for level, message in [line(begin + n)]
            ]
        }
    )


def _fill(app: Flask, services: list[str], rows: int) -> None:
    began = time.perf_counter()
    with app.app_context():
        count = db.session.scalar(select(func.count(LogEntry.id))) or 0
        db.session.rollback()
        start = datetime.now(UTC) - timedelta(days=2)
        step = timedelta(days=2) / rows
        number = count
        while number < rows:
            half = number % (2 * _BATCH) < _BATCH
            service = services[0] if half else services[1 + number // (2 * _BATCH) % _OTHERS]
            entries = []
            for _ in range(_BATCH):
                level, message = line(number)
                found = {"status": 200, "region": "eu", "shard": str(number % 5000)}
                entries.append(NewLogEntry(level, message, start + step * number, "http", found))
                number += 1
            with writing():
                store_entries(service, entries, masking=False)
        total = db.session.scalar(select(func.count(LogEntry.id)))
        db.session.rollback()
        # Servers do so by themselves, within minutes.
        if db.engine.dialect.name == "postgresql":
            db.session.execute(text("ANALYZE"))
            db.session.commit()
    print(f"{total:,} entries after {time.perf_counter() - began:.0f} s", flush=True)


def _measure_searches(app: Flask, token: str, services: list[str]) -> None:
    freeze_what_is_loaded()
    client = app.test_client()
    headers = {"Authorization": f"Bearer {token}"}
    queries = {
        "newest": "",
        "level=error": "level=error",
        "level=warn (two levels)": "level=warn",
        "rare word": "q=certificate",
        "rare beginning of a word": "q=certif",
        "common word": "q=payment",
        "two common words": "q=payment+archived",
        "common phrase": 'q="ms by"',
        "rare phrase": 'q="gateway expired"',
        "a number": "q=100059",
        "exclusion": "q=payment+-archived",
        "common word, level=error": "q=payment&level=error",
        "rare word, level=error": "q=certificate&level=error",
        "word that is nowhere": "q=zeppelin",
        "attribute": "attribute=shard:4711",
        "two common words that never meet": "q=payment+invoice",
        "phrase that is nowhere, of common words": 'q="by payment"',
    }
    for name, service in (("half of all rows", services[0]), ("one of 100", services[1])):
        print(f"\n{'a service with ' + name:44}{'p50 ms':>9}{'p95 ms':>9}{'rows':>7}")
        for what, query in queries.items():
            path = f"/api/services/{service}/logs?{query}"
            times, found = _times(lambda path=path: client.get(path, headers=headers))
            p95 = statistics.quantiles(times, n=20)[18]
            print(f"  {what:42}{statistics.median(times):9.1f}{p95:9.1f}{found:7}", flush=True)


def _times(ask: Callable[[], Any]) -> tuple[list[float], int]:
    times = []
    for _ in range(25):
        began = time.perf_counter()
        answer = ask()
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    return times[5:], len(answer.json["data"])


def _prepare(app: Flask) -> tuple[str, list[str]]:
    """An account with its services; its token, and their row ids."""
    with app.app_context():
        upgrade_schema()
        with writing():
            user = User(email="b@x.io", name="B", password_hash=hash_password("Benchmark-1"))
            db.session.add(user)
            db.session.flush()
            actor = Actor(user_id=user.id, role=Role.USER)
            services = [
                create_service(actor, NewService(f"Shop {n}", ServiceType.API)).id
                for n in range(1 + _OTHERS)
            ]
            lifetimes = token_lifetimes()
            session = begin_session(ANONYMOUS, user, lifetimes.session)
            token = issue_tokens(session, current_signing_keys(), lifetimes).access_token
    return token, services


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--ingest", type=int, default=200_000, help="entries sent through HTTP")
    parser.add_argument("--database", help="URL of an empty database; else an SQLite of its own")
    return parser.parse_args()


if __name__ == "__main__":
    main()
