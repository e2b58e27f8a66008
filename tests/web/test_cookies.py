"""The session cookie: who may read and send it, and what a planted one is worth."""

from http.cookies import Morsel, SimpleCookie

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

NAME = "cms_session"
# Browsers take a cookie of such a name from this host alone, and only by TLS.
NAME_OVER_TLS = f"__Host-{NAME}"
DOORS = ("/api/auth/login", "/login")


def sign_in(client: FlaskClient, door: str, email: str, **sent: object) -> TestResponse:
    """Sign in by the API or by the page."""
    given = {"email": email, "password": PASSWORD}
    body = {"data": given} if door == "/login" else {"json": given}
    answer = client.post(door, **body, **sent)  # type: ignore[arg-type]
    assert answer.status_code in (200, 303), answer.text
    return answer


def cookie_of(answer: TestResponse) -> "Morsel[str]":
    """The one cookie that an answer sets, which is named as its security says."""
    (header,) = answer.headers.getlist("Set-Cookie")
    ((name, cookie),) = SimpleCookie(header).items()
    assert name == (NAME_OVER_TLS if cookie["secure"] else NAME)
    return cookie


@pytest.mark.parametrize("door", DOORS)
class TestAttributes:
    def test_no_script_reads_it_and_no_other_site_sends_it(
        self, client: FlaskClient, alice: Person, door: str
    ) -> None:
        cookie = cookie_of(sign_in(client, door, alice.email))
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        # Sent to this host alone, and forgotten with the browser.
        assert (cookie["domain"], cookie["expires"], cookie["max-age"]) == ("", "", "")
        assert cookie["secure"] == ""

    def test_over_tls_it_is_never_sent_in_the_clear(
        self, client: FlaskClient, alice: Person, door: str
    ) -> None:
        answer = sign_in(client, door, alice.email, base_url="https://localhost")
        assert cookie_of(answer)["secure"] is True

    @pytest.mark.parametrize(
        ("proxies", "scheme", "secure"),
        [("0", "https", ""), ("1", "https", True), ("1", "http", ""), ("1", "http, https", True)],
    )
    def test_a_trusted_proxy_tells_that_it_is_tls(
        self,
        make_app: MakeApp,
        new_person: NewPerson,
        door: str,
        proxies: str,
        scheme: str,
        secure: object,
    ) -> None:
        app = make_app(TRUSTED_PROXIES=proxies)
        email = new_person("Alice", of=app).email
        headers = {"X-Forwarded-Proto": scheme}
        assert (
            cookie_of(sign_in(app.test_client(), door, email, headers=headers))["secure"] == secure
        )

    def test_signing_out_takes_it_back(self, client: FlaskClient, alice: Person, door: str) -> None:
        sign_in(client, door, alice.email)
        out = client.post(door.replace("login", "logout"))
        cookie = cookie_of(out)
        assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")
        assert client.get_cookie(NAME) is None


@pytest.mark.parametrize("door", DOORS)
class TestFixation:
    def test_a_planted_cookie_is_replaced_and_worth_nothing_any_more(
        self, app: Flask, alice: Person, bob: Person, door: str
    ) -> None:
        attacker, victim = app.test_client(), app.test_client()
        sign_in(attacker, door, bob.email)
        planted = attacker.get_cookie(NAME)
        assert planted is not None
        victim.set_cookie(NAME, planted.value)
        sign_in(victim, door, alice.email)
        given = victim.get_cookie(NAME)
        assert given is not None and given.value != planted.value
        assert data_of(victim.get("/api/auth/me"))["email"] == alice.email
        error_of(attacker.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    @pytest.mark.parametrize(
        "value", ["fixed", "", "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbb", "a.b.c"]
    )
    def test_a_made_up_cookie_is_worthless_before_and_after(
        self, app: Flask, alice: Person, door: str, value: str
    ) -> None:
        attacker, victim = app.test_client(), app.test_client()
        for each in (attacker, victim):
            each.set_cookie(NAME, value)
        error_of(victim.get("/api/auth/me"), 401, "UNAUTHENTICATED")
        sign_in(victim, door, alice.email)
        data_of(victim.get("/api/auth/me"))
        error_of(attacker.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    def test_signing_in_anew_leaves_nothing_of_the_old_sign_in(
        self, client: FlaskClient, alice: Person, bob: Person, door: str
    ) -> None:
        with client.session_transaction() as session:
            session["signing_in"] = bob.user_id
        sign_in(client, door, alice.email)
        with client.session_transaction() as session:
            first = session["_user_id"]
            assert "signing_in" not in session
        sign_in(client, door, alice.email)
        with client.session_transaction() as session:
            assert session["_user_id"] != first

    def test_a_failed_attempt_signs_nobody_in(
        self, client: FlaskClient, alice: Person, door: str
    ) -> None:
        wrong = {"email": alice.email, "password": "Wrong-horse-8"}
        body = {"data": wrong} if door == "/login" else {"json": wrong}
        answer = client.post(door, **body)  # type: ignore[arg-type]
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")
