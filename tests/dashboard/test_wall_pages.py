"""The monitoring wall: every service by its state, the worst first."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at, now
from cms_services.database import new_id
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from tests.dashboard.browsing import signed_in
from tests.dashboard.standing import CHECKED, let_stand
from tests.people import Person, data_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
STATES = ["unhealthy", "degraded", "unknown", "maintenance", "healthy"]


def counts_on(page: str) -> dict[str, int]:
    """The number that the wall shows of each state, in its order."""
    found = re.findall(
        r'href="#wall-(\w+)".*?<strong class="number">([\d,]+)</strong>', page, re.DOTALL
    )
    return {state: int(count.replace(",", "")) for state, count in found}


def names_on(page: str, state: str) -> list[str]:
    """The services that have a tile in a state."""
    section = re.search(rf'<section id="wall-{state}".*?</section>', page, re.DOTALL)
    return re.findall(r"<strong>([^<]+)</strong>", section[0]) if section else []


class TestStates:
    def test_each_is_where_it_belongs_the_worst_first(
        self, client: FlaskClient, app: Flask, alice: Person
    ) -> None:
        for name in ("Fine", "Slow", "Broken"):
            alice.new_service(name=name, configuration=CHECKED)
        ids = {each["name"]: each["id"] for each in data_of(alice.get("/api/services"))}
        let_stand(app, {ids["Fine"]: "healthy"})
        let_stand(app, {ids["Slow"]: "degraded"}, message="1840 ms, limit 1000 ms")
        let_stand(app, {ids["Broken"]: "unhealthy"}, message="HTTP 503 <here>")
        resting = alice.new_service(name="Resting")
        data_of(alice.patch(f"/api/services/{resting['id']}", json={"status": "maintenance"}))
        stopped = alice.new_service(name="Stopped", type="vps")
        data_of(alice.post(f"/api/services/{stopped['id']}/suspend", json={}))
        alice.new_service(name="New")
        gone = alice.new_service(name="Gone")
        data_of(alice.delete(f"/api/services/{gone['id']}"))
        page = signed_in(client, alice).get("/wall").text
        assert list(counts_on(page).items()) == list(zip(STATES, (1, 1, 2, 1, 1), strict=True))
        assert names_on(page, "unhealthy") == ["Broken"]
        assert "HTTP 503 &lt;here&gt;" in page
        assert names_on(page, "degraded") == ["Slow"]
        assert "1840 ms" in page
        # What somebody stopped is no worry, and comes last.
        assert names_on(page, "unknown") == ["New", "Stopped"]
        assert "never checked" in page
        assert "suspended" in page
        assert names_on(page, "maintenance") == ["Resting"]
        assert names_on(page, "healthy") == ["Fine"]
        assert "Gone" not in page

    def test_the_longest_in_a_state_comes_first(
        self, client: FlaskClient, app: Flask, alice: Person
    ) -> None:
        present = now()
        for number, minutes in enumerate((5, 50, 20)):
            service = alice.new_service(name=f"S{number}", configuration=CHECKED)
            let_stand(app, {service["id"]: "unhealthy"}, present - timedelta(minutes=minutes))
        page = signed_in(client, alice).get("/wall").text
        assert names_on(page, "unhealthy") == ["S1", "S2", "S0"]

    @on_sqlite
    def test_an_old_result_says_nothing_any_more(
        self, client: FlaskClient, app: Flask, alice: Person
    ) -> None:
        service = alice.new_service(name="Quiet", configuration=CHECKED)
        let_stand(app, {service["id"]: "healthy"})
        browser = signed_in(client, alice)
        assert names_on(browser.get("/wall").text, "healthy") == ["Quiet"]
        with fixed_at(now() + timedelta(hours=3)):
            page = browser.get("/wall").text
        assert names_on(page, "unknown") == ["Quiet"]
        assert "no result for a while" in page

    @on_sqlite
    def test_a_dependency_that_fails_is_the_cause(
        self, client: FlaskClient, app: Flask, alice: Person
    ) -> None:
        store = alice.new_service(name="Store", configuration=CHECKED)
        shop = alice.new_service(name="Shop", configuration=CHECKED, dependencies=["Store"])
        let_stand(app, {store["id"]: "unhealthy"})
        let_stand(app, {shop["id"]: "healthy"})
        page = signed_in(client, alice).get("/wall").text
        assert names_on(page, "degraded") == ["Shop"]
        assert re.search(r'wall-why">\s*Store<', page)

    @on_sqlite
    def test_a_page_that_looks_again_hears_that_nothing_changed(
        self, client: FlaskClient, alice: Person
    ) -> None:
        alice.new_service()
        browser = signed_in(client, alice)
        tag = browser.get("/wall").headers["ETag"]
        assert browser.get("/wall", headers={"If-None-Match": tag}).status_code == 304


class TestWhoSeesWhat:
    def test_only_what_the_caller_may_read(
        self, client: FlaskClient, alice: Person, bob: Person
    ) -> None:
        shared = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
        alice.new_service(name="Shared one", project="shared")
        alice.new_service(name="Alices own")
        bob.new_service(name="Bobs own")
        browser = signed_in(client, bob)
        assert names_on(browser.get("/wall").text, "unknown") == ["Bobs own"]
        path = f"/api/projects/{shared['id']}/members/{bob.user_id}"
        data_of(alice.put(path, json={"role": "viewer"}))
        page = browser.get("/wall").text
        assert sorted(names_on(page, "unknown")) == ["Bobs own", "Shared one"]
        one = browser.get("/wall?project=shared").text
        assert names_on(one, "unknown") == ["Shared one"]
        assert "Nothing to watch" in browser.get("/wall?project=none").text
        assert browser.get("/wall?project=%00").status_code == 200

    @on_sqlite
    def test_a_stranger_is_led_to_the_form(self, client: FlaskClient) -> None:
        answer = client.get("/wall")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/wall")


class TestMany:
    def test_five_thousand_take_few_statements_and_are_counted_by_project(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        statements: list[str],
    ) -> None:
        for name in ("north", "south"):
            data_of(alice.post("/api/projects", json={"name": name}), 201)
        projects = {each["name"]: each["id"] for each in data_of(alice.get("/api/projects"))}
        fill(app, alice, projects)
        browser = signed_in(client, alice)
        statements.clear()
        page = browser.get("/wall").text
        # Who asks, the services, the causes of the worst, and the projects to choose from.
        assert len(statements) <= 4
        assert counts_on(page) == dict(zip(STATES, (70, 0, 0, 0, 4930), strict=True))
        assert len(names_on(page, "unhealthy")) == 60
        healthy = page.partition('id="wall-healthy"')[2]
        assert re.findall(r'number">([\d,]+)</strong> <span>(\w+)<', healthy) == [
            ("2,500", "south"),
            ("2,430", "north"),
        ]
        north = browser.get("/wall?project=north").text
        assert north.count('<li><a href="/services/') == 310
        assert "and 2130 more" in north


def fill(app: Flask, owner: Person, projects: dict[str, str]) -> None:
    """Half of 5,000 services in each project, the first 70 of them unhealthy."""
    present = now()
    services, standings = [], []
    for number in range(5000):
        service_id = new_id()
        services.append(
            {"id": service_id, "service_id": str(10**11 + number), "user_id": owner.user_id}
            | {"project_id": projects["north" if number < 2500 else "south"]}
            | {"name": f"Service {number:04}", "icon": "x", "type": "api", "start_date": present}
        )
        status, until = "unhealthy" if number < 70 else "healthy", present + timedelta(hours=1)
        standings.append(
            {"service_id": service_id, "seen_version": 1, "service_status": "active"}
            | {"status": status, "since": present, "checked_at": present, "known_until": until}
            | {"health": status, "health_until": until}
        )
    with app.app_context():
        db.session.execute(insert(Service), services)
        db.session.execute(insert(MonitoredService), standings)
        db.session.commit()
