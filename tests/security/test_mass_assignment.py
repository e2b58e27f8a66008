"""Fields that a caller may not set: refused or ignored at every place, and nothing changes."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cms_services.accounts.models import User
from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.legacy.actions import ACTIONS
from tests.conftest import MakeApp
from tests.people import PASSWORD, Person, data_of, error_of
from tests.security.hostile import names_of, places

# As columns, as wire names, and as objects of other languages inherit them.
FIELDS: dict[str, Any] = {
    "id": "mine",
    "user_id": "mine",
    "userId": "mine",
    "owner_id": "mine",
    "ownerId": "mine",
    "role": "admin",
    "is_admin": True,
    "isAdmin": True,
    "admin": True,
    "permissions": ["*"],
    "scopes": ["*"],
    "active": True,
    "status": "active",
    "password_hash": "x",
    "passwordHash": "x",
    "token_hash": "x",
    "version": 99,
    "created_at": "2000-01-01T00:00:00Z",
    "createdAt": "2000-01-01T00:00:00Z",
    "updatedAt": "2000-01-01T00:00:00Z",
    "cancelledAt": None,
    "project_id": "mine",
    "serviceId": "mine",
    "service_id": "mine",
    "email_verified": True,
    "second_factor": None,
    "totp_secret": None,
    "__proto__": {"role": "admin"},
    "constructor": {"prototype": {"role": "admin"}},
    "_sa_instance_state": {},
    "metadata": {},
}


def rows(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """What stands in the tables that attackers want to change."""
    with app.app_context():
        return {
            model.__tablename__: sorted(
                tuple(row) for row in db.session.execute(select(*model.__table__.columns))
            )
            for model in (User, Service)
        }


def without_times(found: dict[str, list[tuple[Any, ...]]]) -> str:
    return str(found["users"])


class TestRest:
    @pytest.mark.parametrize("caller", ["alice", "admin"])
    def test_every_body_refuses_what_it_does_not_name(
        self, app: Flask, request: pytest.FixtureRequest, alice: Person, caller: str
    ) -> None:
        person: Person = request.getfixturevalue(caller)
        service = alice.new_service(project="Shop")
        before, asked = rows(app), 0
        for place in places(app):
            if place.operation.body is None or place.operation.free_body:
                continue
            taken = set(names_of(place.operation.body))
            extra = {name: value for name, value in FIELDS.items() if name not in taken}
            answer = person.open(place.method, place.with_ids(service["id"]), json=extra)
            # Some are closed to the caller before the body is looked at.
            if answer.status_code != 403:
                details = error_of(answer, 400, "VALIDATION_ERROR")["details"]
                assert set(extra) <= set(details), place
            asked += 1
        assert asked > 20
        assert rows(app) == before

    def test_a_new_account_is_a_plain_one(self, make_app: MakeApp) -> None:
        app = make_app(REGISTRATION="open")
        client = app.test_client()
        given = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD}
        for name, value in FIELDS.items():
            if name not in ("role",):
                answer = client.post("/api/auth/register", json=given | {name: value})
                assert name in error_of(answer, 400, "VALIDATION_ERROR")["details"]
        answer = client.post("/api/auth/register", json=given | {"role": "admin"})
        assert "role" in error_of(answer, 400, "VALIDATION_ERROR")["details"]
        made = data_of(client.post("/api/auth/register", json=given), 201)
        assert (made["role"], made["active"]) == ("user", True)

    def test_the_page_makes_a_plain_account_too(self, make_app: MakeApp) -> None:
        app = make_app(REGISTRATION="open")
        form = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD}
        strange = dict.fromkeys(FIELDS, "admin")
        app.test_client().post("/register", data=strange | form)
        with app.app_context():
            roles = [str(role) for role in db.session.scalars(select(User.role))]
        assert roles == ["user"]

    def test_only_an_admin_makes_a_service_for_somebody_else(
        self, alice: Person, bob: Person, admin: Person
    ) -> None:
        fields = {"name": "x", "type": "api", "ownerId": bob.user_id}
        error_of(alice.post("/api/services", json=fields), 403, "FORBIDDEN")
        assert data_of(bob.get("/api/services")) == []
        made = data_of(admin.post("/api/services", json=fields), 201)
        assert made["ownerId"] == bob.user_id

    def test_a_service_never_changes_its_owner_or_number(
        self, alice: Person, admin: Person
    ) -> None:
        service = alice.new_service()
        for person in (alice, admin):
            for name in ("ownerId", "id", "serviceId", "version", "createdAt", "cancelledAt"):
                answer = person.patch(f"/api/services/{service['id']}", json={name: "x"})
                assert name in error_of(answer, 400, "VALIDATION_ERROR")["details"]
        assert data_of(alice.get(f"/api/services/{service['id']}")) == service


class TestServicesPhp:
    IGNORED = ("id", "user_id", "owner_id", "ownerId", "role", "version", "createdAt", "project_id")

    def test_what_it_does_not_name_is_ignored(self, app: Flask, alice: Person) -> None:
        users = rows(app)["users"]
        extra = {name: FIELDS[name] for name in self.IGNORED}
        fields = {"name": "x", "type": "api", "project": "Shop"}
        made = data_of(alice.act("createService", **extra, serviceId="mine", **fields))
        assert "mine" not in (made["id"], made["serviceId"])
        form = {name: str(value) for name, value in extra.items()} | fields
        data_of(alice.post("/services.php", data={"createService": "1"} | form))
        with app.app_context():
            found = db.session.scalars(select(Service)).all()
            assert {each.user_id for each in found} == {alice.user_id}
            assert {each.version for each in found} == {1}
            assert all(each.created_at.year > 2020 for each in found)
        assert rows(app)["users"] == users

    def test_an_update_changes_what_it_names_alone(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(name="Old")
        extra = {name: FIELDS[name] for name in self.IGNORED} | {"user_id": bob.user_id}
        changed = data_of(alice.act("updateService", serviceId=service["id"], name="New", **extra))
        assert changed["name"] == "New"
        shown = data_of(alice.get(f"/api/services/{service['id']}"))
        kept = ("id", "serviceId", "ownerId", "createdAt", "billingId", "startDate")
        assert {name: shown[name] for name in kept} == {name: service[name] for name in kept}

    def test_no_action_names_what_is_not_the_callers(self) -> None:
        own = {"id", "ownerId", "userId", "role", "version", "createdAt", "updatedAt", "active"}
        for action in ACTIONS.values():
            assert not own & set(names_of(action.parameters)), action.name


class TestTokens:
    def test_a_token_gets_no_more_than_its_maker_has(self, alice: Person) -> None:
        for scopes in (["*"], ["admin"], ["users:write", "nonsense"], "*", [["*"]], [None]):
            answer = alice.post("/api/auth/tokens", json={"name": "x", "scopes": scopes})
            assert answer.status_code in (400, 403), answer.text
        assert data_of(alice.get("/api/auth/tokens")) == []

    def test_a_member_makes_nobody_an_owner(self, alice: Person, bob: Person) -> None:
        alice.new_service(project="Shop")
        (project,) = data_of(alice.get("/api/projects"))
        members = f"/api/projects/{project['id']}/members"
        data_of(alice.put(f"{members}/{bob.user_id}", json={"role": "editor"}))
        error_of(bob.put(f"{members}/{bob.user_id}", json={"role": "owner"}), 403, "FORBIDDEN")
        roles = {each["userId"]: each["role"] for each in data_of(alice.get(members))}
        assert roles == {alice.user_id: "owner", bob.user_id: "editor"}
