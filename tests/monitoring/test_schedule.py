"""What is due, and which of several workers runs it."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.health.database_clock import DatabaseClock
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.recording import Finding, record
from cms_services.monitoring.health.reports import prune_health
from cms_services.monitoring.health.schedule import Claimed, claim_due, release
from cms_services.monitoring.health.set_back import bring_nearer
from cms_services.monitoring.health.synchronising import synchronise, synchronise_services
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import CheckResult
from cms_services.monitoring.probes.running import run_checks
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.monitoring.protocols.measurements import Decoded
from cms_services.monitoring.protocols.prometheus_text import decode_text
from cms_services.vocabulary import HealthStatus
from tests.conftest import MakeApp, NewPerson
from tests.monitoring.workers import LOCAL, Target, a_target, rows, schedule, until, worker
from tests.people import Person, data_of

SECOND = timedelta(seconds=1)
on_servers = pytest.mark.parametrize("database_kind", ["postgresql", "mariadb"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def target() -> Iterator[Target]:
    with a_target() as server:
        yield server


@pytest.fixture
def probing(make_app: MakeApp) -> Flask:
    return make_app(PROBE_ALLOWED_NETWORKS=LOCAL)


@pytest.fixture
def owner(probing: Flask, new_person: NewPerson) -> Person:
    return new_person("Alice", of=probing)


def http_check(url: str, **fields: Any) -> dict[str, Any]:
    return {"healthChecks": [{"type": "http", "target": url, "interval": "30s"} | fields]}


def new_services(owner: Person, target: Target, count: int, **fields: Any) -> list[str]:
    """Make services that ask a path each; returns the paths."""
    paths = [f"/{number}" for number in range(count)]
    for path in paths:
        owner.new_service(configuration=http_check(f"{target.url}{path}", **fields))
    return paths


def claim(app: Flask, holder: str, present: datetime, limit: int = 100) -> list[Claimed]:
    with app.app_context():
        claimed = claim_due(holder, present, present, limit)
        db.session.commit()
        return claimed


class TestWhatIsDue:
    def test_first_checks_are_spread_over_their_interval(
        self, owner: Person, probing: Flask
    ) -> None:
        for _ in range(4):
            owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        present, chances = now(), iter((0.0, 0.25, 0.5, 0.999))
        with probing.app_context():
            assert synchronise(present, lambda: next(chances)) == 4
            assert synchronise(present) == 0
        waits = sorted((row.due_at - present).total_seconds() for row in rows(probing))
        assert waits == pytest.approx([0, 7.5, 15, 29.97], abs=0.01)

    @pytest.mark.parametrize("status", ["inactive", "cancelled"])
    def test_a_service_that_is_off_is_not_due(
        self, owner: Person, probing: Flask, status: str
    ) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        schedule(probing)
        assert rows(probing)[0].due_at is not None
        path = f"/api/services/{service['id']}"
        data_of(owner.delete(path) if status == "cancelled" else owner.post(f"{path}/suspend"))
        schedule(probing)
        assert rows(probing)[0].due_at is None
        if status == "inactive":
            data_of(owner.post(f"{path}/resume"))
            schedule(probing)
            assert rows(probing)[0].due_at is not None

    @on_servers
    def test_a_row_that_somebody_is_writing_is_left_for_the_next_time(
        self, owner: Person, probing: Flask
    ) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        schedule(probing)
        config = http_check("http://127.0.0.1:2/")
        data_of(owner.put(f"/api/services/{service['id']}/config", json=config))
        with probing.app_context():
            db.session.execute(select(MonitoredService).with_for_update()).all()
            with probing.app_context():
                assert synchronise_services([service["id"]], now()) == 0
                db.session.rollback()
            db.session.rollback()
            assert synchronise_services([service["id"]], now()) == 1
            db.session.rollback()

    def test_another_interval_makes_the_check_due_anew(self, owner: Person, probing: Flask) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/", interval="1h"))
        schedule(probing, now() + timedelta(hours=1))
        config = http_check("http://127.0.0.1:1/", interval="10s")
        data_of(owner.put(f"/api/services/{service['id']}/config", json=config))
        schedule(probing)
        assert rows(probing)[0].due_at <= now() + 10 * SECOND

    def test_the_phase_is_kept_and_what_was_missed_left_out(
        self, owner: Person, probing: Flask
    ) -> None:
        owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now().replace(microsecond=0)
        schedule(probing, start)
        for late, following in ((3, 30), (30 + 65, 120)):
            (claimed,) = claim(probing, "worker", start + late * SECOND)
            found(probing, claimed, start + late * SECOND, HealthStatus.HEALTHY)
            assert rows(probing)[0].due_at == start + following * SECOND


def found(app: Flask, claimed: Claimed, at: datetime, status: HealthStatus) -> int:
    """Record that all checks of a service found this."""
    results = [
        CheckResult(check.name, check.type, status, "found", at, 1.0) for check in claimed.checks
    ]
    with app.app_context():
        written = record([Finding(claimed, at, results)])
        db.session.commit()
        return written


class TestNoLongerChecked:
    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            ("config", "No checks are declared"),
            ("suspend", "The service is inactive"),
            ("cancel", "The service is cancelled"),
        ],
    )
    def test_it_is_told_that_health_is_unknown(
        self, owner: Person, probing: Flask, change: str, cause: str
    ) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now()
        schedule(probing, start)
        (claimed,) = claim(probing, "worker", start)
        found(probing, claimed, start, HealthStatus.UNHEALTHY)
        path = f"/api/services/{service['id']}"
        if change == "config":
            data_of(owner.put(f"{path}/config", json={}))
        else:
            data_of(owner.delete(path) if change == "cancel" else owner.post(f"{path}/suspend"))
        schedule(probing)
        schedule(probing)
        assert told(owner) == [("unknown", "unhealthy"), ("unhealthy", "unknown")]
        (*_, last) = data_of(owner.get("/api/events?type=service.health_changed"))
        assert (last["data"]["cause"], last["data"]["check"]) == (cause, None)
        assert last["data"]["serviceId"] == service["serviceId"]
        health = data_of(owner.get(f"{path}/health"))
        assert health["status"] == "unknown"

    def test_maintenance_is_silent(self, owner: Person, probing: Flask) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now()
        schedule(probing, start)
        (claimed,) = claim(probing, "worker", start)
        found(probing, claimed, start, HealthStatus.HEALTHY)
        path = f"/api/services/{service['id']}"
        data_of(owner.patch(path, json={"status": "maintenance"}))
        data_of(owner.put(f"{path}/config", json={}))
        schedule(probing)
        assert told(owner) == [("unknown", "healthy")]
        data_of(owner.patch(path, json={"status": "active"}))
        schedule(probing)
        assert told(owner) == [("unknown", "healthy"), ("healthy", "unknown")]

    def test_after_a_pause_the_next_result_is_told_and_takes_its_successes(
        self, owner: Person, probing: Flask
    ) -> None:
        configuration = http_check("http://127.0.0.1:1/", successThreshold=2)
        service = owner.new_service(configuration=configuration)
        path = f"/api/services/{service['id']}"

        def find(moment: datetime, status: HealthStatus) -> None:
            schedule(probing, moment)
            (claimed,) = claim(probing, "worker", moment)
            found(probing, claimed, moment, status)

        find(now() - 60 * SECOND, HealthStatus.UNHEALTHY)
        data_of(owner.post(f"{path}/suspend"))
        schedule(probing)
        data_of(owner.post(f"{path}/resume"))
        later = now() + SECOND
        find(later, HealthStatus.HEALTHY)
        assert data_of(owner.get(f"{path}/health"))["status"] == "unknown"
        find(later + SECOND, HealthStatus.HEALTHY)
        assert told(owner) == [
            ("unknown", "unhealthy"), ("unhealthy", "unknown"), ("unknown", "healthy"),
        ]  # fmt: skip
        changes = data_of(owner.get(f"{path}/health/changes"))
        assert [(each["from"], each["to"]) for each in reversed(changes)] == told(owner)
        assert changes[1]["cause"] == "The service is inactive"


def told(owner: Person) -> list[tuple[str, str]]:
    """From what to what the events of health tell that a service changed."""
    events = data_of(owner.get("/api/events?type=service.health_changed"))
    return [(each["data"]["from"], each["data"]["to"]) for each in events]


class TestLeases:
    def test_what_one_has_nobody_else_takes(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        new_services(owner, target, 3)
        start = now()
        schedule(probing, start)
        first = claim(probing, "first", start, limit=2)
        second = claim(probing, "second", start)
        assert (len(first), len(second)) == (2, 1)
        assert {each.service_id for each in first}.isdisjoint(e.service_id for e in second)
        with probing.app_context():
            release("first", [each.service_id for each in first])
            db.session.commit()
        assert len(claim(probing, "second", start)) == 2

    @pytest.mark.parametrize(("interval", "timeout"), [(5, 4), (30, 5), (3600, 10)])
    def test_a_killed_workers_checks_are_taken_over_within_two_intervals(
        self, owner: Person, probing: Flask, interval: int, timeout: int
    ) -> None:
        fields = {"interval": f"{interval}s", "timeout": f"{timeout}s"}
        owner.new_service(configuration=http_check("http://127.0.0.1:1/", **fields))
        start = now()
        schedule(probing, start)
        assert len(claim(probing, "killed", start)) == 1
        # Not while the killed one might still be at it.
        assert claim(probing, "other", start + timeout * SECOND) == []
        assert len(claim(probing, "other", start + 2 * interval * SECOND)) == 1

    def test_who_comes_too_late_writes_nothing(self, owner: Person, probing: Flask) -> None:
        owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now()
        schedule(probing, start)
        (late,) = claim(probing, "late", start)
        (taken,) = claim(probing, "other", start + 60 * SECOND)
        assert found(probing, late, start, HealthStatus.UNHEALTHY) == 0
        assert rows(probing)[0].lease_holder == "other"
        assert found(probing, taken, start + 60 * SECOND, HealthStatus.HEALTHY) == 1
        assert (rows(probing)[0].status, rows(probing)[0].lease_holder) == ("healthy", None)

    def test_checks_that_were_declared_anew_meanwhile_are_only_given_back(
        self, owner: Person, probing: Flask
    ) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now()
        schedule(probing, start)
        (claimed,) = claim(probing, "worker", start)
        config = http_check("http://127.0.0.1:2/")
        data_of(owner.put(f"/api/services/{service['id']}/config", json=config))
        schedule(probing)
        found(probing, claimed, start, HealthStatus.UNHEALTHY)
        (row,) = rows(probing)
        assert (row.status, row.lease_holder, row.checked_at) == ("unknown", None, None)


class TestClockSetBack:
    def test_what_is_too_far_ahead_is_due_in_its_phase_again(
        self, owner: Person, probing: Flask
    ) -> None:
        configuration = http_check("http://127.0.0.1:1/") | {
            "metrics": {"url": "http://127.0.0.1:1/metrics", "interval": "10s"}
        }
        owner.new_service(configuration=configuration)
        start = now().replace(microsecond=0)
        schedule(probing, start)
        schedule(probing, scrapes=start)
        assert len(claim(probing, "worker", start)) == 1
        back = start - timedelta(hours=1) + 7 * SECOND
        with probing.app_context():
            assert bring_nearer(back) == 1
            assert bring_nearer(back) == 0
        (row,) = rows(probing)
        scrapes = [datetime.fromtimestamp(due, UTC) for due in row.states["scrapes"].values()]
        assert scrapes == [back + 3 * SECOND] == [row.due_at]
        (check,) = row.states["checks"].values()
        assert datetime.fromtimestamp(check["due"], UTC) == back + 23 * SECOND
        # The lease may last as long as any, and no longer.
        assert claim(probing, "other", back + 4 * SECOND) == []
        assert len(claim(probing, "other", back + 45 * SECOND)) == 1

    def test_what_is_as_it_should_be_stays(self, owner: Person, probing: Flask) -> None:
        owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now()
        schedule(probing, start + 30 * SECOND)
        with probing.app_context():
            assert bring_nearer(start) == 0
        assert rows(probing)[0].due_at == start + 30 * SECOND


class TestWorkers:
    def test_two_workers_run_each_due_check_exactly_once(
        self, owner: Person, probing: Flask, make_app: MakeApp, target: Target
    ) -> None:
        paths = new_services(owner, target, 24)
        due = now() + 1.5 * SECOND
        schedule(probing, due)
        with worker(probing), worker(make_app(PROBE_ALLOWED_NETWORKS=LOCAL)):
            until(lambda: all(row.status == "healthy" for row in rows(probing)))
        assert target.calls == dict.fromkeys(paths, 1)
        assert max(target.at.values()) - due < 10 * SECOND
        assert min(target.at.values()) >= due
        assert {row.lease_holder for row in rows(probing)} == {None}
        assert {row.due_at for row in rows(probing)} == {due_after(due)}

    @on_servers
    def test_workers_whose_clocks_are_off_neither_double_nor_delay(
        self, owner: Person, probing: Flask, make_app: MakeApp, target: Target
    ) -> None:
        paths = new_services(owner, target, 12)
        due = now() + 1.5 * SECOND
        schedule(probing, due)
        other = make_app(PROBE_ALLOWED_NETWORKS=LOCAL)
        ahead, behind = (lambda: now() + 60 * SECOND), (lambda: now() - 60 * SECOND)
        with worker(probing, ahead), worker(other, behind):
            until(lambda: all(row.status == "healthy" for row in rows(probing)))
        assert target.calls == dict.fromkeys(paths, 1)
        assert timedelta(0) <= min(target.at.values()) - due + 0.05 * SECOND
        assert max(target.at.values()) - due < 20 * SECOND

    @on_servers
    def test_the_databases_clock_is_found_out(self, probing: Flask) -> None:
        off = DatabaseClock(lambda: now() + 10 * SECOND)
        with probing.app_context():
            assert off.measure().total_seconds() == pytest.approx(-10, abs=1)
        assert abs((off.now() - now()).total_seconds()) < 1

    @on_sqlite
    def test_checks_go_on_at_their_interval_when_the_clock_is_set_back(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        new_services(owner, target, 1, interval="5s")
        back = [timedelta(0)]
        schedule(probing, now() + 0.5 * SECOND)
        with worker(probing, lambda: now() - back[0]):
            until(lambda: rows(probing)[0].status == "healthy")
            back[0] = timedelta(hours=1)
            until(lambda: target.calls["/0"] >= 2)
            until(lambda: rows(probing)[0].lease_holder is None)
        (row,) = rows(probing)
        assert row.due_at <= now() - back[0] + 6 * SECOND

    @on_sqlite
    def test_a_clock_set_forward_has_each_check_run_once(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        new_services(owner, target, 1)
        ahead = [timedelta(0)]
        schedule(probing, now() + 20 * SECOND)
        with worker(probing, lambda: now() + ahead[0]):
            time.sleep(1)
            ahead[0] = timedelta(hours=1)
            until(lambda: rows(probing)[0].status == "healthy")
            time.sleep(1)
        assert target.calls == {"/0": 1}

    @on_servers
    def test_that_the_databases_clock_was_set_back_is_noticed(self, probing: Flask) -> None:
        """Where the clock that nobody sets is ahead, the database's was set back."""
        moved = [0.0]
        clock = DatabaseClock(monotonic=lambda: time.monotonic() + moved[0])
        with probing.app_context():
            clock.measure()
            clock.measure()
            assert not clock.was_set_back
            moved[0] = 60.0
            assert clock.own_was_set()
            clock.measure()
            assert clock.was_set_back
            clock.measure()
            assert not clock.was_set_back

    def test_who_is_stopped_finishes_what_runs_and_gives_back_the_rest(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        new_services(owner, target, 3)
        target.seconds = 0.6
        schedule(probing, now())
        later = owner.new_service(configuration=http_check(f"{target.url}/later"))
        schedule(probing)
        with worker(probing) as stop:
            until(lambda: len(target.calls) >= 3)
            stop()
        assert {row.lease_holder for row in rows(probing)} == {None}
        states = {row.service_id: row.status for row in rows(probing)}
        assert [states.pop(later["id"]) in ("unknown", "healthy"), *states.values()] == [
            True, "healthy", "healthy", "healthy",
        ]  # fmt: skip

    @on_sqlite
    def test_secrets_are_opened_for_the_run_alone(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        headers = {"X-Key": {"value": "open-sesame", "secret": True}}
        owner.new_service(configuration=http_check(f"{target.url}/x", headers=headers))
        schedule(probing, now())
        with worker(probing):
            until(lambda: rows(probing)[0].status == "healthy")
        assert target.headers["/x"]["X-Key"] == "open-sesame"
        (row,) = rows(probing)
        assert "open-sesame" not in str((row.checks, row.states))

    @on_sqlite
    def test_metrics_that_a_service_offers_are_fetched_when_due(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        target.bodies["/metrics"] = b"up 1\n"
        config = {"metrics": {"url": f"{target.url}/metrics", "interval": "10s"}}
        service = owner.new_service(configuration=config)
        schedule(probing, scrapes=now())
        fetched: list[tuple[str, list[str]]] = []

        def store(service_id: str, decoded: Decoded) -> None:
            fetched.append((service_id, [each.name for each in decoded.samples]))
            raise ValueError("one that can't be stored keeps nobody from working")

        with worker(probing, store_scrape=store):
            until(lambda: len(fetched) == 1)
            until(lambda: rows(probing)[0].lease_holder is None)
        assert fetched == [(service["id"], ["up"])]
        (row,) = rows(probing)
        assert 5 < (row.due_at - now()).total_seconds() <= 10
        assert row.status == "unknown"

    @on_sqlite
    def test_a_database_that_fails_for_a_while_loses_nothing(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        new_services(owner, target, 3)
        schedule(probing, now() + 0.5 * SECOND)
        failing = [True]

        def fail(_: Any, __: Any, statement: str, *___: Any) -> None:
            if failing[0] and statement.startswith("UPDATE monitored_services SET states"):
                failures.append(statement)
                raise OperationalError(statement, None, Exception("server went away"))

        failures: list[str] = []
        with probing.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", fail)
        try:
            with worker(probing):
                until(lambda: len(failures) > 1)
                failing[0] = False
                until(lambda: all(row.status == "healthy" for row in rows(probing)))
        finally:
            event.remove(engine, "before_cursor_execute", fail)
        assert sum(target.calls.values()) == 3

    def test_a_finding_that_the_database_refuses_holds_back_no_other(
        self,
        owner: Person,
        probing: Flask,
        target: Target,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Half a surrogate pair, which none of the databases takes, stands for what may come."""
        odd, *_ = new_services(owner, target, 3)

        async def run(checks: Sequence[Check], around: Surroundings) -> list[CheckResult]:
            results = await run_checks(checks, around)
            message = "\ud800" if checks[0].target.endswith(odd) else "found"
            return [replace(each, message=message) for each in results]

        monkeypatch.setattr("cms_services.worker.probing.run_checks", run)
        schedule(probing, now() + 0.5 * SECOND)
        with worker(probing):
            until(lambda: sorted(row.status for row in rows(probing))[:2] == ["healthy"] * 2)
            # The next batch is written too.
            owner.new_service(configuration=http_check(f"{target.url}/later", interval="5s"))
            schedule(probing)
            until(lambda: [row.status for row in rows(probing)].count("healthy") == 3)
        assert "finding dropped" in caplog.text

    @on_sqlite
    def test_fetched_metrics_outlast_a_database_that_fails_for_a_while(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        target.bodies["/metrics"] = b"up 1\n"
        config = {"metrics": {"url": f"{target.url}/metrics", "interval": "10s"}}
        good, bad = owner.new_service(configuration=config), owner.new_service(configuration=config)
        schedule(probing, scrapes=now())
        tries: list[str] = []

        def store(service_id: str, _: Decoded) -> None:
            tries.append(service_id)
            if service_id == bad["id"] or tries.count(service_id) < 3:
                raise OperationalError("INSERT", None, Exception("server went away"))
            stored.append(service_id)

        stored: list[str] = []
        with worker(probing, store_scrape=store):
            until(lambda: bool(stored))
        assert stored == [good["id"]]
        assert tries.count(good["id"]) == 3

    def test_checks_never_wait_for_fetched_metrics_that_take_long_to_read(
        self, owner: Person, probing: Flask, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target.bodies["/metrics"] = b"slow 1\n"
        config = {"metrics": {"url": f"{target.url}/metrics", "interval": "10s"}}
        owner.new_service(configuration=config)
        schedule(probing, scrapes=now())
        reading, read, stored = threading.Event(), threading.Event(), threading.Event()

        def slowly(text: str, at: datetime) -> Decoded:
            reading.set()
            assert read.wait(20)
            return decode_text(text, at)

        monkeypatch.setattr("cms_services.worker.probing.decode_text", slowly)
        with worker(probing, store_scrape=lambda *_: stored.set()):
            try:
                assert reading.wait(10)
                owner.new_service(configuration=http_check(f"{target.url}/x", interval="5s"))
                schedule(probing)
                until(lambda: sorted(row.status for row in rows(probing))[0] == "healthy")
                assert not stored.is_set()
            finally:
                read.set()
        assert stored.is_set()

    @on_sqlite
    def test_of_fetched_metrics_only_so_much_waits_for_the_database(
        self, owner: Person, probing: Flask, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target.bodies["/metrics"] = b"up 1\n"
        monkeypatch.setattr("cms_services.worker.probing._MOST_SCRAPED_CHARACTERS", 12)
        config = {"metrics": {"url": f"{target.url}/metrics", "interval": "10s"}}
        for _ in range(4):
            owner.new_service(configuration=config)
        schedule(probing, scrapes=now())
        failing = [True]

        def store(service_id: str, *_: Any) -> None:
            if failing[0]:
                raise OperationalError("INSERT", None, Exception("server went away"))
            stored.append(service_id)

        stored: list[str] = []
        with worker(probing, store_scrape=store):
            until(lambda: all(row.due_at > now() for row in rows(probing)))
            until(lambda: {row.lease_holder for row in rows(probing)} == {None})
            failing[0] = False
        # Of 5 characters each.
        assert len(stored) == 2

    @on_sqlite
    def test_new_services_and_changes_are_noticed_while_it_works(
        self, owner: Person, probing: Flask, target: Target
    ) -> None:
        with worker(probing):
            time.sleep(1)
            service = owner.new_service(configuration=http_check(f"{target.url}/x", interval="5s"))
            until(lambda: [row.status for row in rows(probing)] == ["healthy"])
            data_of(owner.delete(f"/api/services/{service['id']}"))
            until(lambda: rows(probing)[0].due_at is None)


class TestRetention:
    def test_what_is_too_old_goes(self, owner: Person, probing: Flask) -> None:
        service = owner.new_service(configuration=http_check("http://127.0.0.1:1/"))
        start = now() - timedelta(days=10)
        for day, status in ((0, "healthy"), (1, "unhealthy"), (9, "healthy")):
            moment = start + timedelta(days=day)
            schedule(probing, moment)
            (claimed,) = claim(probing, "worker", moment)
            found(probing, claimed, moment, HealthStatus(status))
        path = f"/api/services/{service['id']}/health"
        assert len(data_of(owner.get(f"{path}/history"))) == 3
        with probing.app_context():
            # Two reports, changes, periods and hours.
            assert prune_health(timedelta(days=5)) == 8
            assert prune_health(timedelta(days=5)) == 0
            db.session.commit()
        assert len(data_of(owner.get(f"{path}/history"))) == 1
        assert len(data_of(owner.get(f"{path}/changes"))) == 1


def due_after(due: datetime) -> datetime:
    return datetime.fromtimestamp(round((due + 30 * SECOND).timestamp(), 3), tz=due.tzinfo)
