"""What is refused on a German page is said in German, and in English everywhere else."""

import html
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.browsing import signed_in, text_of
from tests.dashboard.forms import form_of
from tests.people import Person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
pytestmark = on_sqlite

GERMAN = {"Accept-Language": "de"}


@pytest.fixture
def german(app: Flask) -> Callable[[Person], FlaskClient]:
    """Sign somebody in, in a browser that asks for German."""

    def made(person: Person) -> FlaskClient:
        browser = app.test_client()
        browser.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
        return signed_in(browser, person)

    return made


SignIn = Callable[[Person], FlaskClient]


def said(browser: FlaskClient, path: str, status: int, **typed: str) -> str:
    """What a page answers to a form, with the marks taken out."""
    answer = browser.post(path, data=typed)
    assert answer.status_code == status, answer.text
    assert '<html lang="de"' in answer.text
    return text_of(answer.text)


class TestAForm:
    def test_it_says_that_a_field_is_needed_or_too_long(
        self, german: SignIn, alice: Person
    ) -> None:
        browser = german(alice)
        page = said(browser, "/projects/new", 400, name=" ")
        assert "Darf nicht leer sein." in page
        page = said(browser, "/projects/new", 400, name="x" * 256)
        assert "Die Länge muss zwischen 1 und 255 liegen." in page
        page = said(browser, "/projects/new", 400, name="shop", description="x" * 10_001)
        assert "Ist zu lang: höchstens 10000." in page

    def test_it_says_what_is_taken(self, german: SignIn, alice: Person) -> None:
        browser = german(alice)
        assert browser.post("/projects/new", data={"name": "shop"}).status_code == 303
        page = said(browser, "/projects/new", 409, name="shop")
        assert "Ein Projekt dieses Namens gibt es schon." in page

    def test_it_says_that_a_password_is_wrong_or_weak(self, german: SignIn, alice: Person) -> None:
        browser = german(alice)
        page = said(browser, "/account/password", 400, currentPassword="no", newPassword="Good-7-x")
        assert "Das ist nicht Ihr Passwort." in page
        nobody = said(browser, "/login", 401, email=alice.email, password="no")
        assert "Die E-Mail-Adresse oder das Passwort ist falsch." in nobody

    def test_it_says_what_is_no_address(self, german: SignIn, admin: Person) -> None:
        browser = german(admin)
        for email, problem in [
            ("nobody", "Eine E-Mail-Adresse muss ein @-Zeichen haben."),
            ("a b@example.com", "enthält vor dem @-Zeichen ungültige Zeichen: SPACE."),
            # What the library says of this one has no wording.
            ("ä@example.com", "Das ist keine gültige E-Mail-Adresse."),
        ]:
            page = said(
                browser, "/admin/users/new", 400,
                email=email, name="N", password="Good-horse-77", role="user",
            )  # fmt: skip
            assert problem in page

    def test_it_names_the_roles_that_something_takes(
        self, german: SignIn, alice: Person, bob: Person
    ) -> None:
        project = alice.post("/api/projects", json={"name": "shop"}).json["data"]["id"]
        alice.put(f"/api/projects/{project}/members/{bob.user_id}", json={"role": "viewer"})
        page = said(german(bob), f"/projects/{project}/edit", 403, name="other")
        assert "Das verlangt im Projekt die Rolle Eigentum oder Bearbeitung." in page


class TestAPageOfAnError:
    def test_it_is_told(self, german: SignIn, alice: Person, charlie: Person) -> None:
        service = alice.new_service()["serviceId"]
        stranger = german(charlie)
        for path, status, message in [
            (f"/services/{service}", 403, "Dieser Dienst gehört jemand anderem."),
            ("/services/nowhere", 404, "Einen Dienst 'nowhere' gibt es nicht."),
            ("/nowhere", 404, "Unter dieser Adresse gibt es nichts."),
        ]:
            answer = stranger.get(path)
            assert answer.status_code == status
            assert f"<h1>{message}</h1>" in html.unescape(answer.text).replace("&#39;", "'")
            # What scripts show of it.
            assert f'data-problem="{message}"' in html.unescape(answer.text)

    def test_it_stays_english_for_who_reads_english(self, browser: FlaskClient) -> None:
        assert "There is nothing at this address." in browser.get("/nowhere").text


class TestTheConfiguration:
    @pytest.mark.parametrize(
        ("document", "problem"),
        [
            ({"port": 0}, "Erwartet eine ganze Zahl von 1 bis 65535."),
            (
                {"networking": {"corsOrigins": ["x"]}},
                "Erwartet einen Ursprung, etwa https://app.example.com, oder *.",
            ),
            (
                {"runtime": {"timeout": "1ms"}},
                "Erwartet eine Dauer von 1s bis 24h, etwa 30s oder 5m.",
            ),
            ({"logging": {"level": "x"}}, "Erwartet eines von: "),
            ({"healthCheck": {"url": "ftp://x"}}, "die mit http:// oder https:// beginnt."),
            (
                {"environment": {"A": "${Orders API.A}"}, "exports": ["A"]},
                "Übernimmt über das, worauf sie verweist, ihren eigenen Wert.",
            ),
            (
                {"environment": {"A": "${Nobody.A}"}},
                "Einen Dienst 'Nobody' gibt es nicht; schreiben Sie $${, "
                "wo der Text selbst gemeint ist.",
            ),
        ],
    )
    def test_its_editor_says_what_is_wrong(
        self, german: SignIn, alice: Person, document: Any, problem: str
    ) -> None:
        path = f"/services/{alice.new_service()['serviceId']}/configuration"
        browser = german(alice)
        form = form_of(browser.get(path).text, "raw")
        page = said(browser, path, 400, **dict(form.sent(document=orjson.dumps(document).decode())))
        assert problem in page


class TestTheApi:
    def test_it_says_the_same_to_everybody(self, alice: Person, charlie: Person) -> None:
        service = alice.new_service(configuration={"cron": [{"schedule": "x"}]}, type="hosting")
        own, config = f"/api/services/{service['id']}", {"port": 0, "environment": {"A": "${B.C}"}}
        for person, method, path, body in [
            (alice, "POST", "/api/projects", {"name": " "}),
            (alice, "POST", "/api/services", {"name": "x" * 256, "type": "x", "more": 1}),
            (alice, "POST", f"{own}/config", config),
            (alice, "GET", f"/api/services/download/hosting/{service['serviceId']}", None),
            (alice, "GET", f"{own}/metrics?timeframe=x", None),
            (charlie, "GET", own, None),
            (charlie, "GET", "/api/services/nowhere", None),
        ]:
            english = person.open(method, path, json=body)
            assert english.status_code >= 400
            assert person.open(method, path, json=body, headers=GERMAN).data == english.data
            assert english.data.isascii()

    def test_scripts_of_a_page_are_told_in_its_language(self, alice: Person) -> None:
        service = alice.new_service(configuration={"cron": [{"schedule": "x"}]}, type="hosting")
        path = f"/api/services/download/hosting/{service['serviceId']}"
        error = alice.get(path, headers={"X-Message-Language": "de"}).json["error"]
        assert error["code"] == "SERVICE_CONFIG_ERROR"
        assert error["message"] == (
            "Mit cron.0.schedule in der Konfiguration lässt sich nichts anfangen. "
            "Erwartet fünf Felder wie in '*/5 * * * *', oder '@daily'."
        )
        # What programs read of it stays.
        assert error["details"] == {
            "cron.0.schedule": ["Takes five fields, as in '*/5 * * * *', or '@daily'."]
        }
