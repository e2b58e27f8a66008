"""A company in a real server, and a browser that is signed in there."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import Watched, chromium
from tests.browser.company import Company, company_in


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """An invented company with half a year behind it; each module has its own."""
    with company_in(tmp_path_factory.mktemp("company")) as served:
        yield served


# No longer than a module: Playwright's loop lets nobody else run one in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def stranger(browser: Browser, company: Company) -> Iterator[Watched]:
    """A browser without a cookie. What goes wrong in its pages fails the test."""
    watched = Watched(browser.new_context(base_url=company.url, locale="en-GB"))
    yield watched
    watched.context.close()
    assert watched.faults == []


@pytest.fixture
def admin(stranger: Watched, company: Company) -> Watched:
    company.sign_in(stranger.context, company.admin)
    return stranger


@pytest.fixture
def mara(stranger: Watched, company: Company) -> Watched:
    """Mara heads the studio, and owns most of its services."""
    company.sign_in(stranger.context, "mara@brightquay.example")
    return stranger
