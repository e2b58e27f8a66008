"""E-mail addresses that look like somebody's, or are spelled oddly."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cms_services.accounts.addresses import checked_email, normalised_email
from cms_services.accounts.models import User
from cms_services.errors import ValidationFailed
from cms_services.extensions import db
from cms_services.mail.models import Letter
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, error_of

ALICE = "alice@example.com"
# What looks like Alice's address and is none at all, or another's.
LOOKALIKES = [
    "\u0430lice@example.com",  # Cyrillic a
    "al\u0456ce@example.com",  # Ukrainian i
    "\u0251lice@example.com",
    "ali\u0441e@example.com",
    "\u2c6dlice@example.com",
    "alice@ex\u0430mple.com",
    "alice@exampl\u0435.com",
    "alice@example.\u0441om",
    "alice@xn--exmple-4nf.com",
    "alice@example\u3002evil.example",
    "alice\u200b@example.com",
    "\u200dalice@example.com",
    "al\u2060ice@example.com",
    "al\u00adice@example.com",
    "alice\u0301@example.com",
    "a\u0308lice@example.com",
    "\u202ealice@example.com",
    "moc.elpmaxe@ecila\u202e",
    "alice\u200f@example.com",
    "alice@example.com\u202c",
    "alice\ufe0f@example.com",
    "alice\U000e0041@example.com",
    "al\u0131ce@example.com",  # dotless i
    "AL\u0130CE@example.com",  # dotted I
    "alice\u0000@example.com",
    "alice@example.com\x00",
    "alice@example.com\x00.evil.example",
    "al\tice@example.com",
    "alice@example.com\r\nBcc: eve@evil.example",
    "alice@example.com\nalice@example.com",
    "alice@example.com,eve@evil.example",
    "alice@example.com;eve@evil.example",
    "alice@example.com eve@evil.example",
    "Alice <alice@example.com>",
    "<alice@example.com>",
    "alice@example.com (eve)",
    "alice(eve)@example.com",
    '"alice"@example.com',
    '"alice@example.com"@evil.example',
    "alice@example.com@evil.example",
    "eve@evil.example@example.com",
    "alice%40example.com",
    "alice@example.com%00",
    "alice@[127.0.0.1]",
    "alice@127.0.0.1",
    "alice@@example.com",
    "alice@example..com",
    ".alice@example.com",
    "alice.@example.com",
    "al..ice@example.com",
    "@example.com",
    "alice@",
    "mailto:alice@example.com",
    "%",
    "_____@example.com",
    "alice@example.co_",
    "*@example.com",
    "",
]
# The same address, in another spelling: it finds her account, and makes no second one.
SPELLINGS = [
    "ALICE@EXAMPLE.COM",
    " alice@example.com ",
    "Alice@Example.Com",
    "alice@\uff45xample.com",
    "alice@example\u3002com",
    "alice@\u24d4xample.com",
]


@pytest.fixture
def open_app(make_app: MakeApp, new_person: NewPerson) -> Flask:
    app = make_app(REGISTRATION="open")
    new_person("Alice", of=app)
    return app


@pytest.fixture
def stranger(open_app: Flask) -> FlaskClient:
    return open_app.test_client()


def addresses(app: Flask) -> list[str]:
    with app.app_context():
        return sorted(db.session.scalars(select(User.email)))


def letters_to(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(Letter.recipient)))


@pytest.mark.parametrize("email", LOOKALIKES, ids=ascii)
def test_no_lookalike_is_taken_for_hers(email: str) -> None:
    assert normalised_email(email) != ALICE
    try:
        assert checked_email(email) != ALICE
    except ValidationFailed as refused:
        assert "email" in refused.details  # noqa: PT017 - either way it is not hers


@pytest.mark.parametrize("email", SPELLINGS, ids=ascii)
def test_every_spelling_of_hers_is_hers(email: str) -> None:
    assert normalised_email(email) == ALICE


@pytest.mark.parametrize(
    ("stored", "email"),
    [
        ("gross@example.com", "gro\u00df@example.com"),
        ("ffi@example.com", "\ufb03@example.com\u200b"),
        ("sam@example.com", "\u017fam@example.com\u200b"),
        ("k@example.com", "\u212a@example.com\u200b"),
    ],
    ids=ascii,
)
def test_what_is_no_address_is_folded_into_none(stored: str, email: str) -> None:
    assert normalised_email(email) != stored


def test_a_lookalike_makes_an_account_of_its_own_or_none(
    open_app: Flask, stranger: FlaskClient
) -> None:
    for email in LOOKALIKES:
        given = {"email": email, "name": "Eve", "password": PASSWORD}
        answer = stranger.post("/api/auth/register", json=given)
        if answer.status_code == 201:
            made = answer.json["data"]["email"]
            # In its ASCII form nobody takes it for hers.
            assert made.isascii() and made != ALICE
        elif answer.status_code == 409:
            # Two look-alikes of one ASCII form.
            assert error_of(answer, 409, "CONFLICT")["details"]["email"] != ALICE
        else:
            assert "email" in error_of(answer, 400, "VALIDATION_ERROR")["details"], email
    for email in SPELLINGS:
        given = {"email": email, "name": "Eve", "password": PASSWORD}
        assert stranger.post("/api/auth/register", json=given).status_code in (400, 409), email
    assert addresses(open_app).count(ALICE) == 1
    assert all(each.isascii() and each == each.lower() for each in addresses(open_app))


def test_an_admin_makes_none_either(admin: Person, alice: Person) -> None:
    for email in (*LOOKALIKES[:12], *SPELLINGS):
        given = {"email": email, "name": "Eve", "password": PASSWORD}
        answer = admin.post("/api/users", json=given)
        assert answer.status_code in (201, 400, 409), answer.text
        if answer.status_code == 201:
            assert answer.json["data"]["email"].isascii()
            assert answer.json["data"]["email"] != ALICE


def test_nobody_signs_in_by_a_lookalike(stranger: FlaskClient) -> None:
    # Each costs a look at a password, so not all.
    for email in LOOKALIKES[::6]:
        answer = stranger.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code in (400, 401), email


def test_no_lookalike_has_a_letter_sent_elsewhere(open_app: Flask, stranger: FlaskClient) -> None:
    for email in (*LOOKALIKES, *SPELLINGS):
        answer = stranger.post("/api/auth/password/forgot", json={"email": email})
        assert answer.status_code in (202, 400), email
    asked = letters_to(open_app)
    assert ALICE in asked
    # Who writes the letters looks for an account of exactly that address.
    assert asked & set(addresses(open_app)) == {ALICE}
