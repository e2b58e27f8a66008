"""Making a service by the pages, as a browser without JavaScript does."""

import html
from typing import Any

import pytest
from flask.testing import FlaskClient

from cms_services.scaffolds.templates import all_templates
from cms_services.vocabulary import ServiceType
from tests.dashboard.forms import forms_of
from tests.people import Person, data_of


def made_by(browser: FlaskClient, alice: Person, query: str, **fields: str) -> dict[str, Any]:
    """The service that the form makes."""
    answer = browser.post(f"/services/new?{query}", data={"name": "New"} | fields)
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    assert "Created." in browser.get(path).text
    service: dict[str, Any] = data_of(alice.get(f"/api{path}"))
    return service


class TestTheBeginning:
    def test_it_offers_every_template_and_type(self, browser: FlaskClient) -> None:
        page = html.unescape(browser.get("/services/new?project=shop").text)
        for template in all_templates():
            assert f'href="/services/new?template={template.id}&project=shop"' in page
        for type in ServiceType:
            assert f'href="/services/new?type={type}&project=shop"' in page

    def test_an_unknown_template_is_none(self, browser: FlaskClient) -> None:
        assert browser.get("/services/new?template=x").status_code == 404
        assert browser.post("/services/new?type=x").headers["Location"] == "/services/new"
        assert browser.post("/services/new/check").status_code == 404


class TestTheForm:
    def test_a_component_comes_of_it(self, browser: FlaskClient, alice: Person) -> None:
        made = made_by(
            browser, alice, "type=api", name="  Orders ", project="shop", tags="Eu, big",
            description="Takes orders", endpoints="/a\r\n\r\n/b\n", dependencies="Store",
        )  # fmt: skip
        assert (made["name"], made["type"], made["project"]) == ("Orders", "api", "shop")
        assert (made["tags"], made["endpoints"]) == (["big", "eu"], ["/a", "/b"])
        assert (made["description"], made["dependencies"]) == ("Takes orders", ["Store"])

    def test_the_same_form_makes_one_however_often_it_is_sent(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        path = "/services/new?type=api"
        form = next(each for each in forms_of(browser.get(path).text) if "once" in each.controls)
        refused = browser.post(path, data=form.sent(name=""))
        assert refused.status_code == 400
        first, again = (browser.post(path, data=form.sent(name="Twice")) for _ in range(2))
        assert (first.status_code, again.status_code) == (303, 303)
        assert first.headers["Location"] == again.headers["Location"]
        other = browser.post(path, data=form.sent(name="Another"))
        assert other.status_code == 303
        names = [each["name"] for each in data_of(alice.get("/api/services"))]
        assert sorted(names) == ["Another", "Twice"]

    def test_a_template_brings_its_configuration(self, browser: FlaskClient, alice: Person) -> None:
        made = made_by(browser, alice, "template=flask-api")
        assert (made["template"], made["type"]) == ("flask-api", "api")
        assert made["configuration"]["networking"]["port"] == 5000

    def test_a_subscription_has_its_days(self, browser: FlaskClient, alice: Person) -> None:
        made = made_by(
            browser, alice, "type=hosting", startDate="2026-02-01", nextBilling="2027-02-01",
            billingId="B-1",
        )  # fmt: skip
        assert (made["startDate"], made["nextBilling"], made["billingId"]) == (
            "2026-02-01T00:00:00Z",
            "2027-02-01T00:00:00Z",
            "B-1",
        )
        assert made_by(browser, alice, "type=vps")["nextBilling"]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": " "}, "name"),
            ({"name": "x" * 256}, "name"),
            ({"tags": "a/b"}, "tags"),
            ({"project": "x" * 256}, "project"),
            ({"startDate": "tomorrow"}, "startDate"),
            ({"nextBilling": "1969-01-01"}, "nextBilling"),
        ],
    )
    @pytest.mark.parametrize("path", ["/services/new", "/services/new/check"])
    def test_what_is_wrong_is_said_at_its_field(
        self, browser: FlaskClient, alice: Person, fields: dict[str, str], field: str, path: str
    ) -> None:
        given = {"name": "Kept <name>", "description": "Some words"} | fields
        answer = browser.post(f"{path}?type=hosting", data=given)
        assert answer.status_code == (200 if path.endswith("check") else 400)
        assert f'id="{field}-wrong"' in answer.text
        assert answer.text.count('class="wrong"') == 1
        assert html.unescape(answer.text).count("Some words") == 1
        for value in fields.values():
            assert f'value="{value}"' in answer.text
        assert data_of(alice.get("/api/services")) == []

    def test_somebody_elses_project_is_said_at_its_field(
        self, browser: FlaskClient, charlie: Person, alice: Person
    ) -> None:
        charlie.new_service(project="theirs")
        given = {"name": "New", "project": "theirs"}
        checked = browser.post("/services/new/check?type=api", data=given)
        refused = browser.post("/services/new?type=api", data=given)
        assert (checked.status_code, refused.status_code) == (200, 403)
        for answer in (checked, refused):
            assert 'id="project-wrong"' in answer.text
        assert data_of(alice.get("/api/services")) == []

    def test_checking_makes_nothing_and_tells_of_a_new_project(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        alice.new_service(name="There", project="shop")
        new = browser.post("/services/new/check?type=api", data={"name": "A", "project": "fresh"})
        assert "A new project of this name will be made" in new.text
        known = browser.post("/services/new/check?type=api", data={"name": "A", "project": "shop"})
        assert "A new project of this name" not in known.text
        assert '<option value="shop">' in known.text
        assert 'class="wrong"' not in new.text + known.text
        assert [each["name"] for each in data_of(alice.get("/api/services"))] == ["There"]
        assert [each["name"] for each in data_of(alice.get("/api/projects"))] == ["shop"]
