"""The monitoring wall, the dependency map and the public status page, in a browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import Watched
from tests.browser.company import Company

MARA = "mara@brightquay.example"
PROJECT = "tidepool-shop"


@pytest.fixture
def backup_job(company: Company) -> Iterator[dict[str, Any]]:
    """A service that is healthy as long as it says so itself."""
    token = company.token(MARA)
    check = {"name": "job", "type": "heartbeat", "interval": "1h"}
    given = {"name": "Nightly Backup", "type": "utility", "project": PROJECT}
    given |= {"configuration": {"healthChecks": [check]}}
    service = company.server.post("/api/services", given, token).data
    yield service
    company.server.request(
        "DELETE", f"/api/services/{service['id']}?confirm=Nightly%20Backup", token=token
    )


def call(company: Company, service: dict[str, Any], status: str) -> None:
    path = f"/api/services/{service['id']}/heartbeats/job"
    company.server.post(path, {"status": status}, company.token(MARA))


class TestTheWall:
    def test_a_service_that_fails_appears_by_itself(
        self, mara: Watched, company: Company, backup_job: dict[str, Any]
    ) -> None:
        page = mara.page()
        page.goto(f"/wall?project={PROJECT}")
        page.evaluate("window.isTheSame = true")
        expect(page.locator(".wall-seen")).to_contain_text("Last updated")
        trouble = page.locator("#wall-unhealthy .wall-tiles")
        expect(trouble.get_by_text("Nightly Backup")).to_have_count(0)
        company.server.wait_for_worker()
        call(company, backup_job, "failed")
        expect(trouble.get_by_text("Nightly Backup")).to_be_visible(timeout=30_000)
        assert page.evaluate("window.isTheSame")
        trouble.get_by_text("Nightly Backup").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Nightly Backup")

    def test_it_fills_the_screen(self, mara: Watched) -> None:
        page = mara.page()
        page.goto("/wall")
        page.get_by_role("button", name="Full screen").click()
        page.wait_for_function("document.fullscreenElement?.localName === 'wall-screen'")
        expect(page.locator(".wall-counts")).to_be_visible()
        page.get_by_role("button", name="Full screen").click()
        page.wait_for_function("!document.fullscreenElement")

    def test_a_project_can_be_chosen(self, mara: Watched) -> None:
        page = mara.page()
        page.goto("/wall")
        page.get_by_label("Project").select_option(PROJECT)
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(PROJECT)
        expect(page.get_by_text("brightquay-studio")).to_have_count(1)


class TestTheMap:
    def node(self, page: Page, name: str) -> Any:
        return page.locator(f'.map .node[aria-label^="{name},"]')

    def test_choosing_a_service_shows_what_breaks(self, mara: Watched) -> None:
        page = mara.page()
        page.set_viewport_size({"width": 1600, "height": 1000})
        # The page brings along what is drawn, and the tab keeps where it is put.
        page.route("**/api/services/dependencies*", lambda route: route.fulfill(status=304))
        page.goto(f"/map?project={PROJECT}")
        self.node(page, "Order Store").click()
        told = page.locator("#map-chosen [data-chosen]")
        expect(told.get_by_role("heading", level=2)).to_have_text("Order Store")
        expect(page.locator("#map-chosen").get_by_role("status")).to_contain_text("Order Store. ")
        breaks = told.locator("ol").first
        for name in ("Payment Gateway", "Storefront API", "Tidepool Coffee Site"):
            expect(breaks.get_by_role("link", name=name)).to_be_visible()
        expect(self.node(page, "Tidepool Coffee Site")).to_contain_class("breaks")
        expect(self.node(page, "Tidepool Database")).to_contain_class("needed")
        assert "service=" in page.url
        page.reload()
        expect(told.get_by_role("heading", level=2)).to_have_text("Order Store")
        expect(self.node(page, "Order Store")).to_have_attribute("aria-pressed", "true")
        told.get_by_role("link", name="Open").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Order Store")

    def test_it_is_used_by_keys_alone(self, mara: Watched) -> None:
        page = mara.page()
        page.set_viewport_size({"width": 1600, "height": 1000})
        page.goto(f"/map?project={PROJECT}")
        start = self.node(page, "Storefront API")
        start.wait_for()
        page.locator('.map .node[tabindex="0"]').focus()
        # One node alone is reached by Tab.
        assert page.locator('.map .node[tabindex="0"]').count() == 1
        start.focus()
        page.keyboard.press("ArrowRight")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert not focused.startswith("Storefront API")
        page.keyboard.press("Enter")
        expect(page.locator(".map .node:focus")).to_have_attribute("aria-pressed", "true")
        shown = page.locator("#map-chosen [data-chosen] h2")
        expect(shown).to_have_text(focused.partition(",")[0])
        before = page.locator(".map-content").get_attribute("transform")
        page.keyboard.press("+")
        assert page.locator(".map-content").get_attribute("transform") != before
        page.keyboard.press("0")
        page.keyboard.press("Escape")
        expect(shown).to_have_count(0)
        expect(page.get_by_text("Needed most")).to_be_visible()

    def test_names_beside_it_choose_in_it(self, mara: Watched) -> None:
        page = mara.page()
        page.goto("/map")
        page.evaluate("window.isTheSame = true")
        self.node(page, "Order Store").wait_for()
        page.locator("#map-table").get_by_role("link", name="Order Store").click()
        expect(self.node(page, "Order Store")).to_have_attribute("aria-pressed", "true")
        expect(self.node(page, "Order Store")).to_be_focused()
        assert page.evaluate("window.isTheSame")
        page.get_by_role("button", name="Whole map").click()
        page.get_by_role("button", name="Zoom in").click()

    def test_a_state_changes_without_moving_anything(
        self, mara: Watched, company: Company, backup_job: dict[str, Any]
    ) -> None:
        token = company.token(MARA)
        path = f"/api/services/{backup_job['id']}"
        company.server.request("PATCH", path, {"dependencies": ["Order Store"]}, token)
        page = mara.page()
        page.goto(f"/map?project={PROJECT}")
        node = self.node(page, "Nightly Backup")
        expect(node).to_contain_class("unknown")
        place = node.get_attribute("transform")
        company.server.wait_for_worker()
        call(company, backup_job, "failed")
        expect(node).to_contain_class("unhealthy", timeout=30_000)
        assert node.get_attribute("transform") == place


class TestTheStatusPage:
    def test_an_owner_opens_it_and_everybody_sees_it(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        (project,) = [
            each
            for each in company.server.get("/api/projects", company.token(MARA)).data
            if each["name"] == PROJECT
        ]
        page.goto(f"/projects/{project['id']}/status-page")
        page.get_by_label("Everybody may see this page").check()
        page.get_by_label("Title").fill("Tidepool Coffee")
        page.get_by_label("Address").fill("Not An Address")
        page.get_by_label("Payment Gateway", exact=True).check()
        page.get_by_label("Payment Gateway on the page").fill("Payments")
        mara.expect_status(400)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#slug-wrong")).to_contain_text("small letters")
        expect(page.get_by_label("Payment Gateway on the page")).to_have_value("Payments")
        page.get_by_label("Address").fill("tidepool-coffee")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#toasts")).to_contain_text("The page is on.")
        badge = page.get_by_role("img", name="State of Payments")
        assert badge.evaluate("image => image.decode().then(() => image.naturalWidth)") > 60
        stranger = mara.context.browser
        assert stranger is not None
        context = stranger.new_context(base_url=company.url, locale="en-GB")
        watched = Watched(context)
        shown = watched.page()
        shown.goto("/status/tidepool-coffee")
        expect(shown.get_by_role("heading", level=1)).to_have_text("Tidepool Coffee")
        expect(shown.get_by_role("heading", name="Payments")).to_be_visible()
        assert shown.locator(".public-services .bars g").count() == 90
        assert "Payment Gateway" not in shown.content()
        context.close()
        assert watched.faults == []
