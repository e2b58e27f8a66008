"""Checks by hand: a storm of calls, thresholds, dependencies, and what is kept of changes."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.health.recording import Finding, record
from cms_services.monitoring.health.schedule import claim_due, claim_one
from cms_services.monitoring.probes import running
from tests.conftest import MakeApp, NewPerson
from tests.monitoring.workers import (
    LOCAL,
    Target,
    a_target,
    rows,
    schedule,
    until,
    worker,
)
from tests.people import Person, data_of


@pytest.fixture
def target() -> Iterator[Target]:
    with a_target() as server:
        yield server


@pytest.fixture
def probing(make_app: MakeApp) -> Flask:
    return make_app(PROBE_ALLOWED_NETWORKS=LOCAL, WEB_THREADS="40")


@pytest.fixture
def owner(probing: Flask, new_person: NewPerson) -> Person:
    return new_person("Alice", of=probing)


def configured(url: str, **fields: Any) -> dict[str, Any]:
    return {"healthChecks": [{"type": "http", "target": url} | fields]}


class TestStorm:
    def test_one_runs_at_a_time_and_all_get_its_answer(
        self, owner: Person, make_app: MakeApp, target: Target, probing: Flask
    ) -> None:
        target.seconds = 1.0
        service = owner.new_service(configuration=configured(f"{target.url}/slow"))
        # Two nodes over one database.
        other = make_app(PROBE_ALLOWED_NETWORKS=LOCAL, WEB_THREADS="40")
        callers = [Person(app.test_client(), owner.user_id, owner.email, owner.token)
                   for app in (probing, other) for _ in range(5)]  # fmt: skip
        answers: list[Any] = []

        def ask(caller: Person) -> None:
            answers.append(caller.post(f"/api/services/{service['id']}/health"))

        threads = [threading.Thread(target=ask, args=(each,)) for each in callers]
        threads[0].start()
        until(lambda: target.calls["/slow"] == 1)
        for each in threads[1:]:
            each.start()
        for each in threads:
            each.join()
        reports = [data_of(answer) for answer in answers]
        assert {report["status"] for report in reports} == {"healthy"}
        assert target.most_at_once == 1
        # On a slow machine some may ask when the first run is over.
        runs = target.calls["/slow"]
        assert runs <= 3
        assert len({report["checkedAt"] for report in reports}) == runs
        assert len(data_of(owner.get(f"/api/services/{service['id']}/health/history"))) == runs

    def test_who_finds_a_worker_at_it_runs_after_it(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        target.seconds = 0.5
        service = owner.new_service(configuration=configured(f"{target.url}/slow"))
        schedule(probing, now())
        with worker(probing):
            until(lambda: target.calls["/slow"] == 1)
            report = data_of(owner.post(f"/api/services/{service['id']}/health"))
        assert (report["status"], target.calls["/slow"]) == ("healthy", 2)

    def test_a_run_that_was_killed_is_taken_over(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        fields = {"interval": "5s", "timeout": "3s"}
        service = owner.new_service(configuration=configured(f"{target.url}/x", **fields))
        schedule(probing)
        with probing.app_context():
            # A lease of someone who died, and that is about to end.
            claim_one("hand:killed", service["id"], now() - timedelta(seconds=5.5))
            db.session.commit()
        report = data_of(owner.post(f"/api/services/{service['id']}/health"))
        assert (report["status"], target.calls["/x"]) == ("healthy", 1)

    def test_the_lease_of_a_killed_worker_keeps_nobody_waiting(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        fields = {"interval": "1h", "timeout": "3s"}
        owner.new_service(configuration=configured(f"{target.url}/x", **fields))
        start = now() - timedelta(seconds=2)
        schedule(probing, start)
        with probing.app_context():
            (killed,) = claim_due("killed", start, start, 1)
            db.session.commit()
        begun = time.monotonic()
        report = data_of(owner.post(f"/api/services/{killed.service_id}/health"))
        assert (report["status"], target.calls["/x"]) == ("healthy", 1)
        # The run might have taken its timeout; the lease lasts half a minute longer.
        assert 1 <= time.monotonic() - begun < 15
        with probing.app_context():
            assert record([Finding(killed, start, [])]) == 0
        assert rows(probing)[0].lease_holder is None

    def test_scrapes_are_left_to_the_worker(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        configuration = configured(f"{target.url}/x") | {
            "metrics": {"url": f"{target.url}/metrics"}
        }
        service = owner.new_service(configuration=configuration)
        due = now().replace(microsecond=0)
        schedule(probing, scrapes=due)
        data_of(owner.post(f"/api/services/{service['id']}/health"))
        assert rows(probing)[0].due_at == due


class TestCutShort:
    def test_a_check_that_has_more_time_than_somebody_waits_says_nothing_of_health(
        self, owner: Person, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = owner.new_service(configuration=configured(f"{target.url}/x"))
        path = f"/api/services/{service['id']}/health"
        data_of(owner.post(path))
        known = data_of(owner.get(path))
        monkeypatch.setattr(running, "LONGEST_BY_HAND", 0.2)
        target.seconds = 1.0
        report = data_of(owner.post(path))
        assert report["status"] == "unknown"
        assert report["checks"][0]["message"] == (
            "Cut short: no answer within the 0.2 s that a check by hand has; its timeout is 5 s."
        )
        assert data_of(owner.get(path)) == known
        assert len(data_of(owner.get(f"{path}/changes"))) == 1

    def test_its_own_timeout_is_a_failure(
        self, owner: Person, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configuration = configured(f"{target.url}/x", timeout="200ms")
        service = owner.new_service(configuration=configuration)
        target.seconds = 1.0
        report = data_of(owner.post(f"/api/services/{service['id']}/health"))
        assert (report["status"], report["checks"][0]["message"]) == (
            "unhealthy", "No answer within 0.2 s.",
        )  # fmt: skip


class TestThresholds:
    def test_it_takes_failures_in_a_row(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        limits = {"failureThreshold": 3, "successThreshold": 2}
        service = owner.new_service(configuration=configured(f"{target.url}/x", **limits))
        path = f"/api/services/{service['id']}/health"
        seen = []
        for status in (200, 503, 503, 503, 200, 200):
            target.statuses["/x"] = status
            found_now = data_of(owner.post(path))["status"]
            assert found_now == ("healthy" if status == 200 else "unhealthy")
            seen.append(data_of(owner.get(path))["status"])
        assert seen == ["healthy", "healthy", "healthy", "unhealthy", "unhealthy", "healthy"]
        changes = data_of(owner.get(f"{path}/changes"))
        assert [(each["from"], each["to"]) for each in changes] == [
            ("unhealthy", "healthy"), ("healthy", "unhealthy"), ("unknown", "healthy"),
        ]  # fmt: skip
        assert changes[1]["cause"] == "HTTP 503"
        assert changes[1]["check"] == data_of(owner.get(path))["checks"][0]["name"]
        first = data_of(owner.get(f"{path}/changes?limit=1"))
        assert first == changes[:1]

    def test_undecided_checks_are_asked_again_soon(
        self, owner: Person, target: Target, probing: Flask
    ) -> None:
        fields = {"interval": "1h", "retryInterval": "1s", "failureThreshold": 2}
        owner.new_service(configuration=configured(f"{target.url}/x", **fields))
        target.statuses["/x"] = 500
        schedule(probing, now())
        with worker(probing):
            until(lambda: rows(probing)[0].status == "unhealthy")
        assert target.calls["/x"] == 2
        assert (rows(probing)[0].due_at - now()).total_seconds() > 3000


class TestDependencies:
    def test_a_service_is_degraded_while_one_it_needs_is_unhealthy(
        self, owner: Person, target: Target, new_person: NewPerson, probing: Flask
    ) -> None:
        def new(name: str, person: Person = owner, **fields: Any) -> str:
            configuration = configured(f"{target.url}/{name}")
            made = person.new_service(name=name, configuration=configuration, **fields)
            return f"/api/services/{made['id']}/health"

        # Another owner's service of the same name does not count.
        stranger = new_person("Charlie", of=probing)
        target.statuses["/db"] = 503
        strangers = new("db", stranger)
        data_of(stranger.post(strangers))
        api = new("api", dependencies=["db", "nowhere"])
        assert data_of(owner.post(api))["status"] == "healthy"
        database = new("db")
        assert data_of(owner.post(database))["status"] == "unhealthy"
        report = data_of(owner.post(api))
        assert report["status"] == "degraded"
        assert report["checks"][-1]["message"] == "Unhealthy: db"
        assert data_of(owner.get(api))["status"] == "degraded"
        # What is known of them outlives a change of the service.
        service = api.removesuffix("/health")
        data_of(owner.patch(service, json={"description": "changed"}))
        assert data_of(owner.post(api))["status"] == "degraded"
        target.statuses["/db"] = 200
        data_of(owner.post(database))
        assert data_of(owner.post(api))["status"] == "healthy"
        changes = data_of(owner.get(f"{api}/changes"))
        told = [each["to"] for each in changes if each["check"] == "dependencies"]
        assert told == ["healthy", "degraded"]
