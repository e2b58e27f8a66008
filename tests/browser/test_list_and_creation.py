"""Finding services, changing many at once, and making a new one."""

import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.chromium import Watched
from tests.browser.company import Company

MARA = "mara@brightquay.example"


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def mark(page: Page) -> None:
    """So that is_same() tells whether the page was loaded anew."""
    page.evaluate("window.isTheSame = true")


def is_same(page: Page) -> bool:
    return bool(page.evaluate("window.isTheSame"))


def test_what_is_typed_narrows_the_list_at_once(mara: Watched) -> None:
    page = mara.page()
    page.goto("/")
    mark(page)
    search = page.get_by_role("searchbox", name="Search")
    search.press_sequentially("payment")
    expect(page.locator(".service")).to_have_count(1)
    expect(card(page, "Payment Gateway")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/\?q=payment$"))
    expect(search).to_be_focused()
    # What was found stays where the form above is older than its address.
    page.get_by_role("button", name="List").click()
    expect(page.get_by_role("row", name=re.compile("Payment Gateway"))).to_be_visible()
    page.get_by_role("button", name="Cards").click()
    expect(page.locator(".service")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/\?q=payment$"))
    search.fill("")
    expect(page.locator(".service").nth(5)).to_be_visible()
    page.get_by_role("combobox", name="Tag").select_option("payments")
    expect(page).to_have_url(re.compile(r"/\?tag=payments$"))
    expect(page.locator(".service")).to_have_count(1)
    page.go_back()
    expect(page.locator(".service").nth(5)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("payment")
    expect(page.locator(".service")).to_have_count(1)
    assert is_same(page)


def test_whoever_searches_after_the_session_ended_signs_in_first(mara: Watched) -> None:
    mara.expect_status(401)
    page = mara.page()
    page.goto("/")
    mara.context.clear_cookies()
    page.get_by_role("searchbox", name="Search").fill("payment")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert "q%3Dpayment" in page.url


def test_families_types_and_rows(mara: Watched) -> None:
    page = mara.page()
    page.goto("/")
    mark(page)
    page.get_by_role("link", name=re.compile("^Subscriptions")).click()
    page.get_by_role("link", name=re.compile("^VPS")).click()
    expect(page.locator(".service")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/\?type=vps$"))
    page.get_by_role("button", name="List").click()
    expect(page.get_by_role("row", name=re.compile("Build Runner"))).to_be_visible()
    assert is_same(page)
    page.reload()
    expect(page.get_by_role("row", name=re.compile("Build Runner"))).to_be_visible()
    page.get_by_role("button", name="Cards").click()
    expect(card(page, "Build Runner")).to_be_visible()


def test_many_are_suspended_and_resumed_by_keyboard(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/?project=tidepool-shop&family=component")
    mark(page)
    expect(page.get_by_role("button", name="Suspend")).to_be_hidden()
    page.get_by_label("Select Payment Gateway").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_label("Select Order Store").press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Suspend").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Suspend services")
    expect(page.locator(".confirm")).to_contain_text("2 services will be suspended")
    expect(page.locator(".caution")).to_contain_text("Storefront API")
    # Somebody takes one of them away meanwhile.
    token = company.token(MARA)
    order_store = company.service("Order Store")
    company.server.post(
        f"/api/services/{order_store['id']}/suspend", {"reason": "Stock taking"}, token
    )
    page.get_by_role("button", name="Suspend services").press("Enter")
    expect(page.locator(".notice")).to_contain_text("Done for 2 services.")
    page.get_by_role("link", name="Resume them").press("Enter")
    page.get_by_role("button", name="Resume services").press("Enter")
    expect(page.locator(".notice")).to_contain_text("Done for 2 services.")
    page.get_by_role("link", name="Back to the services").press("Enter")
    expect(card(page, "Payment Gateway").locator(".badge")).to_have_text("active")
    assert "family=component" in page.url
    assert is_same(page)


def test_all_of_a_page_get_a_tag(mara: Watched) -> None:
    mara.expect_status(400)
    page = mara.page()
    page.goto("/?project=brightquay-studio&family=component")
    page.get_by_label("Select all on this page").check()
    count = page.locator(".service").count()
    expect(page.get_by_text(f"{count} selected")).to_be_visible()
    page.get_by_role("button", name="Add tags").click()
    tags = page.get_by_role("textbox", name="Tags")
    tags.fill("spring/clean")
    page.get_by_role("button", name="Add tags").click()
    expect(page.get_by_role("alert")).to_contain_text("is no tag")
    expect(tags).to_have_value("spring/clean")
    tags.fill("Spring-clean")
    page.get_by_role("button", name="Add tags").click()
    expect(page.locator(".done")).to_have_count(count)
    page.goto("/?tag=spring-clean")
    expect(page.locator(".service")).to_have_count(count)


def test_a_selection_outlives_what_changes_meanwhile(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/?project=tidepool-shop")
    page.get_by_label("Select Payment Gateway").check()
    other = company.service("Session Cache")
    company.server.post(f"/api/services/{other['id']}/suspend", {}, company.token(MARA))
    expect(card(page, "Session Cache").locator(".badge")).to_have_text("inactive")
    expect(page.get_by_label("Select Payment Gateway")).to_be_checked()
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Suspend")).to_be_visible()
    company.server.post(f"/api/services/{other['id']}/resume", {}, company.token(MARA))


def test_a_service_is_made_from_a_template(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/")
    mark(page)
    page.get_by_role("link", name="New service").press("Enter")
    page.get_by_role("link", name="Flask API").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New service: Flask API")
    project = page.get_by_role("combobox", name="Project")
    project.press_sequentially("gift-cards")
    expect(page.get_by_text("A new project of this name will be made")).to_be_visible()
    tags = page.get_by_role("textbox", name="Tags")
    tags.press_sequentially("not/one")
    expect(page.get_by_role("alert")).to_contain_text("is no tag")
    expect(tags).to_have_attribute("aria-invalid", "true")
    expect(tags).to_be_focused()
    # The name was not touched yet.
    expect(page.get_by_role("alert")).to_have_count(1)
    tags.fill("internal")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(tags).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="Name").fill("Gift Cards API")
    page.get_by_role("button", name="Create service").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gift Cards API")
    expect(page.locator("#toasts")).to_contain_text("Created.")
    assert len(company.services(company.token(MARA), q="Gift%20Cards")) == 1
    assert is_same(page)


def test_what_was_typed_before_a_script_came_is_checked_too(mara: Watched) -> None:
    page = mara.page()
    held: list[Route] = []
    page.route("**/elements/checked-form.js*", lambda route: held.append(route))
    page.goto("/services/new")
    with page.expect_request("**/elements/checked-form.js*"):
        page.get_by_role("link", name="Flask API").click()
    page.get_by_role("combobox", name="Project").fill("typed-early")
    held[0].continue_()
    expect(page.get_by_text("A new project of this name will be made")).to_be_visible()


def test_what_is_wrong_after_all_keeps_what_was_typed(mara: Watched) -> None:
    mara.expect_status(400)
    page = mara.page()
    page.goto("/services/new?type=hosting")
    page.get_by_role("textbox", name="Name").fill("   ")
    page.get_by_role("textbox", name="Description").fill("The plan of the landing page")
    page.get_by_role("button", name="Create service").click()
    expect(page.locator("#name-wrong")).to_have_text("Give the service a name.")
    expect(page.get_by_role("textbox", name="Description")).to_have_value(
        "The plan of the landing page"
    )


def test_what_a_proxy_says_leaves_the_form_as_it_is(mara: Watched) -> None:
    mara.expect_status(502)
    page = mara.page()
    page.goto("/services/new?type=hosting")
    page.route(
        "**/services/new?*",
        lambda route: route.fulfill(status=502, body="<html><h1>Bad Gateway</h1></html>"),
    )
    name = page.get_by_role("textbox", name="Name")
    name.fill("Landing Page")
    page.get_by_role("button", name="Create service").click()
    expect(page.locator(".toast.wrong")).to_contain_text("That did not work.")
    expect(name).to_have_value("Landing Page")
