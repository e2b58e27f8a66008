"""Statuses: the transition tables, deleting and restoring."""

from datetime import timedelta
from itertools import product

import pytest

from cms_services.accounts.users import get_user
from cms_services.clock import fixed_at, now
from tests.conftest import new_access_token
from tests.people import Person, data_of, error_of

TABLES = {
    "api": {
        "active": ["inactive", "maintenance", "cancelled"],
        "inactive": ["active", "maintenance", "cancelled"],
        "maintenance": ["active", "inactive", "cancelled"],
        "cancelled": [],
    },
    "vps": {
        "active": ["suspended", "cancelled"],
        "suspended": ["active", "cancelled"],
        "cancelled": [],
    },
}
STATUSES = ["active", "inactive", "maintenance", "suspended", "cancelled"]


@pytest.mark.parametrize(
    ("kind", "start", "to"),
    [(kind, start, to) for kind in TABLES for start, to in product(TABLES[kind], STATUSES)],
)
def test_a_transition_is_made_or_refused_by_the_table(
    alice: Person, kind: str, start: str, to: str
) -> None:
    service = alice.new_service(type=kind, status="active" if start == "cancelled" else start)
    path = f"/api/services/{service['id']}"
    if start == "cancelled":
        alice.delete(path)
    answer = alice.patch(path, json={"status": to})
    if to == start or to in TABLES[kind][start]:
        assert data_of(answer)["status"] == to
    else:
        details = error_of(answer, 409, "INVALID_TRANSITION")["details"]
        assert details == {"from": start, "to": to, "allowed": TABLES[kind][start]}
        assert data_of(alice.get(path))["status"] == start


@pytest.mark.parametrize(("kind", "suspended"), [("api", "inactive"), ("vps", "suspended")])
def test_suspend_and_resume_keep_their_reason(alice: Person, kind: str, suspended: str) -> None:
    path = f"/api/services/{alice.new_service(type=kind)['serviceId']}"
    answer = alice.post(f"{path}/suspend", json={"reason": "unpaid"})
    assert data_of(answer)["status"] == suspended
    assert data_of(alice.post(f"{path}/resume"))["status"] == "active"
    entries = data_of(alice.get("/api/audit"))
    assert entries[1]["changes"]["reason"] == "unpaid"
    assert entries[0]["changes"]["after"] == {"status": "active"}


def test_a_transition_to_the_present_status_changes_nothing(alice: Person) -> None:
    service = alice.new_service(type="vps")
    for _ in range(2):
        answer = data_of(alice.post(f"/api/services/{service['id']}/resume"))
        assert answer == service
    assert len(data_of(alice.get("/api/events"))) == 1


class TestCancelled:
    def test_it_stays_readable_and_closed_to_its_owner(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        cancelled = data_of(alice.delete(path))
        assert (cancelled["status"], bool(cancelled["cancelledAt"])) == ("cancelled", True)
        assert data_of(alice.get(path)) == cancelled == data_of(alice.delete(path))
        error_of(alice.patch(path, json={"name": "x"}), 409, "CONFLICT")
        error_of(alice.post(f"{path}/resume"), 409, "INVALID_TRANSITION")
        error_of(alice.post(f"{path}/config", json={"a": 1}), 409, "CONFLICT")
        error_of(alice.post(f"{path}/restore"), 403, "FORBIDDEN")

    def test_an_admin_restores_it_within_the_retention_time(
        self, alice: Person, admin: Person
    ) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        alice.delete(path)
        restored = data_of(admin.post(f"{path}/restore", json={"reason": "by mistake"}))
        assert (restored["status"], restored["cancelledAt"]) == ("active", None)
        assert data_of(admin.post(f"{path}/restore")) == restored
        alice.delete(path)
        with fixed_at(now() + timedelta(hours=23)):
            assert data_of(admin.post(f"{path}/restore"))["status"] == "active"

    def test_after_the_retention_time_it_is_too_late(self, alice: Person, admin: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        with fixed_at(now() - timedelta(days=31)):
            with alice.client.application.app_context():
                token = new_access_token(get_user(alice.user_id))
            answer = alice.delete(path, headers={"Authorization": f"Bearer {token}"})
            assert data_of(answer)["status"] == "cancelled"
        error_of(admin.post(f"{path}/restore"), 409, "CONFLICT")
