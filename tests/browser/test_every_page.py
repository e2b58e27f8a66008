"""What holds of every page: it opens without a fault, axe-core finds nothing, and it fits."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.chromium import Watched
from tests.browser.company import Company
from tests.browser.pages import MARA, PAGES, Shown, Who

_AXE = Axe()
_HEIGHT = 900


@pytest.fixture(scope="module")
def visitors(browser: Browser, company: Company) -> Iterator[dict[Who, Watched]]:
    """A browser for each who opens pages, so that nobody has to sign in for every one."""
    found: dict[Who, Watched] = {}
    for who in ("stranger", "mara", "admin"):
        context = browser.new_context(base_url=company.url, reduced_motion="reduce")
        if who != "stranger":
            company.sign_in(context, company.admin if who == "admin" else MARA)
        found[who] = Watched(context)
        found[who].expect_status(404)
    yield found
    for each in found.values():
        each.context.close()


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_it_is_accessible_in_both_themes_and_fits_both_widths(
    visitors: dict[Who, Watched], company: Company, shown: Shown
) -> None:
    watched = visitors[shown.who]
    watched.faults.clear()
    page = watched.page()
    page.set_viewport_size({"width": 1920, "height": _HEIGHT})
    page.goto(shown.path_in(company))
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        found = _AXE.run(page)
        assert found.violations_count == 0, f"{theme}: {found.generate_report()}"
    for width in (1920, 360):
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    assert watched.faults == []
