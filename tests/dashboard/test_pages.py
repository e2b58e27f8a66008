"""The pages, as a browser without JavaScript uses them."""

import pytest
from flask.testing import FlaskClient

from tests.dashboard.conftest import SignIn
from tests.people import PASSWORD, Person, data_of


@pytest.fixture
def browser(client: FlaskClient, alice: Person) -> FlaskClient:
    """A browser in which Alice signed in by the form."""
    answer = client.post("/login", data={"email": alice.email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    return client


class TestSigningIn:
    def test_a_stranger_is_led_to_the_form_and_back(
        self, client: FlaskClient, alice: Person
    ) -> None:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        answer = client.get("/services/1?tab=x")
        assert answer.headers["Location"] == "/login?next=/services/1?tab%3Dx"
        form = client.get(answer.headers["Location"]).text
        assert '<input type="hidden" name="next" value="/services/1?tab=x">' in form
        given = {"email": alice.email, "password": PASSWORD, "next": "/services/1?tab=x"}
        assert client.post("/login", data=given).headers["Location"] == "/services/1?tab=x"

    @pytest.mark.parametrize(
        "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "x", "/\n//e"]
    )
    def test_nobody_is_led_to_another_site(
        self, client: FlaskClient, alice: Person, elsewhere: str
    ) -> None:
        given = {"email": alice.email, "password": PASSWORD, "next": elsewhere}
        assert client.post("/login", data=given).headers["Location"] == "/"

    def test_a_wrong_password_keeps_the_address_and_says_so(
        self, client: FlaskClient, alice: Person
    ) -> None:
        answer = client.post("/login", data={"email": alice.email, "password": "wrong"})
        assert answer.status_code == 401
        assert f'value="{alice.email}"' in answer.text
        assert 'role="alert"' in answer.text
        assert client.get("/").status_code == 303

    def test_signing_out_ends_it(self, browser: FlaskClient) -> None:
        assert browser.get("/").status_code == 200
        assert browser.post("/logout").status_code == 303
        assert browser.get("/").status_code == 303

    def test_the_cookie_is_for_this_site_and_no_script(
        self, client: FlaskClient, alice: Person
    ) -> None:
        form = {"email": alice.email, "password": PASSWORD}
        plain = client.post("/login", data=form).headers["Set-Cookie"]
        assert "HttpOnly" in plain
        assert "SameSite=Lax" in plain
        assert "Secure" not in plain
        by_tls = client.post("/login", data=form, base_url="https://localhost")
        assert "Secure" in by_tls.headers["Set-Cookie"]
        assert "max-age" in by_tls.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "path",
    [
        "/services/%00",
        "/projects/%00",
        "/projects/%00/members/%00",
        "/account/tokens/%00/revoke",
        "/admin/users/%00",
    ],
)
def test_nothing_has_a_nul_in_its_address(browser_of: SignIn, admin: Person, path: str) -> None:
    assert browser_of(admin).get(path).status_code == 404


class TestOtherSites:
    def test_a_link_of_theirs_asks_first(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        foreign = {"Sec-Fetch-Site": "cross-site"}
        asked = browser.get(f"/services/{service['serviceId']}/suspend", headers=foreign)
        assert asked.status_code == 200
        assert browser.post(asked.request.path, headers=foreign).status_code == 403
        assert data_of(alice.get(f"/api/services/{service['id']}"))["status"] == "active"
