"""What holds of every page: it opens without a fault, and axe-core finds nothing wrong with it."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.chromium import Watched
from tests.browser.company import Company
from tests.browser.pages import PAGES, Shown

_AXE = Axe()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_axe_finds_no_violation(
    browser: Browser, company: Company, shown: Shown, theme: str
) -> None:
    context = browser.new_context(
        base_url=company.url, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
    )
    watched = Watched(context)
    if shown.who != "stranger":
        company.sign_in(context, shown.who_in(company))
    page = watched.page()
    watched.expect_status(404)
    page.goto(shown.path_in(company))
    found = _AXE.run(page)
    context.close()
    assert found.violations_count == 0, found.generate_report()
    assert watched.faults == []


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_nothing_is_wider_than_the_window(
    browser: Browser, company: Company, shown: Shown, width: int
) -> None:
    context = browser.new_context(base_url=company.url, viewport={"width": width, "height": 900})
    watched = Watched(context)
    if shown.who != "stranger":
        company.sign_in(context, shown.who_in(company))
    page = watched.page()
    watched.expect_status(404)
    page.goto(shown.path_in(company))
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert wide <= width
    assert watched.faults == []
