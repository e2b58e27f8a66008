"""Pages change by themselves, and without being loaded anew."""

from playwright.sync_api import expect

from tests.browser.chromium import Watched
from tests.browser.company import Company


def test_a_status_changes_on_every_open_page(mara: Watched, company: Company) -> None:
    service = company.service("Build Runner")
    listed, shown = mara.page(), mara.page()
    listed.goto("/")
    shown.goto(f"/services/{service['serviceId']}")
    for page in (listed, shown):
        page.evaluate("window.isTheSame = true")
    row = listed.get_by_role("listitem").filter(has_text="Build Runner")
    expect(row.locator(".badge")).to_have_text("active")
    token = company.token("mara@brightquay.example")
    company.server.post(f"/api/services/{service['id']}/suspend", {}, token)
    shown.bring_to_front()
    expect(shown.locator("#service-head .badge")).to_have_text("suspended")
    listed.bring_to_front()
    expect(row.locator(".badge")).to_have_text("suspended")
    for page in (listed, shown):
        assert page.evaluate("window.isTheSame")


def test_links_and_forms_load_nothing_anew(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/")
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="Payment Gateway").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Payment Gateway")
    page.get_by_role("link", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(page.locator("#service-head .badge")).to_have_text("inactive")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#service-head .badge")).to_have_text("active")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Services")
    assert page.evaluate("window.isTheSame")
