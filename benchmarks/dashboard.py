"""The list of 5,000 services in Chromium: `python -m benchmarks.dashboard [--database URL]`.

An installation of its own is filled and served as `cms-services run` does. Each figure is of fresh
browser contexts, whose caches are empty: first contentful paint, and when the list can be used
(scripts run, services can be selected); then how long a search, a filter and the next page take,
from the key or click to the services that it shows.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import insert

from benchmarks.servers import installation
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.catalogue.models import Service, ServiceTag
from cms_services.database import new_id
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.projects.models import Project, ProjectMember
from cms_services.schema import upgrade_schema
from cms_services.vocabulary import DEFAULT_ICONS, HealthStatus, ServiceType, Status
from tests.browser.chromium import chromium

_EMAIL, _PASSWORD = "many@example.com", "Benchmark-1"
_TAGS = ("production", "staging", "internal", "customer-facing", "payments", "backed-up")
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "CMS_DATA_DIR": folder,
            "CMS_ADMIN_EMAIL": "admin@example.com",
            "CMS_ADMIN_PASSWORD": _PASSWORD,
            "RATE_LIMITS": "off",
        }
        if options.database:
            settings["DATABASE_URL"] = options.database
        _fill(settings, options.services)
        with installation(settings) as base, chromium() as browser:
            print(f"{options.services} services, {options.rounds} fresh contexts each, ms\n")
            print(f"{'':44}{'median':>9}{'most':>9}")
            for view in ("cards", "list"):
                _measure(browser, base, view, options.rounds)


def _measure(browser: Browser, base: str, view: str, rounds: int) -> None:
    figures: dict[str, list[float]] = {}
    # The first is for the server, which has to wake.
    for number in range(rounds + 1):
        context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 900})
        _sign_in(context, base, view)
        page = context.new_page()
        found = _one_round(page)
        context.close()
        if number:
            for name, value in found.items():
                figures.setdefault(name, []).append(value)
    for name, values in figures.items():
        print(f"{view + ': ' + name:44}{statistics.median(values):9.0f}{max(values):9.0f}")


def _one_round(page: Page) -> dict[str, float]:
    answers: list[float] = []
    page.on("response", lambda answer: answers.append(answer.request.timing["responseStart"]))
    page.goto("/")
    _wait_until_usable(page)
    usable = page.evaluate("performance.now()")
    found = {
        "first byte": answers[0],
        "first contentful paint": page.evaluate(_PAINT),
        "usable": usable,
    }
    shown = page.locator("[id^=service-]")

    def search() -> None:
        page.get_by_role("searchbox").fill("Service 4999")
        expect(shown).to_have_count(1)

    def turn() -> None:
        first = shown.first.get_attribute("id")
        page.get_by_role("link", name="Next page").click()
        expect(shown.first).not_to_have_attribute("id", str(first))

    def narrow() -> None:
        page.get_by_role("combobox", name="Health").select_option("unhealthy")
        page.wait_for_url("**/?health=unhealthy")

    found["search over all, with its pause of 250"] = _taken(search)
    page.goto("/")
    _wait_until_usable(page)
    found["next page"] = _taken(turn)
    page.goto("/")
    _wait_until_usable(page)
    found["by health, with its pause of 250"] = _taken(narrow)
    return found


def _wait_until_usable(page: Page) -> None:
    """Services can be selected, for which scripts have to run."""
    expect(page.get_by_label("Select all on this page")).to_be_visible(timeout=60_000)


def _taken(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def _sign_in(context: BrowserContext, base: str, view: str) -> None:
    context.request.post(
        f"{base}/api/auth/login",
        data=json.dumps({"email": _EMAIL, "password": _PASSWORD}),
        headers={"Content-Type": "application/json"},
    )
    host = str(urlsplit(base).hostname)
    context.add_cookies([{"name": "services_view", "value": view, "domain": host, "path": "/"}])


def _fill(settings: dict[str, str], count: int) -> None:
    app = create_app(settings | {"LOG_LEVEL": "error"})
    chance = random.Random(7)
    with app.app_context():
        upgrade_schema()
        user = User(email=_EMAIL, name="Many", password_hash=hash_password(_PASSWORD))
        projects = [Project(name=f"project-{number:02}") for number in range(20)]
        db.session.add_all([user, *projects])
        db.session.flush()
        members = [
            {"project_id": each.id, "user_id": user.id, "role": "owner"} for each in projects
        ]
        db.session.execute(insert(ProjectMember), members)
        rows = [_row(user.id, number, projects, chance) for number in range(count)]
        db.session.execute(insert(Service), rows)
        tags = [
            {"service_id": row["id"], "tag": tag}
            for row in rows
            for tag in chance.sample(_TAGS, chance.randint(0, 3))
        ]
        db.session.execute(insert(ServiceTag), tags)
        db.session.execute(insert(MonitoredService), [_health(row, chance) for row in rows])
        db.session.commit()
        db.engine.dispose()


def _row(
    user_id: str, number: int, projects: list[Project], chance: random.Random
) -> dict[str, object]:
    kind = chance.choice([*ServiceType])
    return {
        "id": new_id(),
        "user_id": user_id,
        "service_id": f"{600_000_000_000 + number}",
        "billing_id": f"BIL-{number:06}",
        "cluster_id": None,
        "project_id": chance.choice(projects).id,
        "name": f"Service {number:04}",
        "description": "Takes orders and hands them to the warehouse.",
        "icon": DEFAULT_ICONS[kind],
        "type": kind,
        "status": Status.ACTIVE,
        "endpoints": ["/api/orders", "/api/orders/{id}"],
        "dependencies": ["database", "cache"],
        "config": {"port": 3000, "environment": {"NODE_ENV": "production"}, "rateLimiting": True},
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "next_billing_date": datetime(2027, 1, 1, tzinfo=UTC),
    }


def _health(row: dict[str, object], chance: random.Random) -> dict[str, object]:
    """What is known of a service, for a day, in which nothing of it is due."""
    present = datetime.now(UTC)
    return {
        "service_id": row["id"],
        "seen_version": 1,
        "service_status": row["status"],
        "checks": [],
        "states": {},
        "status": chance.choice([*HealthStatus]),
        "since": present,
        "known_until": present + timedelta(days=1),
        "checked_at": present,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", help="URL of an empty database; else SQLite")
    return parser.parse_args()


if __name__ == "__main__":
    main()
