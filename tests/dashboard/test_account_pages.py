"""One's own account, as pages: password, second factor, sign-ins and tokens."""

import re

import pyotp
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.dashboard.conftest import SignIn
from tests.people import PASSWORD, Person, data_of

NEW_PASSWORD = "Another-horse-8"
SECRET = re.compile(r'name="secret" value="([A-Z2-7]+)"')


def led_to(answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def begun(browser: FlaskClient) -> tuple[TestResponse, pyotp.TOTP]:
    """The page that shows a new secret, and an authenticator that has it."""
    page = browser.post("/account/second-factor", data={"password": PASSWORD})
    assert page.status_code == 200, page.text
    found = SECRET.search(page.text)
    assert found
    return page, pyotp.TOTP(found[1])


def recovery_codes(page: TestResponse) -> list[str]:
    found = re.search(r"<pre[^>]*>([^<]+)</pre>", page.text)
    assert found
    return found[1].split()


@pytest.fixture
def browser(browser_of: SignIn, alice: Person) -> FlaskClient:
    return browser_of(alice)


class TestTheAccount:
    def test_it_tells_who_one_is(self, browser: FlaskClient, alice: Person) -> None:
        page = browser.get("/account").text
        assert alice.email in page
        assert 'value="Alice"' in page
        assert 'href="/account"' in browser.get("/").text

    def test_ones_name_changes(self, browser: FlaskClient, alice: Person) -> None:
        assert led_to(browser.post("/account", data={"name": "Alice Ø"})) == "/account"
        assert data_of(alice.get("/api/auth/me"))["name"] == "Alice Ø"
        refused = browser.post("/account", data={"name": " "})
        assert refused.status_code == 400
        assert "Must not be blank" in refused.text

    def test_by_the_api_too_and_nothing_else_of_it(self, alice: Person) -> None:
        changed = data_of(alice.patch("/api/auth/me", json={"name": "A. Lice"}))
        assert changed["name"] == "A. Lice"
        refused = alice.patch("/api/auth/me", json={"role": "admin"})
        assert refused.status_code == 400
        assert data_of(alice.get("/api/auth/me"))["role"] == "user"

    def test_a_guest_is_led_there_and_sees_what_it_may_do(
        self, client: FlaskClient, new_person: NewPerson
    ) -> None:
        guest = new_person("Nora", Role.GUEST)
        answer = client.post("/login", data={"email": guest.email, "password": PASSWORD})
        assert led_to(answer) == "/account"
        page = client.get("/account").text
        assert 'name="name"' not in page
        assert 'href="/account/tokens"' not in page
        assert client.get("/account/tokens/new").status_code == 403


class TestThePassword:
    def change(self, browser: FlaskClient, present: str, new: str) -> TestResponse:
        given = {"currentPassword": present, "newPassword": new}
        return browser.post("/account/password", data=given)

    def test_a_new_one_ends_all_other_sign_ins(
        self, browser: FlaskClient, browser_of: SignIn, alice: Person
    ) -> None:
        other = browser_of(alice)
        assert led_to(self.change(browser, PASSWORD, NEW_PASSWORD)) == "/account"
        assert browser.get("/account").status_code == 200
        assert led_to(other.get("/account")).startswith("/login")
        given = {"email": alice.email, "password": NEW_PASSWORD}
        assert led_to(other.post("/login", data=given)) == "/"

    def test_what_is_wrong_stands_at_its_field(self, browser: FlaskClient) -> None:
        wrong = self.change(browser, "wrong", NEW_PASSWORD)
        assert wrong.status_code == 400
        assert re.search(r'id="currentPassword-wrong"[^>]*>This is not your password', wrong.text)
        weak = self.change(browser, PASSWORD, "weak")
        assert weak.status_code == 400
        assert 'id="newPassword-wrong"' in weak.text
        assert "weak" not in weak.text.replace("week", "")
        assert browser.get("/account").status_code == 200


class TestTheSecondFactor:
    def test_it_is_set_up_used_and_removed(
        self, browser: FlaskClient, client: FlaskClient, alice: Person
    ) -> None:
        page, authenticator = begun(browser)
        assert page.headers["Cache-Control"] == "no-store"
        assert "<svg" in page.text and "otpauth://totp/" in page.text
        secret = authenticator.secret
        groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        assert groups in page.text
        done = browser.post("/account/second-factor/confirm", data={"code": authenticator.now()})
        assert done.status_code == 200
        codes = recovery_codes(done)
        assert len(codes) == 10
        state = browser.get("/account/second-factor").text
        assert "Recovery codes left" in state
        assert codes[0] not in state and secret not in state
        given = {"email": alice.email, "password": PASSWORD}
        assert led_to(client.post("/login", data=given)) == "/login/code"
        assert led_to(client.post("/login/code", data={"code": codes[0]})) == "/"
        removal = "/account/second-factor/remove"
        assert 'name="code"' in browser.get(removal).text
        refused = browser.post(removal, data={"password": PASSWORD})
        assert refused.status_code == 400
        assert 'id="code-wrong"' in refused.text
        assert led_to(browser.post(removal, data={"password": PASSWORD, "code": codes[1]}))
        assert data_of(alice.get("/api/auth/second-factor"))["enabled"] is False

    def test_a_wrong_code_keeps_the_secret_in_sight(self, browser: FlaskClient) -> None:
        _, authenticator = begun(browser)
        given = {"code": "000000", "secret": authenticator.secret}
        again = browser.post("/account/second-factor/confirm", data=given)
        assert again.status_code == 400
        assert 'id="code-wrong"' in again.text
        found = SECRET.search(again.text)
        assert found and found[1] == authenticator.secret

    @pytest.mark.parametrize("secret", ["A" * 5000, "ABCDEFGH", "no base32", "é", "\x00"])
    def test_no_other_secret_is_shown(self, browser: FlaskClient, secret: str) -> None:
        begun(browser)
        given = {"code": "000000", "secret": secret}
        again = browser.post("/account/second-factor/confirm", data=given)
        assert again.status_code == 400
        assert not SECRET.search(again.text)

    def test_it_takes_the_password(self, browser: FlaskClient) -> None:
        for given in ({}, {"password": "wrong"}):
            refused = browser.post("/account/second-factor", data=given)
            assert refused.status_code == 400
            assert 'id="password-wrong"' in refused.text

    def test_an_address_shows_no_secret(self, browser: FlaskClient) -> None:
        begun(browser)
        assert led_to(browser.get("/account/second-factor/confirm")) == "/account/second-factor"
        assert not SECRET.search(browser.get("/account/second-factor").text)

    def test_new_recovery_codes_end_the_old_ones(
        self, browser: FlaskClient, client: FlaskClient, alice: Person
    ) -> None:
        _, authenticator = begun(browser)
        old = recovery_codes(
            browser.post("/account/second-factor/confirm", data={"code": authenticator.now()})
        )
        path = "/account/second-factor/recovery-codes"
        new = recovery_codes(browser.post(path, data={"password": PASSWORD, "code": old[0]}))
        assert not set(new) & set(old)
        client.post("/login", data={"email": alice.email, "password": PASSWORD})
        assert client.post("/login/code", data={"code": old[1]}).status_code == 401
        assert led_to(client.post("/login/code", data={"code": new[0]})) == "/"

    def test_whoever_must_have_one_is_led_to_it(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(SECOND_FACTOR="everybody")
        alice = new_person("Alice", of=app)
        browser = app.test_client()
        given = {"email": alice.email, "password": PASSWORD}
        assert led_to(browser.post("/login", data=given)) == "/account/second-factor"
        for path in ("/", "/projects", "/account/tokens/new"):
            assert led_to(browser.get(path)) == "/account/second-factor"
        page = browser.get("/account/second-factor").text
        assert "Your account needs a second factor" in page
        assert 'href="/projects"' not in page
        assert browser.post("/projects/new", data={"name": "shop"}).status_code == 403
        _, authenticator = begun(browser)
        browser.post("/account/second-factor/confirm", data={"code": authenticator.now()})
        assert browser.get("/").status_code == 200


class TestSignIns:
    def test_they_are_listed_and_ended(
        self, browser: FlaskClient, browser_of: SignIn, alice: Person
    ) -> None:
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        other = browser_of(alice)
        other.post("/logout")
        other.post(
            "/login",
            data={"email": alice.email, "password": PASSWORD},
            headers={"User-Agent": agent},
        )
        page = browser.get("/account/sign-ins").text
        assert "Firefox, Linux" in page
        assert page.count("this one") == 1
        row = next(each for each in page.split("<tr>") if "Firefox, Linux" in each)
        path = re.search(r'action="([^"]+/end)"', row)
        assert path
        assert led_to(browser.post(path[1])) == "/account/sign-ins"
        assert led_to(other.get("/account")).startswith("/login")
        assert browser.post(path[1]).status_code == 404

    def test_all_others_end_and_this_one_stays(
        self, browser: FlaskClient, browser_of: SignIn, alice: Person
    ) -> None:
        other = browser_of(alice)
        # The other browser, and the tokens that Alice calls the API with.
        assert "2 other browsers" in browser.get("/account/sign-ins/end-others").text
        assert led_to(browser.post("/account/sign-ins/end-others")) == "/account/sign-ins"
        assert led_to(other.get("/account")).startswith("/login")
        assert "this one" in browser.get("/account/sign-ins").text
        assert alice.get("/api/auth/me").status_code == 401

    def test_ending_this_one_signs_out(self, browser: FlaskClient) -> None:
        row = next(
            each
            for each in browser.get("/account/sign-ins").text.split("<tr>")
            if "this one" in each
        )
        path = re.search(r'action="([^"]+/end)"', row)
        assert path
        assert led_to(browser.post(path[1])) == "/login"
        assert led_to(browser.get("/account")).startswith("/login")


class TestTokens:
    def make(self, browser: FlaskClient, **given: object) -> TestResponse:
        sent = {"name": "script", "scopes": ["services:read"], "expiry": "30"} | given
        return browser.post("/account/tokens/new", data=sent)

    def test_one_is_shown_once_works_and_is_revoked(
        self, browser: FlaskClient, client: FlaskClient
    ) -> None:
        assert "No tokens yet" in browser.get("/account/tokens").text
        made = self.make(browser, scopes=["services:read", "projects:read"])
        assert made.status_code == 200
        assert made.headers["Cache-Control"] == "no-store"
        text = re.search(r"cms_[\w-]+", made.text)
        assert text
        headers = {"Authorization": f"Bearer {text[0]}"}
        data_of(client.get("/api/services", headers=headers))
        data_of(client.get("/api/projects", headers=headers))
        assert client.get("/api/audit", headers=headers).status_code == 403
        listed = browser.get("/account/tokens").text
        assert text[0] not in listed
        assert "script" in listed
        path = re.search(r'href="(/account/tokens/[^"]+/revoke)"', listed)
        assert path
        assert "It was last used" in browser.get(path[1]).text
        assert led_to(browser.post(path[1])) == "/account/tokens"
        assert client.get("/api/services", headers=headers).status_code == 401
        assert browser.get(path[1]).status_code == 404

    def test_it_may_end_by_itself_or_not(self, browser: FlaskClient, alice: Person) -> None:
        self.make(browser, name="for a month")
        self.make(browser, name="for ever", expiry="never")
        tokens = {each["name"]: each for each in data_of(alice.get("/api/auth/tokens"))}
        assert tokens["for a month"]["expiresAt"] is not None
        assert tokens["for ever"]["expiresAt"] is None
        for odd in ("", "13", "x"):
            refused = self.make(browser, name="odd", expiry=odd)
            assert refused.status_code == 400
            assert 'id="expiry-wrong"' in refused.text
        assert len(data_of(alice.get("/api/auth/tokens"))) == 2

    def test_only_scopes_that_one_has_are_offered_and_taken(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        assert 'value="users:manage"' not in browser.get("/account/tokens/new").text
        for scopes in (["users:manage", "audit:read"], ["nonsense", "audit:read"], []):
            refused = self.make(browser, name="kept", scopes=scopes)
            assert refused.status_code == 400
            assert 'id="scopes-wrong"' in refused.text
            assert 'value="kept"' in refused.text
            assert ('value="audit:read" checked' in refused.text) == ("audit:read" in scopes)
        assert self.make(browser, name="").status_code == 400
        assert data_of(alice.get("/api/auth/tokens")) == []


class TestTheEnd:
    def test_an_account_ends_by_its_password(
        self, browser: FlaskClient, alice: Person, admin: Person
    ) -> None:
        refused = browser.post("/account/deactivate", data={"password": "wrong"})
        assert refused.status_code == 400
        ended = browser.post("/account/deactivate", data={"password": PASSWORD})
        assert led_to(ended) == "/login?notice=ended"
        assert "Your account has ended" in browser.get("/login?notice=ended").text
        assert (
            browser.post("/login", data={"email": alice.email, "password": PASSWORD}).status_code
            == 401
        )
        assert data_of(admin.get(f"/api/users/{alice.user_id}"))["active"] is False

    def test_the_last_admin_stays(self, browser_of: SignIn, admin: Person) -> None:
        refused = browser_of(admin).post("/account/deactivate", data={"password": PASSWORD})
        assert refused.status_code == 409
        assert "This is the last active admin" in refused.text
