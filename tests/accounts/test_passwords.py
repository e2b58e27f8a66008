"""Passwords: what is taken, how hashes of before are carried over, and what a change ends."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pwdlib import PasswordHash

from cms_services.accounts.models import User
from cms_services.accounts.users import create_user
from cms_services.actor import SYSTEM
from cms_services.extensions import db
from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

LONG = "Aa1-" * 20
# Made by PHP 8.2's password_hash().
PHP_HASHES = {
    "bcrypt": (PASSWORD, "$2y$05$iEEM3YVFrw7nn5OoHfE/jumSpCRnR1R80lte910KQhgdzvAtiA9HW"),
    "argon2id": (
        PASSWORD,
        "$argon2id$v=19$m=1024,t=2,p=1$TmZ3d24wZGhmeTBKeU5CdA$"
        "iMrI9StVGXxHgB9V4qI7Z9bVaXNoZId3YF1mSKHYyDE",
    ),
    "argon2i": (
        PASSWORD,
        "$argon2i$v=19$m=1024,t=2,p=1$U1IzeHZlZVNCWEsubGtLZg$"
        "3LnKPCWe6VmYCZW5lgdqDU1hZ6IpWBsRGIC8mmgcFWs",
    ),
    # Longer than the 72 bytes that bcrypt knows.
    "bcrypt of a long password": (
        LONG,
        "$2y$05$T9yb7QrKttbyOPblcL5A8OgD14I0R7l/CPJgaa5qh68HF3kW4e7BO",
    ),
}


def login(client: FlaskClient, email: str, password: str = PASSWORD, **fields: Any) -> Any:
    return client.post("/api/auth/login", json={"email": email, "password": password} | fields)


def imported(app: Flask, email: str, password_hash: str) -> None:
    """An account that came from the PHP database."""
    with app.app_context():
        db.session.add(User(email=email, name="Imported", password_hash=password_hash))
        db.session.commit()


def hash_of(app: Flask, email: str) -> str:
    with app.app_context():
        return str(db.session.scalar(db.select(User.password_hash).where(User.email == email)))


class TestHashesOfThePhpCms:
    @pytest.mark.parametrize("kind", PHP_HASHES)
    def test_they_verify_and_are_renewed_at_the_first_sign_in(
        self, app: Flask, client: FlaskClient, kind: str
    ) -> None:
        password, php_hash = PHP_HASHES[kind]
        imported(app, "old@example.com", php_hash)
        error_of(login(client, "old@example.com", "Wrong-horse-7"), 401, "UNAUTHENTICATED")
        assert hash_of(app, "old@example.com") == php_hash
        data_of(login(client, "old@example.com", password))
        renewed = hash_of(app, "old@example.com")
        assert renewed.startswith("$argon2id$v=19$m=12288,t=3,p=4$")
        data_of(login(client, "old@example.com", password))
        assert hash_of(app, "old@example.com") == renewed
        error_of(login(client, "old@example.com", "Wrong-horse-7"), 401, "UNAUTHENTICATED")

    def test_more_memory_is_taken_from_the_next_sign_in_on(self, make_app: MakeApp) -> None:
        frugal, generous = make_app(), make_app(PASSWORD_HASH_MEMORY_MB="16")
        with frugal.app_context():
            create_user(SYSTEM, "old@example.com", "Old", PASSWORD, Role.USER)
            db.session.commit()
        before = hash_of(frugal, "old@example.com")
        assert before.startswith("$argon2id$v=19$m=12288,t=3,p=4$")
        error_of(
            login(generous.test_client(), "old@example.com", "Wrong-horse-7"),
            401,
            "UNAUTHENTICATED",
        )
        assert hash_of(frugal, "old@example.com") == before
        data_of(login(generous.test_client(), "old@example.com"))
        assert hash_of(frugal, "old@example.com").startswith("$argon2id$v=19$m=16384,t=3,p=4$")

    def test_after_that_the_whole_of_a_long_password_counts(
        self, app: Flask, client: FlaskClient
    ) -> None:
        imported(app, "old@example.com", PHP_HASHES["bcrypt of a long password"][1])
        data_of(login(client, "old@example.com", LONG))
        error_of(login(client, "old@example.com", LONG[:72]), 401, "UNAUTHENTICATED")

    @pytest.mark.parametrize("unusable", ["", "-", "5f4dcc3b5aa765d61d8327deb882cf99", "$2y$05$x"])
    def test_what_is_no_hash_opens_to_no_password(
        self, app: Flask, client: FlaskClient, unusable: str
    ) -> None:
        imported(app, "old@example.com", unusable)
        for password in (PASSWORD, unusable or "x", "password"):
            error_of(login(client, "old@example.com", password), 401, "UNAUTHENTICATED")


class TestTheTimeOfARefusal:
    """Each refusal costs the same hashes, whether or not there is such an account."""

    @pytest.fixture
    def tried(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The kinds of hash that are verified while the test runs."""
        kinds: list[str] = []
        verify = PasswordHash.verify

        def counted(hashes: PasswordHash, password: Any, stored: Any) -> bool:
            kinds.append(str(stored).split("$")[1])
            return verify(hashes, password, stored)

        monkeypatch.setattr(PasswordHash, "verify", counted)
        return kinds

    def refused(self, client: FlaskClient, tried: list[str], email: str) -> list[str]:
        tried.clear()
        error_of(login(client, email, "Wrong-horse-7"), 401, "UNAUTHENTICATED")
        return sorted(tried)

    def test_without_imported_accounts_it_is_one_hash(
        self, client: FlaskClient, alice: Person, admin: Person, tried: list[str]
    ) -> None:
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": False}))
        for email in ("nobody@example.com", admin.email, alice.email, "no address", "x" * 255):
            assert self.refused(client, tried, email) == ["argon2id"]

    def test_with_them_it_is_one_of_either_kind(
        self, app: Flask, client: FlaskClient, alice: Person, tried: list[str]
    ) -> None:
        imported(app, "old@example.com", PHP_HASHES["bcrypt"][1])
        for email in ("nobody@example.com", alice.email, "old@example.com"):
            assert self.refused(client, tried, email) == ["2y", "argon2id"]


class TestWhatIsTaken:
    @pytest.mark.parametrize("password", ["Password1", "Qwerty123", "Passw0rd1", "wElcome1"])
    def test_what_many_people_use_is_refused_in_any_case(
        self, make_app: MakeApp, admin: Person, password: str
    ) -> None:
        client = make_app(REGISTRATION="open").test_client()
        given = {"email": "n@example.com", "password": password}
        for answer in (
            client.post("/api/auth/register", json=given),
            admin.post("/api/users", json=given),
        ):
            error = error_of(answer, 400, "VALIDATION_ERROR")
            assert "easily guessed" in error["details"]["password"][0]

    def test_so_are_the_own_address_and_our_name(self, admin: Person) -> None:
        for password in ("Alice77xyz", "Alice77xyz@Example.com", "Cms-Services-1", "alice1XYZ"):
            given = {"email": "alice77xyz@example.com", "password": password}
            error_of(admin.post("/api/users", json=given), 400, "VALIDATION_ERROR")


class TestChanging:
    NEW = "Another-horse-8"

    def change(self, client: FlaskClient, current: str, new: str, **kwargs: Any) -> Any:
        given = {"currentPassword": current, "newPassword": new}
        return client.post("/api/auth/password", json=given, **kwargs)

    def test_it_ends_every_other_sign_in_and_keeps_this_one(
        self, app: Flask, client: FlaskClient, alice: Person
    ) -> None:
        other = app.test_client()
        data_of(login(other, alice.email))
        data_of(login(client, alice.email))
        assert data_of(self.change(client, PASSWORD, self.NEW)) == {"done": True}
        data_of(client.get("/api/auth/me"))
        error_of(other.get("/api/auth/me"), 401, "UNAUTHENTICATED")
        error_of(alice.get("/api/auth/me"), 401, "TOKEN_REVOKED")
        error_of(login(client, alice.email), 401, "UNAUTHENTICATED")
        data_of(login(client, alice.email, self.NEW))

    def test_it_takes_the_present_password_and_an_acceptable_new_one(
        self, client: FlaskClient, alice: Person
    ) -> None:
        data_of(login(client, alice.email))
        for current, new, field in (
            ("Wrong-horse-7", self.NEW, "currentPassword"),
            (PASSWORD, "weak", "newPassword"),
            (PASSWORD, "Password1", "newPassword"),
        ):
            error = error_of(self.change(client, current, new), 400, "VALIDATION_ERROR")
            assert list(error["details"]) == [field]
        data_of(login(client, alice.email))

    def test_a_personal_token_cannot_do_it(self, client: FlaskClient, alice: Person) -> None:
        given = {"name": "x", "scopes": ["account:read"]}
        token = data_of(alice.post("/api/auth/tokens", json=given), 201)["token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.change(client, PASSWORD, self.NEW, headers=headers)
        error_of(answer, 403, "FORBIDDEN")

    def test_a_guest_can(self, new_person: NewPerson) -> None:
        guest = new_person("Gus")
        given = {"currentPassword": PASSWORD, "newPassword": self.NEW}
        data_of(guest.post("/api/auth/password", json=given))


class TestDeactivating:
    def test_the_own_account_ends_with_the_password(
        self, client: FlaskClient, alice: Person, admin: Person
    ) -> None:
        data_of(login(client, alice.email))
        wrong = client.post("/api/auth/deactivate", json={"password": "Wrong-horse-7"})
        error_of(wrong, 400, "VALIDATION_ERROR")
        data_of(client.post("/api/auth/deactivate", json={"password": PASSWORD}))
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")
        error_of(login(client, alice.email), 401, "UNAUTHENTICATED")
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": True}))
        data_of(login(client, alice.email))

    def test_the_last_admin_stays(self, admin: Person, new_person: NewPerson) -> None:
        from cms_services.vocabulary import Role

        error_of(admin.post("/api/auth/deactivate", json={"password": PASSWORD}), 409, "CONFLICT")
        second = new_person("Second", Role.ADMIN)
        data_of(second.post("/api/auth/deactivate", json={"password": PASSWORD}))
        error_of(admin.post("/api/auth/deactivate", json={"password": PASSWORD}), 409, "CONFLICT")
