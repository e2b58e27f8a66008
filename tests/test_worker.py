"""The background worker's jobs: what they remove, when, and which of several workers does them."""

import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update

from cms_services import pruning
from cms_services.accounts.models import Invitation, PasswordReset, UserSession
from cms_services.audit.models import AuditEntry
from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at
from cms_services.downloads.models import DownloadLink
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.idempotency.models import IdempotencyKey
from cms_services.monitoring.health.models import HealthPeriod, HealthReport
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.metrics.models import Metric, MetricPoint, MetricSeries
from cms_services.monitoring.models import IngestBatch
from cms_services.settings import current_settings
from cms_services.vocabulary import Role
from cms_services.worker import running
from cms_services.worker.jobs import Job
from cms_services.worker.models import JobClaim
from cms_services.worker.queue import JobConsumer, add_periodic, new_queue
from cms_services.worker.running import run_due_jobs, run_if_due
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run_jobs(app: Flask, at: datetime) -> None:
    with fixed_at(at), app.app_context():
        run_due_jobs()


def count(app: Flask, model: Any, *conditions: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


class TestPurging:
    def test_a_cancelled_service_goes_after_the_retention_time_with_all_that_is_its(
        self, app: Flask, new_person: NewPerson
    ) -> None:
        with fixed_at(START):
            alice = new_person("Alice")
            kept, gone = furnished(alice, "Kept"), furnished(alice, "Gone")
            assert alice.delete(f"/api/services/{gone['id']}").status_code == 200
        with app.app_context():
            # By themselves they would be gone long before.
            db.session.execute(update(DownloadLink).values(expires_at=START + 90 * DAY))
            db.session.execute(update(IngestBatch).values(at=START + 90 * DAY))
            db.session.commit()
        before = belongings(app, gone)
        assert all(before.values())

        run_jobs(app, START + 30 * DAY - SECOND)
        assert count(app, Service, Service.id == gone["id"]) == 1
        assert belongings(app, gone) == before
        assert notes(app, gone) == []

        run_jobs(app, START + 30 * DAY)
        assert count(app, Service, Service.id == gone["id"]) == 0
        assert not any(belongings(app, gone).values())
        assert notes(app, gone) == [("system", None, alice.user_id)]
        assert count(app, Event, Event.subject == gone["id"], Event.type == "service.purged") == 1
        assert count(app, Service, Service.id == kept["id"]) == 1
        assert belongings(app, kept) == before

        run_jobs(app, START + 31 * DAY)
        assert len(notes(app, gone)) == 1

    def test_one_that_was_restored_stays(self, app: Flask, new_person: NewPerson) -> None:
        with fixed_at(START):
            alice, admin = new_person("Alice"), new_person("Ada", Role.ADMIN)
            path = f"/api/services/{alice.new_service()['id']}"
            assert alice.delete(path).status_code == 200
            assert admin.post(f"{path}/restore").status_code == 200
        run_jobs(app, START + 90 * DAY)
        assert count(app, Service) == 1


def furnished(owner: Person, name: str) -> dict[str, Any]:
    """A service that has something in every table that belongs to it."""
    service = owner.new_service(
        name=name, type="hosting", configuration={"port": 1}, project=name, tags=["shop"]
    )
    show_to_everybody(owner, service)
    path = f"/api/services/{service['id']}"
    variables = {"A": "1", "B": f"${{{service['id']}.A}}"}
    bundle = f"/api/services/download/hosting/{service['billingId']}"
    assert owner.post(f"{bundle}/link", json={}).status_code == 201
    entries = [{"level": "info", "message": "hello"}]
    samples = [{"name": "cpu", "value": 1}]
    checks = [{"name": "job", "type": "heartbeat"}]
    configuration = {"environment": variables, "exports": ["A"], "healthChecks": checks}
    for what, body, status in (
        ("config", configuration, 200),
        # Whatever the clocks say, so that the check finds something.
        ("heartbeats/job", {"status": "failed"}, 202),
        ("logs", {"entries": entries}, 202),
        ("metrics", {"samples": samples, "batchId": "b"}, 202),
        ("health", None, 200),
        ("ingest-tokens", {"name": "agent"}, 201),
    ):
        answer = owner.post(f"{path}/{what}", json=body)
        assert answer.status_code == status, answer.text
    with owner.client.application.app_context():
        period = {"status": "healthy", "started_at": START, "ended_at": START + DAY}
        db.session.add(HealthPeriod(service_id=service["id"], **period))
        db.session.commit()
    return service


def show_to_everybody(owner: Person, service: dict[str, Any]) -> None:
    """Have a service on the status page of its project."""
    projects = data_of(owner.get("/api/projects"))
    project = next(each for each in projects if each["name"] == service["project"])
    shown = {"serviceId": service["serviceId"], "name": "Shop"}
    body = {"enabled": False, "title": "Shop", "services": [shown]}
    data_of(owner.put(f"/api/projects/{project['id']}/status-page", json=body))


def belongings(app: Flask, service: dict[str, Any]) -> dict[str, int]:
    """How many rows of each table belong to a service."""
    owners = [
        (mapper.class_, column)
        for mapper in db.Model.registry.mappers
        for column in mapper.local_table.columns
        if any(key.references(Service.__table__) for key in column.foreign_keys)
    ]
    assert len(owners) >= 4
    return {model.__name__: count(app, model, column == service["id"]) for model, column in owners}


def notes(app: Flask, service: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Who purged a service, and whose it was, as the audit trail has it."""
    entry = AuditEntry
    query = select(entry.actor_name, entry.actor_id, entry.owner_id).where(
        entry.target_id == service["id"], entry.action == "service.purged"
    )
    with app.app_context():
        return [tuple(row) for row in db.session.execute(query)]


class TestRetention:
    def test_what_is_older_than_its_retention_time_goes_and_the_rest_stays(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(
            LOG_RETENTION_DAYS="2", METRIC_SAMPLE_RETENTION="3d", HEALTH_RETENTION_DAYS="3"
        )
        with fixed_at(START):
            alice = new_person("Alice")
            service_id = alice.new_service()["id"]
            for name in ("first", "second"):
                body = {"name": name, "type": "api"}
                alice.post("/api/services", json=body, headers={"Idempotency-Key": name})
        with app.app_context():
            user_id = alice.user_id
            metric = Metric(service_id=service_id, name="cpu", kind="gauge")
            db.session.add(metric)
            db.session.flush()
            series = MetricSeries(metric_id=metric.id, labels_hash="")
            db.session.add(series)
            db.session.flush()
            for age in (0 * DAY, 2 * DAY, 2 * DAY + SECOND, 3 * DAY, 3 * DAY + SECOND):
                entry = {"at": START - age, "level": "info", "message": str(age), "attributes": {}}
                sample = {"at": START - age, "value": 1.0}
                db.session.add(LogEntry(service_id=service_id, **entry))
                db.session.add(MetricPoint(series_id=series.id, **sample))
                report = {"checked_at": START - age, "status": "healthy", "checks": []}
                db.session.add(HealthReport(service_id=service_id, **report))
                db.session.add(UserSession(id=str(age), user_id=user_id, expires_at=START - age))
                db.session.add(
                    PasswordReset(token_hash=str(age), user_id=user_id, expires_at=START - age)
                )
                db.session.add(Invitation(email=str(age), role="user", expires_at=START - age))
                db.session.add(JobClaim(job=str(age), period_start=START - age))
            db.session.commit()

        run_jobs(app, START)
        assert column_of(app, LogEntry.at) == [START - 2 * DAY, START]
        assert column_of(app, MetricPoint.at) == [
            START - 3 * DAY,
            START - 2 * DAY - SECOND,
            START - 2 * DAY,
            START,
        ]
        assert column_of(app, HealthReport.checked_at) == column_of(app, MetricPoint.at)
        for model in (UserSession, PasswordReset, Invitation):
            assert column_of(app, model.expires_at)[0] == START
        old_claims = JobClaim.period_start < START - 2 * DAY
        assert count(app, JobClaim, old_claims) == 0
        assert count(app, JobClaim, JobClaim.period_start == START - 2 * DAY) == 1
        assert count(app, IdempotencyKey) == 2
        run_jobs(app, START + DAY + SECOND)
        assert count(app, IdempotencyKey) == 0

    def test_more_than_a_batch_goes_in_several_turns(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "_BATCH", 10)
        ages = [DAY + MINUTE * n for n in range(25)] + [-29 * DAY]
        with app.app_context():
            for age in ages:
                expired = {"email": str(age), "role": "user", "expires_at": START - age}
                db.session.add(Invitation(**expired))
            db.session.commit()
        left = []
        for turn in range(4):
            run_jobs(app, START + turn * 60 * MINUTE)
            left.append(count(app, Invitation))
        assert left == [16, 6, 1, 1]


def column_of(app: Flask, column: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(column).order_by(column)))


Work = Callable[[], int]


@pytest.fixture
def set_jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the table of jobs by these, each due once a minute."""

    def set_to(**jobs: Work) -> None:
        table = tuple(Job(name, MINUTE, lambda _, run=run: run()) for name, run in jobs.items())
        monkeypatch.setattr(running, "JOBS", table)

    return set_to


SetJobs = Callable[..., None]


class TestSeveralWorkers:
    def test_exactly_one_of_them_does_a_job_in_a_period(
        self, app: Flask, set_jobs: SetJobs
    ) -> None:
        done: list[str] = []
        workers = 4
        begin = threading.Barrier(workers)

        def slow(name: str) -> Work:
            def run() -> int:
                done.append(name)
                time.sleep(0.1)
                return 1

            return run

        set_jobs(first=slow("first"), second=slow("second"))

        def work() -> None:
            begin.wait(10)
            with app.app_context():
                run_due_jobs()

        for period in range(3):
            with fixed_at(START + period * MINUTE), ThreadPoolExecutor(workers) as pool:
                for worker in [pool.submit(work) for _ in range(workers)]:
                    worker.result(20)
            assert sorted(done) == ["first"] * (period + 1) + ["second"] * (period + 1)
        run_jobs(app, START + 2 * MINUTE + 59 * SECOND)
        assert len(done) == 6


class TestAFailingJob:
    def test_it_stops_no_other_leaves_nothing_and_is_tried_again(
        self, app: Flask, set_jobs: SetJobs
    ) -> None:
        tries: list[str] = []

        def failing() -> int:
            tries.append("failing")
            email = f"half {len(tries)}"
            db.session.add(Invitation(email=email, role="user", expires_at=START))
            db.session.flush()
            if tries.count("failing") == 1:
                raise RuntimeError("no luck")
            return 1

        def other() -> int:
            tries.append("other")
            return 0

        set_jobs(failing=failing, other=other)
        run_jobs(app, START)
        assert tries == ["failing", "other"]
        assert count(app, Invitation) == 0
        run_jobs(app, START + 5 * SECOND)
        assert tries == ["failing", "other", "failing"]
        assert column_of(app, Invitation.email) == ["half 3"]
        run_jobs(app, START + 10 * SECOND)
        assert len(tries) == 3

    @pytest.mark.parametrize("ending", ["broken statement", "lost connection"])
    def test_neither_does_one_that_breaks_its_connection(
        self, app: Flask, set_jobs: SetJobs, ending: str
    ) -> None:
        tries: list[str] = []

        def breaking() -> int:
            tries.append("breaking")
            if ending == "broken statement":
                db.session.execute(text("SELECT nothing FROM nowhere"))
            driver: Any = db.session.connection().connection.driver_connection
            driver.close()
            raise RuntimeError("the network is gone")

        def other() -> int:
            tries.append("other")
            return 0

        set_jobs(breaking=breaking, other=other)
        run_jobs(app, START)
        run_jobs(app, START + 5 * SECOND)
        assert tries == ["breaking", "other", "breaking"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestTheQueue:
    @pytest.mark.parametrize("store", ["file", "redis"])
    def test_of_two_consumers_one_does_a_job_and_one_that_failed_is_tried_again(
        self, make_app: MakeApp, redis_url: str, tmp_path: Path, store: str
    ) -> None:
        app = make_app(**({"REDIS_URL": redis_url} if store == "redis" else {}))
        done: list[str] = []

        def failing_once() -> int:
            done.append("failing")
            if done.count("failing") == 1:
                raise RuntimeError("no luck")
            return 1

        def once() -> int:
            done.append("once")
            return 1

        jobs = [
            Job("once", MINUTE, lambda _: once()),
            Job("failing", MINUTE, lambda _: failing_once()),
        ]

        def run(job: Job) -> bool:
            with app.app_context():
                return run_if_due(job)

        with app.app_context():
            settings = replace(current_settings(), data_dir=tmp_path)
        with fixed_at(START):
            consumers = []
            for _ in range(2):
                queue = new_queue(settings)
                for job in jobs:
                    add_periodic(queue, job, partial(run, job))
                consumers.append(JobConsumer(queue))
                consumers[-1].start()
            try:
                wait_until(lambda: sorted(done) == ["failing", "failing", "once"])
            finally:
                for consumer in consumers:
                    consumer.stop(graceful=True)
        assert sorted(done) == ["failing", "failing", "once"]

    def test_what_somebody_else_puts_into_it_runs_nothing(
        self, make_app: MakeApp, redis_url: str
    ) -> None:
        app = make_app(REDIS_URL=redis_url)
        with app.app_context():
            queue = new_queue(current_settings())
        queue.storage.enqueue(pickle.dumps(print))
        with pytest.raises(ValueError, match="str is not valid UTF-8"):
            queue.dequeue()


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    ends = time.monotonic() + seconds
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)


class TestPruningInBatches:
    def test_all_that_is_old_goes_and_nothing_else(
        self, app: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "_SMALL_BATCH", 10)
        service_id = alice.new_service()["id"]
        moments = [START - MINUTE * n for n in range(-3, 30)]
        with app.app_context():
            rows = [
                {
                    "service_id": service_id,
                    "kind": "logs",
                    "batch_id": str(at),
                    "at": at,
                    "answer": {},
                }
                for at in moments
            ]
            db.session.execute(insert(IngestBatch), rows)
            db.session.commit()
            assert pruning.prune_in_batches(IngestBatch, IngestBatch.at, START) == 29
        assert column_of(app, IngestBatch.at) == sorted(moments)[-4:]
