"""One service: looking at it, and changing it once that was confirmed."""

import re

from playwright.sync_api import Page, expect

from tests.browser.chromium import Watched
from tests.browser.company import Company


def open_service(page: Page, company: Company, name: str, tab: str = "") -> None:
    page.goto(f"/services/{company.service(name)['serviceId']}{tab}")
    page.evaluate("window.isTheSame = true")


def status(page: Page, word: str) -> None:
    expect(page.locator("#service-head .badge")).to_have_text(word)


def test_suspending_tells_what_will_happen_and_is_undone(mara: Watched, company: Company) -> None:
    page = mara.page()
    open_service(page, company, "Order Store")
    page.get_by_role("link", name="Suspend").click()
    dialog = page.get_by_role("dialog", name="Suspend “Order Store”?")
    expect(dialog.get_by_role("link", name="Payment Gateway")).to_be_visible()
    expect(dialog.get_by_text("by way of Storefront API")).to_be_visible()
    expect(dialog.get_by_text("2 checks stop, and its health is unknown:")).to_be_visible()
    dialog.get_by_label("Reason").fill("Moving to another rack")
    dialog.get_by_role("button", name="Suspend").click()
    status(page, "inactive")
    expect(dialog).to_be_hidden()
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    status(page, "active")
    expect(page.locator("#toasts")).to_contain_text("Undone.")
    assert page.evaluate("window.isTheSame")


def test_what_was_changed_again_meanwhile_is_not_undone(mara: Watched, company: Company) -> None:
    mara.expect_status(409)
    page = mara.page()
    service = company.service("Session Cache")
    open_service(page, company, "Session Cache", "/maintenance")
    page.get_by_role("button", name="Begin maintenance").click()
    status(page, "maintenance")
    token = company.token("mara@brightquay.example")
    company.server.post(f"/api/services/{service['id']}/suspend", {}, token)
    status(page, "inactive")
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    told = page.locator(".toast.wrong")
    expect(told).to_contain_text("was changed again since then, and is inactive now")
    expect(told.locator("code")).to_have_text(re.compile(r"\w{16,}"))
    status(page, "inactive")
    company.server.post(f"/api/services/{service['id']}/resume", {}, token)
    status(page, "active")


def test_cancelling_takes_the_name_and_an_admin_undoes_it(admin: Watched, company: Company) -> None:
    admin.expect_status(400)
    page = admin.page()
    open_service(page, company, "Time Sheets API")
    page.get_by_role("link", name="Cancel service").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Cancel service")
    expect(button).to_be_disabled()
    name = dialog.get_by_label("Type the name to confirm")
    name.fill("Time Sheets")
    expect(button).to_be_disabled()
    # The server asks for it too, and keeps what was typed.
    dialog.get_by_label("Reason").fill("Not used")
    button.evaluate("button => { button.disabled = false; }")
    button.click()
    expect(page.get_by_text("This is not the name of the service")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("Not used")
    page.get_by_label("Type the name to confirm").fill("Time Sheets API")
    page.get_by_role("button", name="Cancel service").click()
    status(page, "cancelled")
    expect(page.get_by_text("You can restore it until")).to_be_visible()
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    status(page, "inactive")
    expect(page.get_by_text("You can restore it until")).to_be_hidden()


def test_by_keyboard_alone_a_dialog_is_opened_and_left(mara: Watched, company: Company) -> None:
    page = mara.page()
    open_service(page, company, "Order Store")
    suspend = page.get_by_role("link", name="Suspend")
    suspend.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(suspend).to_be_focused()


def test_a_dialog_keeps_what_was_typed_where_there_is_no_connection(
    mara: Watched, company: Company
) -> None:
    mara.expected += ("net::ERR_INTERNET_DISCONNECTED", "htmx:error: Failed to fetch")
    page = mara.page()
    open_service(page, company, "Order Store", "/settings")
    page.get_by_label("Description").fill("Half a sentence")
    mara.context.set_offline(True)
    page.get_by_role("link", name="New token").click()
    expect(page.locator("#toasts")).to_contain_text("The server did not answer.")
    expect(page.get_by_label("Description")).to_have_value("Half a sentence")
    mara.context.set_offline(False)
    page.get_by_role("link", name="Suspend").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Half a reason")
    mara.context.set_offline(True)
    dialog.get_by_role("button", name="Suspend").click()
    # Below the dialog nothing would be seen, nor read aloud.
    expect(dialog.get_by_role("alert")).to_contain_text("The server did not answer.")
    dialog.get_by_role("alert").get_by_role("button", name="Close").click()
    expect(dialog.get_by_label("Reason")).to_have_value("Half a reason")
    mara.context.set_offline(False)


def test_on_a_narrow_window_the_current_tab_is_shown(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.set_viewport_size({"width": 360, "height": 740})
    open_service(page, company, "Order Store", "/settings")
    current = page.locator(".tabs [aria-current]")
    expect(current).to_be_in_viewport(ratio=1)
    page.get_by_role("navigation", name="Service").get_by_role("link", name="Audit").press("Enter")
    expect(current).to_have_text("Audit")
    expect(current).to_be_in_viewport(ratio=1)
    # Who goes by keys goes on in the new page.
    expect(page.locator("#content")).to_be_focused()


def test_numbers_are_copied(mara: Watched, company: Company) -> None:
    mara.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = mara.page()
    service = company.service("Order Store")
    open_service(page, company, "Order Store")
    button = page.get_by_role("button", name="Copy the number")
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == service["serviceId"]
    expect(button).to_have_text("Copy")


def test_the_overview_leads_to_neighbours_and_their_dependencies(
    mara: Watched, company: Company
) -> None:
    page = mara.page()
    open_service(page, company, "Order Store")
    page.locator("#overview-neighbours").get_by_role("link", name="Payment Gateway").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Payment Gateway")
    page.get_by_role("navigation", name="Service").get_by_role("link", name="Dependencies").click()
    breaks = page.get_by_role("region", name="Breaks if this stops")
    expect(breaks.get_by_role("link", name="Storefront API")).to_be_visible()
    expect(breaks.get_by_text("by way of Storefront API")).to_be_visible()
    assert page.evaluate("window.isTheSame")


def test_settings_keep_what_was_typed_when_somebody_else_saved_first(
    mara: Watched, company: Company
) -> None:
    mara.expect_status(409)
    page = mara.page()
    service = company.service("Product Search")
    open_service(page, company, "Product Search", "/settings")
    page.get_by_label("Description").fill("Finds coffee.")
    token = company.token("mara@brightquay.example")
    company.server.request(
        "PATCH", f"/api/services/{service['id']}", {"description": "Theirs."}, token
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else saved first.")
    expect(page.get_by_text("Saved now: Theirs.")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("Finds coffee.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    page.get_by_role("navigation", name="Service").get_by_role("link", name="Audit").click()
    expect(page.locator(".changes ins").first).to_contain_text("Finds coffee.")
    assert page.evaluate("window.isTheSame")


def test_a_token_is_made_shown_once_and_revoked(mara: Watched, company: Company) -> None:
    page = mara.page()
    open_service(page, company, "Product Search", "/settings")
    page.get_by_role("link", name="New token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("agent on web-1")
    dialog.get_by_label("Good for").select_option("90 days")
    dialog.get_by_role("button", name="Make token").click()
    expect(page.locator("#made code")).to_have_text(re.compile(r"^cms_ingest_[\w-]{43}$"))
    row = page.get_by_role("listitem").filter(has_text="agent on web-1")
    expect(row).to_contain_text("never used")
    page.get_by_role("link", name="Revoke agent on web-1").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator("#toasts")).to_contain_text("Revoked")
    expect(page.locator("#made")).to_be_hidden()
    expect(row).to_be_hidden()
    assert page.evaluate("window.isTheSame")


def test_the_audit_is_filtered_without_a_reload(admin: Watched, company: Company) -> None:
    page = admin.page()
    open_service(page, company, "Staging Cluster", "/audit")
    expect(page.get_by_text("Service created")).to_have_count(2)
    page.get_by_label("What was done").select_option("Suspended")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#audit .trail > li").first).to_contain_text(
        "Not needed before the next release."
    )
    expect(page.locator("#audit .trail > li")).to_have_count(1)
    assert page.evaluate("window.isTheSame")
