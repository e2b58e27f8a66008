"""What a service depends on and what depends on it, on its page."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.browsing import browser_of, text_of
from tests.people import Person, data_of

EXPORTING = {"environment": {"URL": "https://a.example", "PASSWORD": "hunter2"}, "exports": ["URL"]}


@pytest.fixture
def browser(app: Flask, alice: Person) -> FlaskClient:
    return browser_of(app, alice)


def read(browser: FlaskClient, service: dict[str, Any]) -> str:
    return text_of(browser.get(f"/services/{service['serviceId']}/dependencies").text)


def test_both_ways_are_shown_near_and_far(browser: FlaskClient, alice: Person) -> None:
    made = {
        name: alice.new_service(name=name, dependencies=needs)
        for name, needs in {
            "Disk": [], "Database": ["Disk"], "API": ["Database"], "Shop": ["API"],
            "Site": ["Shop", "API"],
        }.items()
    }  # fmt: skip
    page = read(browser, made["API"])
    needs, _, breaks = page.partition("Breaks if this stops")
    assert "Database active unknown named as a dependency" in needs
    assert "Disk active unknown by way of Database" in needs
    assert "Shop active unknown named as a dependency" in breaks
    # Near, although it would be reached by way of the shop too.
    assert "Site active unknown named as a dependency" in breaks
    page = read(browser, made["Database"])
    assert "Shop active unknown by way of API" in page
    assert "Nothing. Name what it needs" in read(browser, made["Disk"])
    assert "No other service depends on it." in read(browser, made["Site"])


def test_references_are_shown_by_their_names_alone(browser: FlaskClient, alice: Person) -> None:
    source = alice.new_service(name="Catalogue", configuration=EXPORTING)
    taking = {"environment": {"CATALOGUE_URL": "${Catalogue.URL}"}}
    taker = alice.new_service(name="Shop", configuration=taking)
    page = read(browser, taker)
    assert "Catalogue active unknown values in CATALOGUE_URL" in page
    assert "CATALOGUE_URL from ${Catalogue.URL}" in page
    page = read(browser, source)
    assert "URL by Shop as CATALOGUE_URL" in page
    assert "a.example" not in page
    assert "hunter2" not in page
    data_of(alice.patch(f"/api/services/{source['id']}", json={"name": "Products"}))
    assert "${Catalogue.URL} which is Products" in read(browser, taker)


def test_names_that_mean_nothing_are_told(browser: FlaskClient, alice: Person) -> None:
    gone = alice.new_service(name="Old cache")
    service = alice.new_service(dependencies=["Old cache", "<Nobody>"])
    data_of(alice.delete(f"/api/services/{gone['id']}"))
    page = read(browser, service)
    for name in ("Old cache", "<Nobody>"):
        assert f"It names “{name}”, and no service has that name, number or id." in page


def test_what_the_caller_may_not_see_is_counted_alone(
    app: Flask, alice: Person, bob: Person
) -> None:
    project = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
    path = f"/api/projects/{project['id']}/members/{bob.user_id}"
    data_of(alice.put(path, json={"role": "editor"}))
    source = alice.new_service(name="Base", project="shared", configuration=EXPORTING)
    taking = {"environment": {"BASE": f"${{{source['serviceId']}.URL}}"}}
    taker = alice.new_service(name="Private thing", configuration=taking)
    page = read(browser_of(app, bob), source)
    assert "1 more service that you may not see takes values from it." in page
    assert "Private thing" not in page
    assert "Base" in read(browser_of(app, alice), taker)


def test_a_circle_ends(browser: FlaskClient, alice: Person) -> None:
    one = alice.new_service(name="One", dependencies=["Two"])
    alice.new_service(name="Two", dependencies=["Three"])
    alice.new_service(name="Three", dependencies=["One"])
    page = read(browser, one)
    assert "Two active unknown named as a dependency" in page
    assert "Three active unknown by way of Two" in page
