"""What depends on what: by REST, and as the table that the map stands over."""

import html
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.browsing import signed_in
from tests.dashboard.standing import CHECKED, let_stand
from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
EXPORTING = {"environment": {"URL": "https://store.example"}, "exports": ["URL"]}


def graph_for(person: Person, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = data_of(person.get("/api/services/dependencies", query_string=query))
    return found


def edges_in(graph: dict[str, Any]) -> set[tuple[str, str]]:
    """Pairs of names: who needs whom."""
    names = {each["serviceId"]: each["name"] for each in graph["nodes"]}
    return {(names[each["dependant"]], names[each["needed"]]) for each in graph["edges"]}


def row_of(page: str, name: str) -> list[str]:
    """The cells of a service's row in the table, as texts."""
    table = page.partition('id="map-table"')[2]
    for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
        cells = [
            " ".join(html.unescape(re.sub(r"<[^>]+>", "", each)).split())
            for each in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        if cells and cells[0].startswith(name):
            return cells
    raise AssertionError(f"{name} is not in the table")


@pytest.fixture
def shop(alice: Person) -> dict[str, dict[str, Any]]:
    """Site needs Shop, which needs Store by two ways; Blog takes a value from Store alone."""
    store = alice.new_service(name="Store", type="database", configuration=EXPORTING)
    takes = {"environment": {"STORE": "${Store.URL}", "AGAIN": "${Store.URL}/x"}}
    shop = alice.new_service(
        name="Shop", dependencies=["Store", "Shop", "Mail"], configuration=takes
    )
    blog = alice.new_service(
        name="Blog", configuration={"environment": {"STORE": f"${{{store['serviceId']}.URL}}"}}
    )
    site = alice.new_service(name="Site", type="hosting", dependencies=[shop["serviceId"]])
    alice.new_service(name="Alone")
    return {"Store": store, "Shop": shop, "Blog": blog, "Site": site}


class TestTheGraph:
    def test_declared_names_and_references_make_edges(
        self, app: Flask, alice: Person, shop: dict[str, dict[str, Any]]
    ) -> None:
        graph = graph_for(alice)
        assert edges_in(graph) == {("Shop", "Store"), ("Blog", "Store"), ("Site", "Shop")}
        by_name = {each["name"]: each for each in graph["nodes"]}
        assert by_name["Shop"]["missing"] == ["Mail"]
        assert by_name["Store"]["missing"] == []
        assert by_name["Alone"]["state"] == "unknown"
        ends = {
            (each["dependant"], each["needed"]): (each["declared"], each["variables"])
            for each in graph["edges"]
        }
        store = shop["Store"]["serviceId"]
        assert ends[shop["Shop"]["serviceId"], store] == (True, ["STORE", "AGAIN"])
        assert ends[shop["Blog"]["serviceId"], store] == (False, ["STORE"])

    def test_names_mean_services_of_the_same_project(self, alice: Person) -> None:
        for name in ("one", "two"):
            data_of(alice.post("/api/projects", json={"name": name}), 201)
            alice.new_service(name="Store", project=name)
        alice.new_service(name="Shop", project="one", dependencies=["Store"])
        alice.new_service(name="Tool", dependencies=["Store"])
        graph = graph_for(alice)
        (edge,) = graph["edges"]
        projects = {each["serviceId"]: each["project"] for each in graph["nodes"]}
        assert projects[edge["needed"]] == projects[edge["dependant"]] == "one"
        missing = {each["name"]: each["missing"] for each in graph["nodes"] if each["missing"]}
        assert missing == {"Tool": ["Store"]}

    def test_a_project_is_shown_with_all_that_it_needs_and_all_that_needs_it(
        self, alice: Person
    ) -> None:
        for name in ("base", "shop"):
            data_of(alice.post("/api/projects", json={"name": name}), 201)
        store = alice.new_service(name="Store", project="base", configuration=EXPORTING)
        alice.new_service(name="Unrelated", project="base")
        takes = {"environment": {"STORE": f"${{{store['serviceId']}.URL}}"}}
        alice.new_service(name="Shop", project="shop", configuration=takes)
        alice.new_service(name="Site", project="shop", dependencies=["Shop"])
        for project in ("base", "shop"):
            graph = graph_for(alice, project=project)
            assert edges_in(graph) == {("Shop", "Store"), ("Site", "Shop")}
            names = {each["name"] for each in graph["nodes"]}
            assert ("Unrelated" in names) is (project == "base")
        assert graph_for(alice, project="none") == {"nodes": [], "edges": []}

    def test_others_services_are_counted_and_not_named(self, alice: Person, bob: Person) -> None:
        project = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
        path = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(path, json={"role": "viewer"}))
        store = alice.new_service(name="Store", project="shared", configuration=EXPORTING)
        takes = {"environment": {"STORE": f"${{{store['serviceId']}.URL}}"}}
        bob.new_service(name="Bobs", configuration=takes)
        answer = alice.get("/api/services/dependencies")
        assert "Bobs" not in answer.text
        (node,) = data_of(answer)["nodes"]
        assert node["hiddenDependants"] == 1
        assert edges_in(graph_for(bob)) == {("Bobs", "Store")}

    def test_cancelled_ones_are_gone(self, alice: Person, shop: dict[str, dict[str, Any]]) -> None:
        data_of(alice.delete(f"/api/services/{shop['Shop']['id']}"))
        graph = graph_for(alice)
        assert edges_in(graph) == {("Blog", "Store")}
        (site,) = [each for each in graph["nodes"] if each["name"] == "Site"]
        assert site["missing"] == [shop["Shop"]["serviceId"]]

    @on_sqlite
    def test_it_takes_few_statements(
        self, alice: Person, shop: dict[str, dict[str, Any]], statements: list[str]
    ) -> None:
        graph_for(alice)
        few = len(statements)
        for number in range(20):
            alice.new_service(name=f"More {number}", dependencies=["Store", "Shop"])
        statements.clear()
        graph_for(alice)
        assert len(statements) == few <= 4

    @on_sqlite
    def test_circles_end(self, alice: Person, client: FlaskClient) -> None:
        for name, needed in (("A", "B"), ("B", "C"), ("C", "A")):
            alice.new_service(name=name, dependencies=[needed])
        assert edges_in(graph_for(alice)) == {("A", "B"), ("B", "C"), ("C", "A")}
        assert row_of(signed_in(client, alice).get("/map").text, "A")[1:] == ["B", "C", "2"]

    @on_sqlite
    @pytest.mark.parametrize("query", ["project=", "project=x&project=y", "other=1"])
    def test_an_odd_query_is_refused(self, alice: Person, query: str) -> None:
        error_of(alice.get(f"/api/services/dependencies?{query}"), 400, "VALIDATION_ERROR")


class TestThePage:
    def test_the_table_says_what_breaks(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        shop: dict[str, dict[str, Any]],
    ) -> None:
        page = signed_in(client, alice).get("/map").text
        assert row_of(page, "Store") == ["Store unknown", "–", "Blog, Shop", "3"]
        assert row_of(page, "Shop") == ["Shop unknown", "Store, Mail (unknown)", "Site", "1"]
        assert row_of(page, "Site") == ["Site unknown", "Shop", "–", "0"]
        assert "Alone" not in page
        assert "1 more services need nothing" in page

    @on_sqlite
    def test_a_service_can_be_chosen_without_a_script(
        self,
        client: FlaskClient,
        alice: Person,
        shop: dict[str, dict[str, Any]],
    ) -> None:
        browser = signed_in(client, alice)
        page = browser.get(f"/map?service={shop['Store']['serviceId']}").text
        told = html.unescape(page.partition("data-chosen>")[2].partition("</section>")[0])
        breaks, _, needs = told.partition("Needs")
        assert re.findall(r">(\w+)</a>", breaks) == ["Open", "Blog", "Shop", "Site"]
        assert breaks.count("by way of others") == 1
        assert "nothing" in needs
        assert browser.get("/map?service=none&project=%00").status_code == 200

    @on_sqlite
    def test_it_shows_how_each_stands(self, client: FlaskClient, app: Flask, alice: Person) -> None:
        store = alice.new_service(name="Store", configuration=CHECKED)
        alice.new_service(name="Shop", dependencies=["Store"])
        let_stand(app, {store["id"]: "unhealthy"})
        (state,) = [each["state"] for each in graph_for(alice)["nodes"] if each["name"] == "Store"]
        assert state == "unhealthy"
        page = signed_in(client, alice).get("/map").text
        assert row_of(page, "Store")[0] == "Store unhealthy"

    @on_sqlite
    def test_without_any_relation_it_says_how_to_make_one(
        self, client: FlaskClient, alice: Person
    ) -> None:
        alice.new_service(name="Alone")
        assert "Nothing depends on anything" in signed_in(client, alice).get("/map").text

    @on_sqlite
    def test_names_stay_text(self, client: FlaskClient, alice: Person) -> None:
        alice.new_service(name="<b>", dependencies=["<i>'\"", "</table>"])
        page = signed_in(client, alice).get("/map").text
        assert "<b>" not in page and "<i>" not in page
        assert "&lt;b&gt;" in page
