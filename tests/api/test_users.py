"""/api/users: accounts, which admins look after."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.vocabulary import Role
from tests.conftest import NewPerson
from tests.people import PASSWORD, Person, data_of, error_of
from tests.races import answers_of_two_at_once

FIELDS = {"email": "Dora@Example.com", "name": "Dora", "password": PASSWORD}


def create(admin: Person, **fields: Any) -> TestResponse:
    return admin.post("/api/users", json=FIELDS | fields)


def login(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    given = {"email": email, "password": password, "session": False}
    return client.post("/api/auth/login", json=given)


class TestWhoMay:
    @pytest.mark.parametrize("role", [Role.USER, Role.GUEST])
    def test_only_an_admin_sees_or_changes_accounts(
        self, new_person: NewPerson, admin: Person, role: Role
    ) -> None:
        person = new_person("Eve", role)
        own = f"/api/users/{person.user_id}"
        for answer in (
            person.get("/api/users"),
            person.get(own),
            person.get(f"/api/users/{admin.user_id}"),
            person.patch(own, json={"role": "admin"}),
            create(person),
        ):
            error_of(answer, 403, "FORBIDDEN")
        assert data_of(person.get("/api/auth/me"))["role"] == role

    def test_nobody_else_is_let_in(self, client: FlaskClient) -> None:
        error_of(client.get("/api/users"), 401, "UNAUTHENTICATED")
        error_of(client.post("/api/users", json=FIELDS), 401, "UNAUTHENTICATED")


class TestCreating:
    def test_a_new_account_can_sign_in_at_once(self, client: FlaskClient, admin: Person) -> None:
        answer = create(admin)
        made = data_of(answer, 201)
        assert list(made) == ["id", "email", "name", "role", "active", "createdAt", "updatedAt"]
        assert (made["email"], made["role"], made["active"]) == ("dora@example.com", "user", True)
        assert data_of(admin.get(answer.headers["Location"])) == made
        data_of(login(client, "DORA@example.com"))

    def test_an_admin_makes_other_admins(self, admin: Person) -> None:
        assert data_of(create(admin, role="admin"), 201)["role"] == "admin"

    def test_an_address_belongs_to_one_account_in_any_spelling(
        self, admin: Person, alice: Person
    ) -> None:
        for email in (alice.email, "ALICE@Example.COM", "Alice@example.com"):
            error = error_of(create(admin, email=email), 409, "CONFLICT")
            assert error["details"] == {"email": alice.email}
        assert len(data_of(admin.get("/api/users"))) == 2

    def test_an_idempotency_key_makes_one_account(self, admin: Person) -> None:
        headers = {"Idempotency-Key": "k1"}
        first = admin.post("/api/users", json=FIELDS, headers=headers)
        second = admin.post("/api/users", json=FIELDS, headers=headers)
        assert data_of(first, 201) == data_of(second, 201)
        other = admin.post("/api/users", json=FIELDS | {"name": "D."}, headers=headers)
        error_of(other, 409, "IDEMPOTENCY_KEY_REUSED")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"email": "dora"}, "email"),
            ({"email": None}, "email"),
            ({"email": f"{'d' * 250}@example.com"}, "email"),
            ({"name": " "}, "name"),
            ({"name": "x" * 256}, "name"),
            ({"password": "weak"}, "password"),
            ({"password": 12345678}, "password"),
            ({"role": "boss"}, "role"),
            ({"role": None}, "role"),
            ({"active": False}, "active"),
            ({"id": "1"}, "id"),
        ],
    )
    def test_a_broken_rule_is_named_by_field_and_leaves_no_account(
        self, admin: Person, fields: dict[str, object], field: str
    ) -> None:
        error = error_of(create(admin, **fields), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]
        assert len(data_of(admin.get("/api/users"))) == 1


class TestListing:
    def test_they_come_by_address_in_pages(self, admin: Person, new_person: NewPerson) -> None:
        for name in ("Zoe", "Bob", "Mia", "Carl"):
            new_person(name)
        whole = [user["email"] for user in data_of(admin.get("/api/users"))]
        assert whole == sorted(whole) and len(whole) == 5
        first = admin.get("/api/users?limit=3")
        rest = admin.get(f"/api/users?limit=3&cursor={first.json['meta']['nextCursor']}")
        assert [user["email"] for user in data_of(first) + data_of(rest)] == whole
        assert rest.json["meta"] == {"limit": 3, "nextCursor": None}

    def test_q_is_looked_for_in_name_and_address(self, admin: Person) -> None:
        data_of(create(admin, email="x1@example.com", name="Élodie Müller"), 201)

        def found(q: str) -> list[str]:
            answer = admin.get("/api/users", query_string={"q": q})
            return [user["name"] for user in data_of(answer)]

        assert found("élodie") == found("MÜLL") == found("X1@") == ["Élodie Müller"]
        assert found("ada") == ["Ada"]
        assert found("%") == found("_") == found("nobody") == []

    def test_no_answer_carries_a_hash(self, admin: Person, alice: Person) -> None:
        for path in ("/api/users", f"/api/users/{alice.user_id}"):
            text = admin.get(path).text
            assert "argon2" not in text and "assword" not in text


class TestChanging:
    def test_name_role_and_password_change(
        self, client: FlaskClient, admin: Person, alice: Person
    ) -> None:
        path = f"/api/users/{alice.user_id}"
        changes = {"name": "Alicia", "role": "guest", "password": "Another-horse-8"}
        changed = data_of(admin.patch(path, json=changes))
        assert (changed["name"], changed["role"]) == ("Alicia", "guest")
        assert data_of(admin.get(path)) == changed
        error_of(login(client, alice.email), 401, "UNAUTHENTICATED")
        data_of(login(client, alice.email, "Another-horse-8"))
        # Whoever was signed in with the old password has to sign in anew.
        error_of(alice.get("/api/services"), 401, "TOKEN_REVOKED")
        alice.token = data_of(login(client, alice.email, "Another-horse-8"))["accessToken"]
        error_of(alice.get("/api/services"), 403, "FORBIDDEN")

    def test_the_trail_tells_that_a_password_changed_but_not_to_what(
        self, admin: Person, alice: Person
    ) -> None:
        path = f"/api/users/{alice.user_id}"
        data_of(admin.patch(path, json={"password": "Another-horse-8"}))
        answer = admin.get(f"/api/audit?targetId={alice.user_id}")
        ended, changed = data_of(answer)[::-1]
        assert (ended["action"], ended["changes"]) == ("session.ended", {"sessions": 1})
        assert (changed["action"], changed["actorId"]) == ("password.changed", admin.user_id)
        assert "horse" not in answer.text and "argon2" not in answer.text

    def test_a_deactivated_account_is_let_in_nowhere_until_it_is_active_again(
        self, client: FlaskClient, admin: Person, alice: Person
    ) -> None:
        path = f"/api/users/{alice.user_id}"
        service = alice.new_service()
        assert data_of(admin.patch(path, json={"active": False}))["active"] is False
        error_of(alice.get("/api/services"), 401, "UNAUTHENTICATED")
        error_of(alice.act("getServices"), 401, "UNAUTHENTICATED")
        error_of(login(client, alice.email), 401, "UNAUTHENTICATED")
        # What it made stays.
        assert data_of(admin.get(f"/api/services/{service['id']}"))["ownerId"] == alice.user_id
        data_of(admin.patch(path, json={"active": True}))
        error_of(alice.get("/api/services"), 401, "TOKEN_REVOKED")
        alice.token = data_of(login(client, alice.email))["accessToken"]
        assert len(data_of(alice.get("/api/services"))) == 1

    def test_nobody_locks_out_oneself(self, admin: Person) -> None:
        path = f"/api/users/{admin.user_id}"
        for changes in ({"active": False}, {"role": "user"}, {"name": "x", "role": "guest"}):
            error_of(admin.patch(path, json=changes), 403, "FORBIDDEN")
        assert data_of(admin.get(path))["name"] == "Ada"
        changed = data_of(admin.patch(path, json={"name": "Ada L.", "role": "admin"}))
        assert (changed["name"], changed["role"]) == ("Ada L.", "admin")

    def test_nobody_sets_the_own_password_without_the_present_one(self, admin: Person) -> None:
        answer = admin.patch(f"/api/users/{admin.user_id}", json={"password": "Another-horse-8"})
        assert "/api/auth/password" in error_of(answer, 403, "FORBIDDEN")["message"]

    def test_another_admin_can_demote_one(self, admin: Person, new_person: NewPerson) -> None:
        second = new_person("Second", Role.ADMIN)
        data_of(second.patch(f"/api/users/{admin.user_id}", json={"role": "user"}))
        error_of(admin.get("/api/users"), 403, "FORBIDDEN")

    @pytest.mark.parametrize(
        "changes",
        [
            {"email": "new@example.com"},
            {"role": "boss"},
            {"role": None},
            {"active": "perhaps"},
            {"active": None},
            {"name": ""},
            {"password": "weak"},
            {"password": None},
        ],
    )
    def test_a_broken_rule_is_named_by_field(
        self, admin: Person, alice: Person, changes: dict[str, object]
    ) -> None:
        path = f"/api/users/{alice.user_id}"
        before = data_of(admin.get(path))
        error = error_of(admin.patch(path, json=changes), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == list(changes)
        assert data_of(admin.get(path)) == before

    def test_changing_nothing_leaves_no_trace(self, admin: Person, alice: Person) -> None:
        path = f"/api/users/{alice.user_id}"
        before = data_of(admin.get(path))
        for changes in ({}, {"name": "Alice", "role": "user", "active": True}):
            assert data_of(admin.patch(path, json=changes)) == before
        assert data_of(admin.get("/api/audit")) == []

    def test_two_editors_never_overwrite_each_other(self, admin: Person, alice: Person) -> None:
        path = f"/api/users/{alice.user_id}"
        tag = {"If-Match": admin.get(path).headers["ETag"]}
        data_of(admin.patch(path, json={"name": "first"}, headers=tag))
        late = admin.patch(path, json={"name": "second"}, headers=tag)
        error_of(late, 412, "VERSION_CONFLICT")
        assert data_of(admin.get(path))["name"] == "first"

    def test_of_two_editors_at_the_same_moment_one_is_refused(
        self, app: Flask, admin: Person, alice: Person
    ) -> None:
        path = f"/api/users/{alice.user_id}"
        tag = {"If-Match": admin.get(path).headers["ETag"]}
        first, second = answers_of_two_at_once(
            app,
            "users",
            lambda: admin.patch(path, json={"name": "first"}, headers=tag),
            lambda: admin.patch(path, json={"name": "second"}, headers=tag),
        )
        data_of(first)
        error_of(second, 412, "VERSION_CONFLICT")

    def test_an_unknown_account_is_not_found(self, admin: Person) -> None:
        for identifier in ("none", "9" * 400, "a%00b"):
            error_of(admin.get(f"/api/users/{identifier}"), 404, "NOT_FOUND")
            error_of(admin.patch(f"/api/users/{identifier}", json={}), 404, "NOT_FOUND")

    def test_of_two_admins_who_demote_each_other_one_stays(
        self, app: Flask, admin: Person, new_person: NewPerson
    ) -> None:
        second = new_person("Second", Role.ADMIN)
        answers = answers_of_two_at_once(
            app,
            "users",
            lambda: admin.patch(f"/api/users/{second.user_id}", json={"role": "user"}),
            lambda: second.patch(f"/api/users/{admin.user_id}", json={"role": "user"}),
        )
        # The other finds itself demoted, or was asked to try again.
        assert sorted(answer.status_code for answer in answers)[0] == 200
        assert sorted(answer.status_code for answer in answers)[1] in (403, 409)
        roles = []
        for person in (admin, second):
            roles.append(data_of(person.get("/api/auth/me"))["role"])
        assert sorted(roles) == ["admin", "user"]
