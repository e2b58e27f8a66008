"""Calls of services that have no port."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.monitoring.health.models import Heartbeat
from tests.conftest import MakeApp, NewPerson
from tests.monitoring.workers import LOCAL, a_target, rows, schedule, until, worker
from tests.people import Person, data_of, error_of

_BACKUP = {"name": "backup", "type": "heartbeat", "interval": "1h", "period": "1h"}


@pytest.fixture
def cron(alice: Person) -> dict[str, Any]:
    """A service that calls after its backup."""
    return alice.new_service(configuration={"healthChecks": [_BACKUP]})


def path_of(service: dict[str, Any], check: str = "backup") -> str:
    return f"/api/services/{service['id']}/heartbeats/{check}"


def test_a_call_makes_the_service_due_at_once(
    alice: Person, app: Flask, cron: dict[str, Any]
) -> None:
    schedule(app)
    answer = data_of(alice.post(path_of(cron)), 202)
    assert (answer["serviceId"], answer["check"]) == (cron["serviceId"], "backup")
    assert rows(app)[0].due_at <= now()
    with worker(app):
        until(lambda: rows(app)[0].status == "healthy")
        failed = {"status": "failed", "message": "disk full", "durationMs": 1200}
        data_of(alice.post(path_of(cron), json=failed), 202)
        until(lambda: rows(app)[0].status == "unhealthy")
    health = data_of(alice.get(f"/api/services/{cron['id']}/health"))
    assert health["status"] == "unhealthy"
    assert "disk full" in health["checks"][0]["message"]


def test_the_first_call_of_a_new_service_or_check_makes_it_due_at_once(
    alice: Person, app: Flask, cron: dict[str, Any]
) -> None:
    """Before any worker has heard of it."""
    data_of(alice.post(path_of(cron), json={"status": "failed"}), 202)
    assert rows(app)[0].due_at <= now()
    with worker(app):
        until(lambda: rows(app)[0].status == "unhealthy")
    config = {"healthChecks": [_BACKUP, _BACKUP | {"name": "restore"}]}
    data_of(alice.put(f"/api/services/{cron['id']}/config", json=config))
    data_of(alice.post(path_of(cron)), 202)
    data_of(alice.post(path_of(cron, "restore"), json={"status": "failed"}), 202)
    wanted = {"backup": "healthy", "restore": "unhealthy"}
    with worker(app):
        until(lambda: found_by_checks(alice, cron) == wanted)


def found_by_checks(person: Person, service: dict[str, Any]) -> dict[str, str]:
    health = data_of(person.get(f"/api/services/{service['id']}/health"))
    return {each["name"]: each["status"] for each in health["checks"]}


def two_days_ago(app: Flask) -> None:
    """Let the checks have been declared, and the services have called, two days ago."""
    past = now() - timedelta(days=2)
    with fixed_at(past):
        schedule(app)
    with app.app_context():
        db.session.execute(update(Heartbeat).values(at=past))
        db.session.commit()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_who_was_suspended_need_not_have_called(
    alice: Person, app: Flask, cron: dict[str, Any]
) -> None:
    service = f"/api/services/{cron['id']}"
    # Before the call, which would declare the checks by now.
    two_days_ago(app)
    data_of(alice.post(path_of(cron)), 202)
    two_days_ago(app)
    assert data_of(alice.post(f"{service}/health"))["status"] == "unhealthy"
    data_of(alice.post(f"{service}/suspend"))
    schedule(app)
    data_of(alice.post(f"{service}/resume"))
    (check,) = data_of(alice.post(f"{service}/health"))["checks"]
    assert check["status"] == "unknown"
    assert "Has not called since" in check["message"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_new_heartbeat_does_not_put_off_others(
    alice: Person, app: Flask, cron: dict[str, Any]
) -> None:
    two_days_ago(app)
    config = {"healthChecks": [_BACKUP, _BACKUP | {"name": "restore"}]}
    data_of(alice.put(f"/api/services/{cron['id']}/config", json=config))
    report = data_of(alice.post(f"/api/services/{cron['id']}/health"))
    found = {each["name"]: each["status"] for each in report["checks"]}
    assert found == {"backup": "unhealthy", "restore": "unknown"}


def test_the_services_own_token_may_call(alice: Person, app: Flask, cron: dict[str, Any]) -> None:
    made = alice.post(f"/api/services/{cron['id']}/ingest-tokens", json={"name": "cron"})
    token = {"Authorization": f"Bearer {data_of(made, 201)['token']}"}
    client = app.test_client()
    data_of(client.post(path_of(cron), headers=token), 202)
    other = alice.new_service(configuration={"healthChecks": [_BACKUP]})
    error_of(client.post(path_of(other), headers=token), 403, "FORBIDDEN")


def test_an_unknown_check_is_told_with_the_known_ones(alice: Person, cron: dict[str, Any]) -> None:
    error = error_of(alice.post(path_of(cron, "restore")), 404, "NOT_FOUND")
    assert error["details"] == {"checks": ["backup"]}


def test_others_may_not_call(alice: Person, charlie: Person, cron: dict[str, Any]) -> None:
    error_of(charlie.post(path_of(cron)), 403, "FORBIDDEN")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "late"}, "status"),
        ({"message": "x" * 1001}, "message"),
        ({"durationMs": -1}, "durationMs"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_a_bad_body_is_refused(
    alice: Person, cron: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    error = error_of(alice.post(path_of(cron), json=body), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == [field]


def test_a_call_while_the_checks_run_is_not_lost(make_app: MakeApp, new_person: NewPerson) -> None:
    app = make_app(PROBE_ALLOWED_NETWORKS=LOCAL)
    alice = new_person("Anna", of=app)
    with a_target() as target:
        target.seconds = 0.5
        slow = {"type": "http", "target": f"{target.url}/slow", "interval": "1h"}
        service = alice.new_service(configuration={"healthChecks": [_BACKUP, slow]})
        schedule(app, now())
        with worker(app):
            until(lambda: target.calls["/slow"] == 1)
            data_of(alice.post(path_of(service), json={"status": "failed"}), 202)
            until(lambda: rows(app)[0].status == "unhealthy")
