"""Projects, one's account, administration and the audit trail, as used by a browser."""

import re
import tempfile
from pathlib import Path

import pyotp
from playwright.sync_api import expect

from tests.browser.chromium import Watched
from tests.browser.company import Company

NORA = "nora@brightquay.example"
ELIF = "elif@brightquay.example"


def test_a_project_is_made_shared_and_left(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/projects")
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="New project").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("tidepool-shop")
    dialog.get_by_label("Description").fill("Trials of new roasts")
    mara.expect_status(409, 400)
    dialog.get_by_role("button", name="Make the project").click()
    # The name is taken: the form comes back with what was typed.
    expect(page.get_by_role("alert")).to_have_text("There is a project with this name.")
    expect(page.get_by_label("Description")).to_have_value("Trials of new roasts")
    page.get_by_label("Name").fill("roast-lab")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="roast-lab", level=1)).to_be_visible()

    page.get_by_role("link", name="Add").click()
    dialog.get_by_label("E-mail address").fill("nobody@brightquay.example")
    dialog.get_by_text("Also creates and changes services").click()
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no account with this address")
    page.get_by_label("E-mail address").fill(ELIF)
    page.get_by_role("button", name="Add").click()
    members = page.get_by_role("region", name="Members")
    elif_ = members.get_by_role("listitem").filter(has_text=ELIF)
    expect(elif_.locator(".badge")).to_have_text("editor")

    elif_.get_by_role("link", name="Change the role of Elif Öztürk").click()
    dialog.get_by_text("Also decides who takes part").click()
    dialog.get_by_role("button", name="Save").click()
    # What is live may show it before the form's own answer replaces the page.
    expect(dialog).to_have_count(0)
    expect(elif_.locator(".badge")).to_have_text("owner")

    page.get_by_role("link", name="Leave this project").click()
    expect(dialog).to_contain_text("You no longer see its services")
    # The page that is being left may ask for itself once more, which is refused by then.
    mara.expect_status(403)
    dialog.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="roast-lab")).to_have_count(0)
    assert page.evaluate("window.isTheSame")


def test_a_dialog_is_left_by_keyboard_alone(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/projects")
    link = page.get_by_role("link", name="New project")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(link).to_be_focused()


def test_the_second_factor_is_set_up_and_signs_in(stranger: Watched, company: Company) -> None:
    stranger.context.grant_permissions(["clipboard-read", "clipboard-write"])
    company.sign_in(stranger.context, ELIF)
    page = stranger.page()
    page.goto("/account/second-factor")
    page.get_by_label("Your password").fill(company.password)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code of the key")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    authenticator = pyotp.TOTP(page.evaluate("navigator.clipboard.readText()"))
    assert authenticator.secret not in page.url

    stranger.expect_status(400, 401)
    page.get_by_label("Code of six digits").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("alert")).to_contain_text("not the present code")
    # The key is still there to be scanned.
    expect(page.get_by_label("Key", exact=True)).to_contain_text(authenticator.secret[:4])
    page.get_by_label("Code of six digits").fill(authenticator.now())
    page.get_by_role("button", name="Turn it on").click()
    codes = page.get_by_label("Recovery codes")
    expect(codes).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    kept = codes.inner_text().split()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "codes"
        download.value.save_as(file)
        assert file.read_text().split() == kept
    assert len(kept) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Recovery codes left")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail address").fill(ELIF)
    page.get_by_label("Password").fill(company.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code of your authenticator").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    page.get_by_label("Code of your authenticator").fill(kept[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Services")

    page.goto("/account/second-factor")
    page.get_by_role("link", name="Remove").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your password").fill(company.password)
    dialog.get_by_label("Code of your authenticator").fill(kept[1])
    dialog.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("button", name="Set it up")).to_be_visible()


def test_a_token_is_made_shown_once_and_revoked(mara: Watched, company: Company) -> None:
    page = mara.page()
    page.goto("/account/tokens")
    page.get_by_role("link", name="New token").click()
    page.get_by_label("Name").fill("nightly report")
    page.get_by_label("services:read").check()
    page.get_by_role("button", name="Make the token").click()
    shown = page.get_by_label("Token", exact=True)
    expect(shown).to_be_visible()
    text = shown.inner_text()
    assert text not in page.url
    assert company.server.get("/api/services", text).status == 200
    assert company.server.get("/api/projects", text).status == 403
    page.get_by_role("link", name="I have copied it").click()
    row = page.get_by_role("row", name=re.compile("nightly report"))
    expect(row).to_contain_text("services:read")
    expect(page.get_by_text(text)).to_have_count(0)
    row.get_by_role("link", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("heading", name="No tokens yet")).to_be_visible()
    assert company.server.get("/api/services", text).status == 401


def test_an_admin_ends_an_account_and_brings_it_back(admin: Watched, company: Company) -> None:
    page = admin.page()
    page.goto("/admin/users")
    page.get_by_label("Search").fill("nora")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Nora Petit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora Petit")
    page.get_by_label("Role").select_option("user")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Role")).to_have_value("user")
    page.get_by_role("link", name="End the account").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is erased")
    dialog.get_by_role("button", name="End the account").click()
    expect(page.locator(".head .badge")).to_have_text("ended")
    assert company.server.sign_in(NORA, company.password).status == 401
    page.get_by_role("link", name="Make active again").click()
    dialog.get_by_role("button", name="Make active again").click()
    expect(page.locator(".head .badge")).to_have_text("active")
    assert company.server.sign_in(NORA, company.password).status == 200


def test_the_trail_is_filtered_grows_and_is_verified(admin: Watched, company: Company) -> None:
    page = admin.page()
    service = company.service("Media Storage")
    page.goto("/audit")
    page.get_by_label("What", exact=True).select_option("service.suspended")
    page.get_by_label("Of what").fill(service["serviceId"])
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="Clear")).to_be_visible()
    before = page.locator(".deeds > li").count()
    token = company.token(company.admin)
    company.server.post(f"/api/services/{service['id']}/suspend", {}, token)
    expect(page.locator(".deeds > li")).to_have_count(before + 1)
    page.locator(".deeds > li").first.get_by_role("link", name="Suspended").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Suspended")
    expect(page.get_by_text("service.suspended")).to_be_visible()
    company.server.post(f"/api/services/{service['id']}/resume", {}, token)
    page.goto("/audit/verification")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("All entries are as they were written.")).to_be_visible()
    page.goto("/audit")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == "audit.ndjson"
