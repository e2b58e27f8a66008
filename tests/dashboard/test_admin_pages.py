"""Administration, as pages."""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.dashboard.conftest import SignIn
from tests.dashboard.forms import forms_of
from tests.people import PASSWORD, Person, data_of

NEW_PASSWORD = "Another-horse-8"


def led_to(answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


@pytest.fixture
def browser(browser_of: SignIn, admin: Person) -> FlaskClient:
    return browser_of(admin)


class TestTheList:
    def test_it_finds_by_name_role_and_state(
        self, browser: FlaskClient, alice: Person, bob: Person, new_person: NewPerson
    ) -> None:
        guest = new_person("Nora", Role.GUEST)
        browser.post(f"/admin/users/{bob.user_id}/end")
        everybody = browser.get("/admin/users").text
        for person in (alice, bob, guest):
            assert person.email in everybody
        for query, found in (
            ("q=ALI", alice),
            ("role=guest", guest),
            ("state=ended", bob),
            ("q=bob&role=user&state=ended", bob),
        ):
            page = browser.get(f"/admin/users?{query}").text
            assert [p.email for p in (alice, bob, guest) if p.email in page] == [found.email]
        assert "No account matches" in browser.get("/admin/users?q=nobody").text

    def test_it_tells_when_somebody_was_seen(
        self, browser: FlaskClient, bob: Person, new_person: NewPerson
    ) -> None:
        data_of(bob.delete("/api/auth/sessions"))
        rows = browser.get("/admin/users").text.split("<tr>")
        own = next(row for row in rows if bob.email in row)
        assert "data-relative" in own

    def test_it_goes_on_over_pages(self, browser: FlaskClient, new_person: NewPerson) -> None:
        for number in range(51):
            new_person(f"person-{number:02}")
        first = browser.get("/admin/users?q=person").text
        following = re.search(r'href="(/admin/users\?cursor=[^"]+)"', first)
        assert following
        second = browser.get(following[1].replace("&amp;", "&")).text
        assert "person-50@" in second
        assert "person-49@" not in second

    def test_nobody_else_sees_it(self, browser_of: SignIn, alice: Person) -> None:
        browser = browser_of(alice)
        assert "/admin/users" not in browser.get("/").text
        for path in ("/admin/users", f"/admin/users/{alice.user_id}", "/admin/invitations"):
            assert browser.get(path).status_code == 403


class TestAnAccount:
    def test_one_is_made(self, browser: FlaskClient, client: FlaskClient) -> None:
        given = {"email": "new@example.com", "name": "", "password": NEW_PASSWORD, "role": "user"}
        weak = browser.post("/admin/users/new", data=given | {"password": "weak"})
        assert weak.status_code == 400
        assert 'value="new@example.com"' in weak.text
        path = led_to(browser.post("/admin/users/new", data=given))
        assert "new@example.com" in browser.get(path).text
        again = browser.post("/admin/users/new", data=given)
        assert again.status_code == 409
        assert "There is an account with this e-mail address." in again.text
        assert led_to(client.post("/login", data=given)) == "/"

    def test_name_and_role_change(self, browser: FlaskClient, alice: Person) -> None:
        path = f"/admin/users/{alice.user_id}"
        assert led_to(browser.post(path, data={"name": "A. Lice", "role": "admin"})) == path
        user = data_of(alice.get("/api/auth/me"))
        assert (user["name"], user["role"]) == ("A. Lice", "admin")
        wrong = browser.post(path, data={"name": "", "role": "king"})
        assert wrong.status_code == 400
        assert 'id="role-wrong"' in wrong.text and 'id="name-wrong"' in wrong.text

    def test_its_password_is_set_anew(
        self, browser: FlaskClient, client: FlaskClient, admin: Person, alice: Person
    ) -> None:
        path = f"/admin/users/{alice.user_id}"
        assert f'href="{path}/password"' in browser.get(path).text
        assert "sign-in ends at once" in browser.get(f"{path}/password").text
        weak = browser.post(f"{path}/password", data={"password": "short"})
        assert weak.status_code == 400
        assert 'id="password-wrong"' in weak.text
        assert data_of(alice.get("/api/auth/me"))
        assert led_to(browser.post(f"{path}/password", data={"password": NEW_PASSWORD})) == path
        assert alice.get("/api/auth/me").status_code == 401
        given = {"email": alice.email, "password": NEW_PASSWORD}
        assert client.post("/login", data=given).status_code == 303
        own = f"/admin/users/{admin.user_id}"
        assert f"{own}/password" not in browser.get(own).text
        refused = browser.post(f"{own}/password", data={"password": NEW_PASSWORD})
        assert refused.status_code == 403

    def test_another_admins_change_meanwhile_stays(
        self, browser: FlaskClient, admin: Person, alice: Person
    ) -> None:
        user = f"/api/users/{alice.user_id}"
        data_of(admin.patch(user, json={"role": "admin"}))
        path = f"/admin/users/{alice.user_id}"
        form = next(each for each in forms_of(browser.get(path).text) if "role" in each.controls)
        data_of(admin.patch(user, json={"role": "guest"}))
        refused = browser.post(path, data=form.sent(name=" "))
        assert refused.status_code == 400
        form = next(each for each in forms_of(refused.text) if "role" in each.controls)
        assert led_to(browser.post(path, data=form.sent(name="A. Lice"))) == path
        changed = data_of(admin.get(user))
        assert (changed["name"], changed["role"]) == ("A. Lice", "guest")

    def test_nobody_locks_oneself_out(self, browser: FlaskClient, admin: Person) -> None:
        path = f"/admin/users/{admin.user_id}"
        page = browser.get(path).text
        assert 'name="role"' not in page
        assert f"{path}/end" not in page
        demoted = browser.post(path, data={"name": "Ada", "role": "user"})
        assert demoted.status_code == 403
        assert "Nobody can deactivate or demote the own account" in demoted.text
        assert browser.post(f"{path}/end").status_code == 403
        assert browser.post(f"{path}/second-factor/remove").status_code == 403
        assert led_to(browser.post(path, data={"name": "Ada L."})) == path
        assert data_of(admin.get("/api/auth/me"))["role"] == "admin"

    def test_it_ends_and_comes_back(
        self, browser: FlaskClient, browser_of: SignIn, alice: Person
    ) -> None:
        own = browser_of(alice)
        path = f"/admin/users/{alice.user_id}"
        # The browser, and the tokens that Alice calls the API with.
        assert "2 sign-ins end at once." in browser.get(f"{path}/end").text
        assert led_to(browser.post(f"{path}/end")) == path
        assert led_to(own.get("/account")).startswith("/login")
        given = {"email": alice.email, "password": PASSWORD}
        assert own.post("/login", data=given).status_code == 401
        assert f"{path}/reactivate" in browser.get(path).text
        assert led_to(browser.post(f"{path}/reactivate")) == path
        assert led_to(own.post("/login", data=given)) == "/"

    def test_its_sign_ins_end(
        self, browser: FlaskClient, browser_of: SignIn, alice: Person
    ) -> None:
        own = browser_of(alice)
        path = f"/admin/users/{alice.user_id}"
        assert led_to(browser.post(f"{path}/sign-ins/end")) == path
        assert led_to(own.get("/account")).startswith("/login")
        assert "Signed in nowhere" in browser.get(path).text

    def test_its_tokens_are_revoked(self, browser: FlaskClient, alice: Person) -> None:
        made = data_of(
            alice.post("/api/auth/tokens", json={"name": "nightly", "scopes": ["audit:read"]}), 201
        )
        path = f"/admin/users/{alice.user_id}"
        page = browser.get(path).text
        assert "nightly" in page
        assert made["token"] not in page
        revoke = f"{path}/tokens/{made['id']}/revoke"
        assert "nightly" in browser.get(revoke).text
        assert led_to(browser.post(revoke)) == path
        assert data_of(alice.get("/api/auth/tokens")) == []
        assert browser.get(revoke).status_code == 404

    def test_an_unknown_one_is_not_there(self, browser: FlaskClient) -> None:
        assert browser.get("/admin/users/none").status_code == 404
        assert browser.get("/admin/users/none/end").status_code == 404


class TestInvitations:
    @pytest.fixture
    def browser(self, make_app: MakeApp, new_person: NewPerson) -> FlaskClient:
        app = make_app(REGISTRATION="invite")
        admin = new_person("Ada", Role.ADMIN, of=app)
        browser = app.test_client()
        browser.post("/login", data={"email": admin.email, "password": PASSWORD})
        return browser

    def test_one_is_made_and_taken_back(self, browser: FlaskClient) -> None:
        assert "No invitations are open" in browser.get("/admin/invitations").text
        given = {"email": "new@example.com", "role": "guest"}
        assert led_to(browser.post("/admin/invitations/new", data=given)) == "/admin/invitations"
        page = browser.get("/admin/invitations").text
        assert "new@example.com" in page and "guest" in page
        path = re.search(r'href="(/admin/invitations/[^"]+/revoke)"', page)
        assert path
        assert "new@example.com" in browser.get(path[1]).text
        assert led_to(browser.post(path[1])) == "/admin/invitations"
        assert "new@example.com" not in browser.get("/admin/invitations").text
        assert browser.get(path[1]).status_code == 404

    def test_what_is_wrong_is_said(self, browser: FlaskClient) -> None:
        for email, status in (("nonsense", 400), ("ada@example.com", 409)):
            given = {"email": email, "role": "user"}
            refused = browser.post("/admin/invitations/new", data=given)
            assert refused.status_code == status
            assert f'value="{email}"' in refused.text
            assert 'role="alert"' in refused.text

    def test_where_nobody_could_accept_none_is_offered(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(REGISTRATION="closed")
        admin = new_person("Ada", Role.ADMIN, of=app)
        browser = app.test_client()
        browser.post("/login", data={"email": admin.email, "password": PASSWORD})
        page = browser.get("/admin/invitations").text
        assert "REGISTRATION is closed" in page
        assert "/admin/invitations/new" not in page
        given = {"email": "new@example.com", "role": "user"}
        refused = browser.post("/admin/invitations/new", data=given)
        assert refused.status_code == 409
        assert "REGISTRATION is closed" in refused.text
