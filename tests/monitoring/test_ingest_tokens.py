"""A service's own tokens: they write its logs and metrics, and open nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.clock import fixed_at
from cms_services.extensions import db
from cms_services.monitoring.models import IngestToken
from tests.people import Person, data_of, error_of

ENTRIES = {"entries": [{"level": "info", "message": "hello"}]}
SAMPLES = {"samples": [{"name": "cpu", "value": 1}]}


class Agent:
    """What runs beside a service and reports for it."""

    def __init__(self, client: FlaskClient, owner: Person, service: dict[str, Any]) -> None:
        self.client, self.path = client, f"/api/services/{service['id']}"
        path = f"{self.path}/ingest-tokens"
        self.made = data_of(owner.post(path, json={"name": "agent"}), 201)
        self.headers = {"Authorization": f"Bearer {self.made['token']}"}

    def post(self, what: str, body: Any, path: str | None = None) -> Any:
        return self.client.post(f"{path or self.path}/{what}", json=body, headers=self.headers)


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service(name="Shop")


@pytest.fixture
def agent(client: FlaskClient, alice: Person, service: dict[str, Any]) -> Agent:
    return Agent(client, alice, service)


class TestWriting:
    def test_it_writes_the_logs_and_metrics_of_its_service(
        self, alice: Person, service: dict[str, Any], agent: Agent
    ) -> None:
        by_number = f"/api/services/{service['serviceId']}"
        for path in (agent.path, by_number):
            assert data_of(agent.post("logs", ENTRIES, path), 202)["accepted"] == 1
            assert data_of(agent.post("metrics", SAMPLES, path), 202)["accepted"] == 1
        assert len(data_of(alice.get(f"{agent.path}/logs"))) == 2

    def test_it_writes_nothing_of_another_one(self, alice: Person, agent: Agent) -> None:
        other = f"/api/services/{alice.new_service(name='Other')['id']}"
        error_of(agent.post("logs", ENTRIES, other), 403, "FORBIDDEN")
        error_of(agent.post("metrics", SAMPLES, other), 403, "FORBIDDEN")
        error_of(agent.post("logs", ENTRIES, "/api/services/none"), 404, "SERVICE_NOT_FOUND")
        assert data_of(alice.get(f"{other}/logs")) == []

    def test_it_reads_nothing_and_changes_nothing_else(
        self, client: FlaskClient, service: dict[str, Any], agent: Agent
    ) -> None:
        for method, path in (
            ("GET", agent.path),
            ("GET", f"{agent.path}/logs"),
            ("GET", f"{agent.path}/config"),
            ("PATCH", agent.path),
            ("GET", "/api/services"),
            ("GET", "/api/auth/me"),
            ("GET", f"{agent.path}/ingest-tokens"),
            ("POST", "/api/auth/logout"),
            ("GET", "/api/templates"),
            ("GET", "/services.php?getServices=1"),
        ):
            answer = client.open(path, method=method, headers=agent.headers)
            error_of(answer, 403, "FORBIDDEN")

    def test_it_outlives_whoever_made_it(self, alice: Person, admin: Person, agent: Agent) -> None:
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": False}))
        data_of(agent.post("logs", ENTRIES), 202)


class TestKeeping:
    def test_its_text_is_shown_once_and_only_a_hash_is_kept(
        self, app: Flask, alice: Person, agent: Agent
    ) -> None:
        assert agent.made["token"].startswith("cms_ingest_")
        (listed,) = data_of(alice.get(f"{agent.path}/ingest-tokens"))
        assert "token" not in listed and listed["lastUsedAt"] is None
        with app.app_context():
            row = db.session.execute(db.select(IngestToken.__table__)).one()
        assert agent.made["token"][11:] not in str(row)

    def test_its_last_use_is_shown(self, alice: Person, agent: Agent) -> None:
        data_of(agent.post("logs", ENTRIES), 202)
        (listed,) = data_of(alice.get(f"{agent.path}/ingest-tokens"))
        used = datetime.fromisoformat(listed["lastUsedAt"])
        assert datetime.now(UTC) - used < timedelta(minutes=1)

    def test_revoking_ends_it_and_the_trail_tells(
        self, alice: Person, service: dict[str, Any], agent: Agent
    ) -> None:
        path = f"{agent.path}/ingest-tokens/{agent.made['id']}"
        assert data_of(alice.delete(path)) == {"id": agent.made["id"], "deleted": True}
        error_of(agent.post("logs", ENTRIES), 401, "UNAUTHENTICATED")
        error_of(alice.delete(path), 404, "NOT_FOUND")
        trail = alice.get(f"/api/audit?targetId={service['id']}")
        assert [entry["action"] for entry in data_of(trail)][:2] == [
            "ingest_token.revoked",
            "ingest_token.created",
        ]
        assert agent.made["token"] not in trail.text

    def test_it_expires(self, client: FlaskClient, alice: Person, service: dict[str, Any]) -> None:
        path = f"/api/services/{service['id']}"
        expiry = datetime.now(UTC) + timedelta(days=1)
        given = {"name": "agent", "expiresAt": expiry.isoformat()}
        made = data_of(alice.post(f"{path}/ingest-tokens", json=given), 201)
        headers = {"Authorization": f"Bearer {made['token']}"}
        data_of(client.post(f"{path}/logs", json=ENTRIES, headers=headers), 202)
        with fixed_at(expiry):
            answer = client.post(f"{path}/logs", json=ENTRIES, headers=headers)
            error_of(answer, 401, "TOKEN_EXPIRED")
        past = {"name": "agent", "expiresAt": "2020-01-01T00:00:00Z"}
        error_of(alice.post(f"{path}/ingest-tokens", json=past), 400, "VALIDATION_ERROR")

    def test_another_services_token_is_not_there(self, alice: Person, agent: Agent) -> None:
        other = alice.new_service(name="Other")["id"]
        path = f"/api/services/{other}/ingest-tokens/{agent.made['id']}"
        error_of(alice.delete(path), 404, "NOT_FOUND")
        data_of(agent.post("logs", ENTRIES), 202)

    def test_it_goes_with_its_service_and_only_who_may_change_that_makes_one(
        self, bob: Person, agent: Agent
    ) -> None:
        path = f"{agent.path}/ingest-tokens"
        error_of(bob.get(path), 403, "FORBIDDEN")
        error_of(bob.post(path, json={"name": "mine"}), 403, "FORBIDDEN")
