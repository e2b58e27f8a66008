"""A company in a real server, and a browser that is signed in there."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import Watched, chromium
from tests.browser.company import Company, make_company, served_company


@pytest.fixture(scope="session")
def made_company(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """An invented company with half a year behind it, made once for all processes of the run."""
    root = tmp_path_factory.getbasetemp()
    folder = (root if worker_id == "master" else root.parent) / "invented-company"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "password").exists():
            make_company(folder)
    return folder


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, made_company: Path) -> Iterator[Company]:
    """The company, served; each module has a copy of its own to change."""
    folder = tmp_path_factory.mktemp("company")
    shutil.copytree(made_company, folder, dirs_exist_ok=True)
    with served_company(folder) as served:
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
