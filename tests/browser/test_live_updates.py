"""Pages change by themselves, and without being loaded anew."""

from playwright.sync_api import Route, expect

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


def test_the_page_that_was_asked_for_last_is_shown(mara: Watched, company: Company) -> None:
    page = mara.page()
    held: list[Route] = []
    page.route("**/wall", lambda route: held.append(route))
    page.route("**/suspend", lambda route: held.append(route))
    page.goto(f"/services/{company.service('Order Store')['serviceId']}")
    main = page.get_by_role("navigation", name="Main")
    with page.expect_request("**/suspend"):
        page.get_by_role("link", name="Suspend").click()
    with page.expect_request("**/wall"):
        main.get_by_role("link", name="Monitoring").click()
    main.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    assert len(held) == 2
    for route in held:
        # The page may have given up waiting for it.
        route.fulfill(body="<main><h1>Too late</h1><p class='confirm'>Too late</p></main>")
    main.get_by_role("link", name="Map").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dependency map")
    expect(page.get_by_text("Too late")).to_have_count(0)
    # What does not come at all leaves the reader where they were.
    mara.expected += ("net::ERR_FAILED", "htmx:error: Failed to fetch")
    audit = main.get_by_role("link", name="Audit")
    page.route("**/audit", lambda route: held.append(route))
    with page.expect_request("**/audit"):
        audit.press("Enter")
    expect(page.locator(".skeleton")).to_be_visible()
    held[-1].abort()
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(audit).to_be_focused()


def test_without_locks_a_page_asks_and_leaves_its_reader_alone(
    mara: Watched, company: Company
) -> None:
    """Browsers have locks by TLS and on localhost alone."""
    page = mara.page()
    page.add_init_script("delete Navigator.prototype.locks")
    page.goto(f"/services/{company.service('Payment Gateway')['serviceId']}/health")
    stretches = page.locator("#health-strips details").first
    stretches.locator("summary").click()
    # As though the page had changed since.
    page.locator("[data-region]").evaluate_all("all => all.forEach((each) => each.title = 'old')")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-region][title]")).to_have_count(0)
    expect(stretches).to_have_attribute("open", "")
