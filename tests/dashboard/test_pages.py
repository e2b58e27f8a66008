"""The pages, as a browser without JavaScript uses them."""

import html
import re
from typing import ClassVar

import pytest
from flask.testing import FlaskClient

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


class TestTheList:
    def test_an_empty_one_says_what_to_do(self, browser: FlaskClient) -> None:
        assert "Create the first one" in browser.get("/").text
        assert "Nothing matches" in browser.get("/?q=x").text

    def test_it_shows_filters_and_pages(self, browser: FlaskClient, alice: Person) -> None:
        for number in range(51):
            alice.new_service(name=f"Service {number:02}", type=("api", "vps")[number % 2])
        first = browser.get("/").text
        assert first.count("<tr>") == 51
        following = re.search(r'class="button quiet" href="([^"]+)"', first)
        assert following
        assert "Service 50" in browser.get(following[1].replace("&amp;", "&")).text
        assert browser.get("/?type=vps&status=active").text.count("<tr>") == 26
        assert browser.get("/?type=nonsense&q=SERVICE+07").text.count("<tr>") == 2

    def test_names_stay_text(self, browser: FlaskClient, alice: Person) -> None:
        alice.new_service(name="<script>alert(1)</script>")
        page = browser.get("/").text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


class TestOneService:
    def test_it_shows_what_there_is_without_secrets(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(
            name="Cluster",
            type="kubernetes",
            configuration={"environment": {"KEY": {"value": "s3cr3t", "secret": True}}},
        )
        page = browser.get(f"/services/{service['serviceId']}").text
        assert service["clusterId"] in page
        assert "encrypted" in page
        assert "s3cr3t" not in page

    def test_its_buttons_suspend_and_resume_it(self, browser: FlaskClient, alice: Person) -> None:
        path = f"/services/{alice.new_service(type='vps')['serviceId']}"
        assert "Suspend</button>" in browser.get(path).text
        answer = browser.post(f"{path}/suspend")
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        page = browser.get(path).text
        assert "Resume</button>" in page
        assert "suspended" in page
        browser.post(f"{path}/resume")
        assert "Suspend</button>" in browser.get(path).text

    def test_somebody_elses_is_a_page_that_says_so(
        self, browser: FlaskClient, charlie: Person
    ) -> None:
        path = f"/services/{charlie.new_service()['serviceId']}"
        for answer in (browser.get(path), browser.post(f"{path}/suspend")):
            assert answer.status_code == 403
            assert answer.mimetype == "text/html"
            assert answer.headers["X-Request-ID"] in answer.text
        assert browser.get("/services/none").status_code == 404


class TestTheConfigurationForm:
    SECRET: ClassVar = {"environment": {"KEY": {"value": "s3cr3t", "secret": True}}, "port": 1}

    def form(self, browser: FlaskClient, path: str) -> dict[str, str]:
        """What the form would send as it stands."""
        page = browser.get(path).text
        version = re.search(r'name="version" value="([^"]+)"', page)
        document = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
        assert version and document
        return {"version": version[1], "document": html.unescape(document[1])}

    @pytest.fixture
    def path(self, alice: Person) -> str:
        service = alice.new_service(configuration=self.SECRET)
        return f"/services/{service['serviceId']}/configuration"

    def test_it_saves_what_is_typed_and_keeps_secrets(
        self, browser: FlaskClient, alice: Person, path: str
    ) -> None:
        assert f'href="{path}"' in browser.get(path.removesuffix("/configuration")).text
        form = self.form(browser, path)
        assert "s3cr3t" not in form["document"]
        form["document"] = form["document"].replace('"port": 1', '"port": 2')
        answer = browser.post(path, data=form)
        assert (answer.status_code, answer.headers["Location"]) == (
            303,
            path.removesuffix("/configuration"),
        )
        service = path.split("/")[2]
        saved = data_of(alice.get(f"/api/services/{service}/config"))
        assert saved == {"environment": {"KEY": "encrypted"}, "port": 2}
        revealed = alice.post(
            f"/api/services/{service}/config/reveal", json={"path": "environment.KEY"}
        )
        assert data_of(revealed)["value"] == "s3cr3t"

    @pytest.mark.parametrize("typed", ['{"port": "many"}', "{", "[]", '{"a": "</textarea>"', ""])
    def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
        self, browser: FlaskClient, path: str, typed: str
    ) -> None:
        answer = browser.post(path, data=self.form(browser, path) | {"document": typed})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        shown = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.DOTALL)
        assert shown
        assert html.unescape(shown[1]) == typed
        assert answer.text.count("<textarea") == 1

    def test_who_saved_first_is_not_overwritten(
        self, browser: FlaskClient, alice: Person, path: str
    ) -> None:
        form = self.form(browser, path)
        service = path.split("/")[2]
        data_of(alice.post(f"/api/services/{service}/config", json={"port": 7}))
        answer = browser.post(path, data=form | {"document": '{"port": 8}'})
        assert answer.status_code == 409
        assert "Somebody else" in answer.text
        assert "Saved now" in answer.text
        assert data_of(alice.get(f"/api/services/{service}/config"))["port"] == 7
        again = self.form_of(answer.text)
        assert browser.post(path, data=again).status_code == 303
        assert data_of(alice.get(f"/api/services/{service}/config")) == {"port": 8}

    @staticmethod
    def form_of(page: str) -> dict[str, str]:
        version = re.search(r'name="version" value="([^"]+)"', page)
        assert version
        return {"version": version[1], "document": '{"port": 8}'}
