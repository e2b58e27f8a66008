"""What the health of a service is now: one answer, wherever it is asked for."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.clock import fixed_at, now
from tests.dashboard.browsing import browser_of
from tests.dashboard.standing import CHECKED, let_stand
from tests.people import Person, data_of


def told(browser: FlaskClient, alice: Person, service: dict[str, Any]) -> dict[str, str]:
    """The health of Alice's only service, by where it is told."""
    number = service["serviceId"]
    by_filter = [
        status
        for status in ("healthy", "degraded", "unhealthy", "unknown")
        if data_of(alice.get(f"/api/services?health={status}"))
    ]
    pages = {name: browser.get(path).text for name, path in (
        ("list", "/"), ("head", f"/services/{number}/logs"), ("page", f"/services/{number}/health")
    )}  # fmt: skip
    (node,) = data_of(alice.get("/api/services/dependencies"))["nodes"]
    return {
        "report": data_of(alice.get(f"/api/services/{number}/health"))["status"],
        "filter": " ".join(by_filter),
        "map": node["state"],
    } | {name: re.findall(r'class="health (\w+)"', page)[0] for name, page in pages.items()}


@pytest.fixture
def browser(app: Flask, alice: Person) -> FlaskClient:
    return browser_of(app, alice)


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service(configuration=CHECKED)


class TestHealthNow:
    def test_it_is_unknown_until_it_is_checked_and_when_that_is_out_of_date(
        self, app: Flask, browser: FlaskClient, alice: Person, service: dict[str, Any]
    ) -> None:
        assert set(told(browser, alice, service).values()) == {"unknown"}
        let_stand(app, {service["id"]: "unhealthy"})
        assert set(told(browser, alice, service).values()) == {"unhealthy"}
        with fixed_at(now() + timedelta(hours=3)):
            assert set(told(browser, alice, service).values()) == {"unknown"}

    def test_in_maintenance_it_is_what_the_checks_go_on_to_say(
        self, app: Flask, browser: FlaskClient, alice: Person, service: dict[str, Any]
    ) -> None:
        let_stand(app, {service["id"]: "healthy"}, now() - timedelta(minutes=90))
        data_of(alice.patch(f"/api/services/{service['id']}", json={"status": "maintenance"}))
        let_stand(app, {service["id"]: "degraded"})
        found = told(browser, alice, service)
        # The wall and the map tell states of their own.
        assert found.pop("map") == "maintenance"
        assert set(found.values()) == {"degraded"}

    def test_of_what_does_not_run_it_is_unknown_before_a_worker_hears_of_it(
        self, app: Flask, browser: FlaskClient, alice: Person, service: dict[str, Any]
    ) -> None:
        let_stand(app, {service["id"]: "healthy"})
        assert set(told(browser, alice, service).values()) == {"healthy"}
        data_of(alice.post(f"/api/services/{service['id']}/suspend", json={}))
        assert set(told(browser, alice, service).values()) == {"unknown"}
