"""Uptime: of periods, exact under gaps, as JSON and as CSV."""

import csv
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlalchemy import insert

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthPeriod
from cms_services.monitoring.health.periods import Period, Standing, advanced, seconds_by_status
from cms_services.monitoring.health.schedule import claim_due
from cms_services.monitoring.health.synchronising import synchronise
from cms_services.monitoring.health.uptime import percent_up
from cms_services.vocabulary import HealthStatus
from tests.monitoring.test_schedule import found, http_check
from tests.monitoring.workers import rows, schedule
from tests.people import Person, data_of, error_of

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_STATUSES = ["healthy", "degraded", "unhealthy", "unknown", "maintenance"]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def at(second: int) -> datetime:
    return START + second * SECOND


_results = some.lists(
    some.tuples(
        # Steps of the clock, some of them back.
        some.integers(-20, 60),
        some.sampled_from(_STATUSES),
        some.integers(0, 40),
    ),
    max_size=30,
)


class TestPeriods:
    @settings(max_examples=150, deadline=None)
    @given(_results, some.integers(0, 200), some.integers(1, 400))
    def test_each_second_is_what_the_last_result_says_as_long_as_it_holds(
        self, results: list[tuple[int, str, int]], start: int, length: int
    ) -> None:
        standing, periods, present = Standing(), [], 0
        # By the second, what a result says; the latest result wins, time never runs back.
        seconds: dict[int, str] = {}
        since = None
        for step, status, holds in results:
            present = max(0, present + step)
            standing, period = advanced(standing, status, at(present), at(present + holds))
            periods += [period] if period else []
            moment = present if since is None else max(present, since)
            for each in [each for each in seconds if each >= moment]:
                del seconds[each]
            if status != HealthStatus.UNKNOWN:
                seconds |= dict.fromkeys(range(moment, max(moment, present + holds)), status)
            begun = standing.since or standing.until
            since = None if begun is None else int((begun - START).total_seconds())
        last = present + 50
        final = standing.lasted(at(last))
        periods += [final] if final else []
        assert all(each.end > each.start for each in periods)
        assert all(a.end <= b.start for a, b in pairwise(periods))
        counted = seconds_by_status(periods, at(start), at(start + length))
        window = [s for n, s in seconds.items() if start <= n < start + length and n < last]
        assert counted == {status: window.count(status) for status in set(window)}

    def test_maintenance_goes_on_until_it_ends(self) -> None:
        standing, _ = advanced(Standing(), "maintenance", at(0), None)
        assert standing.lasted(at(5000)) == Period("maintenance", at(0), at(5000))
        _, period = advanced(standing, "healthy", at(6000), at(6060))
        assert period == Period("maintenance", at(0), at(6000))

    def test_percent_leaves_out_what_is_not_known(self) -> None:
        assert percent_up({"healthy": 50, "degraded": 25, "unhealthy": 25}) == 75
        assert percent_up({"maintenance": 50, "unhealthy": 1}) == 0
        assert percent_up({"maintenance": 50}) is None


def checked(app: Flask, moments: dict[int, str], start: datetime = START) -> None:
    """Let the only service's checks find something at each of some seconds after a start."""
    for second, status in moments.items():
        moment = start + second * SECOND
        schedule(app, moment)
        with app.app_context():
            (claimed,) = claim_due("test", moment, moment, 10)
            db.session.commit()
        found(app, claimed, moment, HealthStatus(status))


def uptime(person: Person, service: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = person.get(f"/api/services/{service['id']}/health/uptime", query_string=query)
    found: dict[str, Any] = data_of(answer)
    return found


def wire(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class TestWindows:
    def test_gaps_are_neither_up_nor_down(self, alice: Person, app: Flask) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        # A result holds for two intervals of 30 s and the timeout of 5 s.
        checked(app, {0: "healthy", 30: "degraded", 60: "unhealthy", 90: "healthy", 600: "healthy"})
        window = {"from": wire(at(-60)), "to": wire(at(700))}
        told = uptime(alice, service, **window)
        assert [told[name] for name in ("up", "degraded", "down", "maintenance")] == [
            190,
            30,
            30,
            0,
        ]
        assert told["unknown"] == 60 + (600 - 155) + (700 - 665)
        assert told["percent"] == pytest.approx(100 * 190 / 220, abs=0.001)
        assert [(each["status"], each["from"], each["to"]) for each in told["periods"]] == [
            ("healthy", wire(at(0)), wire(at(30))),
            ("degraded", wire(at(30)), wire(at(60))),
            ("unhealthy", wire(at(60)), wire(at(90))),
            ("healthy", wire(at(90)), wire(at(155))),
            ("healthy", wire(at(600)), wire(at(665))),
        ]

    def test_a_month_by_utc(self, alice: Person, app: Flask) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        schedule(app)
        day = timedelta(days=1)
        periods = [
            ("healthy", START - day, START + 10 * day),
            ("unhealthy", START + 10 * day, START + 11 * day),
            ("maintenance", START + 11 * day, START + 13 * day),
            ("healthy", START + 30 * day, START + 40 * day),
        ]
        with app.app_context():
            values = [
                {"service_id": service["id"], "status": status, "started_at": a, "ended_at": b}
                for status, a, b in periods
            ]
            db.session.execute(insert(HealthPeriod), values)
            db.session.commit()
        march = uptime(alice, service, month="2026-03")
        assert (march["from"], march["to"]) == (wire(START), wire(START + 31 * day))
        assert (march["up"], march["down"]) == (11 * 86400, 86400)
        assert march["percent"] == pytest.approx(100 * 11 / 12, abs=0.001)
        assert march["unknown"] == 17 * 86400
        assert uptime(alice, service, month="2026-05")["percent"] is None

    @on_sqlite
    def test_csv_has_the_periods_and_the_sums(self, alice: Person, app: Flask) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        checked(app, {0: "healthy", 30: "unhealthy"})
        query = {"from": wire(at(0)), "to": wire(at(60)), "format": "csv"}
        answer = alice.get(f"/api/services/{service['id']}/health/uptime", query_string=query)
        assert answer.mimetype == "text/csv"
        lines = list(csv.DictReader(answer.text.splitlines()))
        assert [(line["status"], float(line["seconds"])) for line in lines] == [
            ("healthy", 30), ("unhealthy", 30), ("total up", 30), ("total degraded", 0),
            ("total down", 30), ("total maintenance", 0), ("total unknown", 0),
        ]  # fmt: skip
        assert lines[2]["percent"] == "50.0"

    @on_sqlite
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"month": "2026-13"}, "month"),
            ({"month": "9999-12"}, "month"),
            ({"month": "2026-11\n"}, "month"),
            ({"month": "2\u0660\u0662\u0666-11"}, "month"),
            ({"month": "2026-01", "from": "2026-01-01T00:00:00Z"}, "month"),
            ({"to": "2026-01-01T00:00:00Z"}, "to"),
            ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
            ({"from": "1990-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
            ({"format": "xml"}, "format"),
        ],
        ids=str,
    )
    def test_an_odd_stretch_is_refused(
        self, alice: Person, query: dict[str, str], field: str
    ) -> None:
        path = f"/api/services/{alice.new_service()['id']}/health/uptime"
        error = error_of(alice.get(path, query_string=query), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]

    def test_maintenance_counts_and_is_silent_before_the_schedule_knows_of_it(
        self, alice: Person, app: Flask
    ) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/", interval="1h"))
        begin = now().replace(microsecond=0) - timedelta(minutes=1)
        checked(app, {0: "healthy"}, begin)
        schedule(app, begin + 30 * SECOND)
        with app.app_context():
            (claimed,) = claim_due("test", begin + 30 * SECOND, begin + 30 * SECOND, 10)
            db.session.commit()
        data_of(alice.patch(f"/api/services/{service['id']}", json={"status": "maintenance"}))
        changed = now()
        found(app, claimed, begin + 30 * SECOND, HealthStatus.UNHEALTHY)
        with app.app_context():
            # The event was missed, and the comparison of all comes later.
            synchronise(begin + timedelta(minutes=5))
        (row,) = rows(app)
        assert (row.status, row.since) == ("maintenance", pytest.approx(changed, abs=2 * SECOND))
        window = {"from": wire(begin), "to": wire(begin + 50 * SECOND)}
        assert uptime(alice, service, **window)["up"] == 50
        events = data_of(alice.get("/api/events?type=service.health_changed"))
        assert [each["data"]["to"] for each in events] == ["healthy"]

    def test_maintenance_does_not_count_and_tells_nobody(self, alice: Person, app: Flask) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        checked(app, {0: "healthy"})
        path = f"/api/services/{service['id']}"
        data_of(alice.patch(path, json={"status": "maintenance"}))
        with app.app_context():
            synchronise(at(20))
        assert rows(app)[0].due_at is not None
        checked(app, {50: "unhealthy"})
        assert rows(app)[0].health == "unhealthy"
        data_of(alice.patch(path, json={"status": "active"}))
        with app.app_context():
            synchronise(at(80))
        checked(app, {100: "unhealthy"})
        told = uptime(alice, service, **{"from": wire(at(0)), "to": wire(at(120))})
        assert [told[name] for name in ("up", "down", "maintenance", "unknown")] == [20, 20, 60, 20]
        events = data_of(alice.get("/api/events?type=service.health_changed"))
        assert [(each["data"]["from"], each["data"]["to"]) for each in events] == [
            ("unknown", "healthy"),
            ("healthy", "unhealthy"),
        ]
        assert events[1]["data"]["at"] == wire(at(100))

    @on_sqlite
    def test_what_no_longer_holds_says_nothing_of_a_window_without_results(
        self, alice: Person, app: Flask
    ) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        checked(app, {0: "healthy"}, now() - timedelta(days=3))
        health = data_of(alice.get(f"/api/services/{service['id']}/health"))
        assert health["uptime"] == {"24h": None, "7d": 100, "30d": 100}

    @on_sqlite
    def test_recent_uptime_follows_the_clock(self, alice: Person, app: Flask) -> None:
        service = alice.new_service(configuration=http_check("http://127.0.0.1:1/"))
        present = now().replace(microsecond=0)
        begin = present - timedelta(hours=25)
        checked(app, {0: "unhealthy", 30: "healthy", 25 * 3600 - 10: "healthy"}, begin)
        with fixed_at(present):
            health = data_of(alice.get(f"/api/services/{service['id']}/health"))
        assert health["uptime"] == {
            "24h": 100,
            "7d": pytest.approx(100 * 75 / 105, abs=0.001),
            "30d": pytest.approx(100 * 75 / 105, abs=0.001),
        }
