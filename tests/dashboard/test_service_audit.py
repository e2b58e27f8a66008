"""The trail of one service, on its page."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.browsing import browser_of, text_of
from tests.people import Person, data_of


@pytest.fixture
def browser(app: Flask, alice: Person) -> FlaskClient:
    return browser_of(app, alice)


def audit_of(service: dict[str, Any]) -> str:
    return f"/services/{service['serviceId']}/audit"


def test_changes_are_shown_as_before_and_after(browser: FlaskClient, alice: Person) -> None:
    service = alice.new_service(
        configuration={"baseUrl": "https://a.example", "environment": {"LEVEL": "info"}}
    )
    path = f"/api/services/{service['id']}"
    data_of(alice.patch(path, json={"name": "Renamed", "endpoints": ["/a", "/b"]}))
    patch = {"baseUrl": None, "environment": {"LEVEL": "debug"}, "port": 80}
    data_of(alice.post(f"{path}/config", json=patch))
    data_of(alice.post(f"{path}/suspend", json={"reason": "A <holiday>"}))
    page = text_of(browser.get(audit_of(service)).text)
    assert "Made inactive by Alice" in page
    assert "Reason A <holiday>" in page
    assert "Status before: active after: inactive" in page
    assert "baseUrl before: https://a.example" in page
    assert "environment.LEVEL before: info after: debug" in page
    assert "Endpoints after: /a, /b" in page
    assert "Name before: Orders API after: Renamed" in page
    assert "Service created by Alice" in page
    assert page.index("Made inactive by") < page.index("Service created by")


def test_secrets_are_never_shown(browser: FlaskClient, alice: Person) -> None:
    def secret(value: str) -> dict[str, Any]:
        return {"environment": {"KEY": {"value": value, "secret": True}}}

    service = alice.new_service(configuration=secret("s3cr3t-1"))
    data_of(alice.post(f"/api/services/{service['id']}/config", json=secret("s3cr3t-2")))
    page = browser.get(audit_of(service)).text
    assert "Only values that are kept secret changed." in page
    assert "s3cr3t" not in page


def test_it_is_filtered_by_action(browser: FlaskClient, alice: Person) -> None:
    service = alice.new_service()
    for verb in ("suspend", "resume"):
        data_of(alice.post(f"/api/services/{service['id']}/{verb}", json={}))
    page = text_of(browser.get(f"{audit_of(service)}?action=service.activated").text)
    assert "Resumed by Alice" in page
    assert "Made inactive by" not in page
    assert "Service created by" not in page
    page = browser.get(f"{audit_of(service)}?action=service.cancelled").text
    assert "Nothing like that was done" in page
    # What is no action filters nothing.
    assert "Service created" in browser.get(f"{audit_of(service)}?action=nonsense").text


def test_it_is_paged(browser: FlaskClient, alice: Person) -> None:
    service = alice.new_service()
    for number in range(32):
        data_of(alice.patch(f"/api/services/{service['id']}", json={"name": f"Name {number:02}"}))
    seen = []
    path: str | None = audit_of(service)
    while path is not None:
        page = browser.get(path).text
        seen += re.findall(r'<li id="entry-(\d+)"', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else None
    assert len(seen) == 33
    assert sorted(seen, key=int, reverse=True) == seen
    assert browser.get(f"{audit_of(service)}?cursor=nonsense").status_code == 400


def test_only_entries_of_this_service_are_shown(browser: FlaskClient, alice: Person) -> None:
    alice.new_service(name="Another")
    service = alice.new_service()
    assert "Another" not in browser.get(audit_of(service)).text


def test_members_see_what_they_did_themselves(app: Flask, alice: Person, bob: Person) -> None:
    project = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
    path = f"/api/projects/{project['id']}/members/{bob.user_id}"
    data_of(alice.put(path, json={"role": "editor"}))
    service = alice.new_service(project="shared")
    data_of(bob.post(f"/api/services/{service['id']}/suspend", json={}))
    page = text_of(browser_of(app, bob).get(audit_of(service)).text)
    assert "You see what you did yourself" in page
    assert "Made inactive by Bob" in page
    assert "Service created by" not in page
    assert "Made inactive by Bob" in text_of(browser_of(app, alice).get(audit_of(service)).text)


def test_strangers_see_nothing(app: Flask, alice: Person, charlie: Person) -> None:
    answer = browser_of(app, charlie).get(audit_of(alice.new_service(name="Mine")))
    assert answer.status_code == 403
    assert "Mine" not in answer.text
