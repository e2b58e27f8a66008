"""What editors set about a service, and its ingest tokens, on its page."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from tests.dashboard.browsing import browser_of, text_of, typed_in
from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def browser(app: Flask, alice: Person) -> FlaskClient:
    return browser_of(app, alice)


def settings_of(service: dict[str, Any], more: str = "") -> str:
    return f"/services/{service['serviceId']}/settings{more}"


def saved(person: Person, service: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data_of(person.get(f"/api/services/{service['id']}"))
    return found


def share(alice: Person, bob: Person, role: str) -> None:
    project = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
    path = f"/api/projects/{project['id']}/members/{bob.user_id}"
    data_of(alice.put(path, json={"role": role}))


class TestTheForm:
    def test_it_saves_what_is_typed(self, browser: FlaskClient, alice: Person) -> None:
        data_of(alice.post("/api/projects", json={"name": "mine"}), 201)
        service = alice.new_service(endpoints=["/a"], dependencies=["Store"])
        form = typed_in(browser.get(settings_of(service)).text)
        assert (form["endpoints"], form["dependencies"], form["project"]) == ("/a", "Store", "")
        form |= {
            "name": " Orders & more ",
            "description": "Line 1\r\nLine 2",
            "icon": "cube-outline",
            "project": "mine",
            "endpoints": "/a\r\n\r\n  /b  \r\n",
            "dependencies": "",
            "tags": "Shop,  production,,shop ",
        }
        answer = browser.post(settings_of(service), data=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, settings_of(service))
        assert "Saved." in browser.get(settings_of(service)).text
        now = saved(alice, service)
        assert now["name"] == "Orders & more"
        assert now["description"] == "Line 1\nLine 2"
        assert (now["icon"], now["project"]) == ("cube-outline", "mine")
        assert now["tags"] == ["production", "shop"]
        assert (now["endpoints"], now["dependencies"]) == (["/a", "/b"], [])

    def test_sending_it_as_it_stands_changes_nothing(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(
            description=' Some\n\n"text" <b>&amp;', endpoints=["/x y"], dependencies=["A", "B"]
        )
        before = saved(alice, service)
        form = typed_in(browser.get(settings_of(service)).text)
        browser.post(settings_of(service), data=form)
        assert "Nothing changed: it was so already." in browser.get(settings_of(service)).text
        assert saved(alice, service) == before

    @pytest.mark.parametrize(
        ("field", "typed"),
        [
            ("name", ""),
            ("name", "x" * 256),
            ("name", "nul \0"),
            ("icon", "   "),
            ("description", "x" * 10_001),
            ("endpoints", "x" * 256),
            ("tags", "two words, ok, x/y"),
            ("dependencies", "\n".join(f"service {n}" for n in range(201))),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
        self, browser: FlaskClient, alice: Person, field: str, typed: str
    ) -> None:
        service = alice.new_service()
        before = saved(alice, service)
        form = typed_in(browser.get(settings_of(service)).text) | {"description": "Kept"}
        answer = browser.post(settings_of(service), data=form | {field: typed})
        assert answer.status_code == 400
        assert f'id="{field}-wrong"' in answer.text
        again = typed_in(answer.text)
        assert again[field] == typed
        if field != "description":
            assert again["description"] == "Kept"
        assert saved(alice, service) == before

    def test_who_saved_first_is_shown_beside_what_was_typed(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(name="Orders", endpoints=["/a"])
        form = typed_in(browser.get(settings_of(service)).text) | {"name": "Mine"}
        patch = {"name": "Theirs", "description": "By them"}
        data_of(alice.patch(f"/api/services/{service['id']}", json=patch))
        answer = browser.post(settings_of(service), data=form)
        assert answer.status_code == 409
        page = text_of(answer.text)
        assert "Somebody else saved first." in page
        assert "Saved now: Theirs" in page
        assert "Saved now: By them" in page
        assert page.count("Saved now:") == 2
        assert saved(alice, service)["name"] == "Theirs"
        again = typed_in(answer.text)
        assert (again["name"], again["description"]) == ("Mine", "")
        assert browser.post(settings_of(service), data=again).status_code == 303
        assert saved(alice, service)["name"] == "Mine"

    @on_sqlite
    def test_what_an_import_left_stays_as_it_is(
        self, app: Flask, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        odd = [{"path": "/orders", "method": "GET"}, 7]
        with app.app_context():
            db.session.execute(
                update(Service).where(Service.id == service["id"]).values(endpoints=odd)
            )
            db.session.commit()
        form = typed_in(browser.get(settings_of(service)).text)
        answer = browser.post(settings_of(service), data=form | {"description": "New"})
        assert answer.status_code == 303
        with app.app_context():
            stored = db.session.scalars(select(Service)).one()
            assert (stored.description, stored.endpoints) == ("New", odd)

    def test_editors_change_it_but_do_not_move_it(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        share(alice, bob, "editor")
        service = alice.new_service(project="shared")
        browser = browser_of(app, bob)
        page = browser.get(settings_of(service)).text
        assert "Moving it takes its owner" in page
        form = typed_in(page) | {"name": "By Bob", "project": "Bob's own"}
        assert browser.post(settings_of(service), data=form).status_code == 303
        assert (saved(alice, service)["name"], saved(alice, service)["project"]) == (
            "By Bob",
            "shared",
        )

    def test_a_project_of_others_is_refused(
        self, browser: FlaskClient, alice: Person, charlie: Person
    ) -> None:
        data_of(charlie.post("/api/projects", json={"name": "theirs"}), 201)
        service = alice.new_service()
        form = typed_in(browser.get(settings_of(service)).text) | {"project": "theirs"}
        answer = browser.post(settings_of(service), data=form)
        assert answer.status_code == 403
        assert "This project is somebody else" in answer.text
        assert saved(alice, service)["project"] is None

    def test_viewers_do_not_come_here(self, app: Flask, alice: Person, bob: Person) -> None:
        share(alice, bob, "viewer")
        service = alice.new_service(project="shared")
        browser = browser_of(app, bob)
        for path in (settings_of(service), settings_of(service, "/tokens")):
            assert browser.get(path).status_code == 403
            assert browser.post(path, data={"name": "x"}).status_code == 403

    def test_a_dependency_that_nobody_has_is_told(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(dependencies=["Nobody"])
        page = text_of(browser.get(settings_of(service)).text)
        assert "No service has the name “Nobody” yet." in page

    def test_a_cancelled_one_stays_as_it_was(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        form = typed_in(browser.get(settings_of(service)).text) | {"name": "Late"}
        data_of(alice.delete(f"/api/services/{service['id']}"))
        assert "A cancelled service stays as it was." in browser.get(settings_of(service)).text
        assert browser.post(settings_of(service), data=form).status_code == 409
        form["version"] = str(saved(alice, service)["version"])
        answer = browser.post(settings_of(service), data=form)
        assert answer.status_code == 409
        assert "A cancelled service can" in answer.text
        assert saved(alice, service)["name"] == "Orders API"


class TestTokens:
    def make(self, browser: FlaskClient, service: dict[str, Any], **form: str) -> str:
        answer = browser.post(settings_of(service, "/tokens"), data={"name": "agent"} | form)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        found = re.search(r"<code class=\"secret\">(cms_ingest_[\w-]+)</code>", answer.text)
        assert found
        return found[1]

    def test_one_is_shown_once_and_writes(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        assert "New ingest token" in browser.get(settings_of(service, "/tokens")).text
        token = self.make(browser, service, expiry="30")
        page = browser.get(settings_of(service)).text
        assert token not in page
        assert re.search(r"agent made \d+ \w+ \d{4} · never used · expires", text_of(page))
        headers = {"Authorization": f"Bearer {token}"}
        entries = {"entries": [{"level": "info", "message": "hello"}]}
        logs = f"/api/services/{service['id']}/logs"
        assert alice.client.post(logs, json=entries, headers=headers).status_code == 202
        assert "last used" in browser.get(settings_of(service)).text

    def test_a_revoked_one_is_refused(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        token = self.make(browser, service, expiry="never")
        page = browser.get(settings_of(service)).text
        found = re.search(r'href="([^"]+/revoke)"', page)
        assert found
        assert "is refused from then on" in browser.get(found[1]).text
        assert browser.post(found[1]).status_code == 303
        assert "None yet." in browser.get(settings_of(service)).text
        headers = {"Authorization": f"Bearer {token}"}
        logs = f"/api/services/{service['id']}/logs"
        error_of(alice.client.post(logs, json={}, headers=headers), 401, "UNAUTHENTICATED")
        assert browser.get(found[1]).status_code == 404

    @pytest.mark.parametrize("name", ["", "  ", "x" * 256, "nul \0"])
    def test_a_bad_name_is_kept_and_makes_none(
        self, browser: FlaskClient, alice: Person, name: str
    ) -> None:
        service = alice.new_service()
        answer = browser.post(settings_of(service, "/tokens"), data={"name": name})
        assert answer.status_code == 400
        assert 'id="token-name-wrong"' in answer.text
        assert "None yet." in browser.get(settings_of(service)).text

    def test_an_unknown_expiry_makes_none(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        given = {"name": "agent", "expiry": "forever"}
        answer = browser.post(settings_of(service, "/tokens"), data=given)
        assert answer.status_code == 400
        assert "None yet." in browser.get(settings_of(service)).text
