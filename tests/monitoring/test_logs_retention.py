"""Entries go when they are old, or when a log is too large: the oldest first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.monitoring.logs import retention
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.models import LogBlock, LogEntry, LogVolume
from cms_services.monitoring.logs.retention import prune_logs
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.settings import current_settings
from cms_services.vocabulary import LogLevel
from cms_services.web.transactions import writing
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of

DAY = timedelta(days=1)
START = now().replace(microsecond=0)


@pytest.fixture(autouse=True)
def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 4)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)


def store(app: Flask, service: str, *entries: NewLogEntry) -> None:
    with app.app_context(), writing():
        assert not store_entries(service, entries, masking=False).rejected


def prune(app: Flask, moment: datetime) -> int:
    with app.app_context(), fixed_at(moment):
        return prune_logs(current_settings())


def left(app: Flask, service: str) -> list[str]:
    query = select(LogEntry.message).where(LogEntry.service_id == service).order_by(LogEntry.at)
    with app.app_context():
        return list(db.session.scalars(query))


def totals(app: Flask) -> tuple[Any, ...]:
    """The entries and bytes that are counted, and those that there are."""
    with app.app_context():
        counted = db.session.execute(
            select(func.coalesce(func.sum(LogVolume.entries), 0), func.sum(LogVolume.size))
        ).one()
        there = db.session.execute(select(func.count(LogEntry.id), func.sum(LogEntry.size))).one()
    return tuple(counted), tuple(there)


def aged(*days: float) -> list[NewLogEntry]:
    return [NewLogEntry(LogLevel.INFO, f"{each} days", START - each * DAY) for each in days]


def test_each_service_keeps_them_as_long_as_it_says_or_as_the_setting_does(
    make_app: MakeApp, new_person: NewPerson
) -> None:
    app = make_app(LOG_RETENTION_DAYS="3")
    alice = new_person("Alice", of=app)
    services = {
        name: alice.new_service(configuration=configuration)["id"]
        for name, configuration in {
            "default": {},
            "short": {"logging": {"retention": "1d"}},
            "long": {"logging": {"retention": "30-days"}},
        }.items()
    }
    ages = {"default": (0, 1.5, 2.9), "short": (0, 0.9), "long": (0, 1.5, 2.9, 29)}
    with fixed_at(START):
        for name, service in services.items():
            store(app, service, *aged(*ages[name]))
    assert prune(app, START) == 0
    assert prune(app, START + 0.5 * DAY) == 2
    assert left(app, services["default"]) == ["1.5 days", "0 days"]
    assert left(app, services["short"]) == ["0 days"]
    assert prune(app, START + 1.2 * DAY) == 2
    assert left(app, services["long"]) == ["2.9 days", "1.5 days", "0 days"]
    counted, there = totals(app)
    assert counted == there


def test_many_go_in_batches_with_their_blocks_and_volumes(app: Flask, alice: Person) -> None:
    service = alice.new_service()["id"]
    with fixed_at(START - 29 * DAY):
        for n in range(3):
            store(app, service, *(NewLogEntry(LogLevel(level), f"{n} {level}")
                                  for level in LogLevel for _ in range(3)))  # fmt: skip
    store(app, service, NewLogEntry(LogLevel.INFO, "kept"))
    assert prune(app, START + 2 * DAY) == 36
    assert left(app, service) == ["kept"]
    counted, there = totals(app)
    assert counted == there
    assert prune(app, START + 2 * DAY) == 0
    path = f"/api/services/{service}/logs"
    assert [e["message"] for e in data_of(alice.get(f"{path}?q=kept"))] == ["kept"]
    store(app, service, NewLogEntry(LogLevel.INFO, "newer", START + timedelta(hours=1)))
    assert prune(app, START + 40 * DAY) == 2
    with app.app_context():
        assert db.session.scalar(select(func.count(LogVolume.start))) == 0
        assert db.session.scalar(select(func.count(LogBlock.id))) <= 1


def test_a_log_that_is_too_large_loses_its_oldest(make_app: MakeApp, new_person: NewPerson) -> None:
    app = make_app(LOG_SIZE_LIMIT_MB="1")
    alice = new_person("Alice", of=app)
    large, small = (alice.new_service()["id"] for _ in range(2))
    text = "x" * 65_000
    with fixed_at(START):
        store(app, small, *aged(5))
        for n in range(20):
            entry = NewLogEntry(LogLevel.INFO, text, START - timedelta(minutes=20 - n), str(n))
            store(app, large, entry)
    assert prune(app, START) == 4
    with app.app_context():
        sources = set(db.session.scalars(select(LogEntry.source)))
    assert sources == {"", *(str(n) for n in range(4, 20))}
    counted, there = totals(app)
    assert counted == there
    assert prune(app, START) == 0


def test_two_runs_at_once_count_nothing_twice(app: Flask, alice: Person) -> None:
    """A run that takes longer than a minute is joined by the next one."""
    service = alice.new_service()["id"]
    store(app, service, *aged(*(25 + number / 100 for number in range(120)), 1, 2, 3))

    def run(_: int) -> int:
        with app.app_context():
            return prune_logs(current_settings())

    with fixed_at(START + 10 * DAY), ThreadPoolExecutor(2) as threads:
        gone = list(threads.map(run, range(2)))
    assert sum(gone) == 120
    assert left(app, service) == ["3 days", "2 days", "1 days"]
    counted, there = totals(app)
    assert counted == there
