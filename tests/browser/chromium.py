"""Debian's Chromium, and what every page that is opened in it must keep to."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

# Generous, since several browsers run beside each other; nothing waits longer than it has to.
_PATIENCE_MILLISECONDS = 20_000
expect.set_options(timeout=_PATIENCE_MILLISECONDS)

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# What the browser itself tells of an answer that a test asked for on purpose.
_ANSWERED = "Failed to load resource: the server responded with a status of "


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. While it is there no other event loop can run in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path_of_chromium(),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


def path_of_chromium() -> str:
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    reason = "no Chromium is installed (apt-get install chromium)"
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Watched:
    """A browser's context whose pages are watched for errors and broken rules."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.faults: list[str] = []
        self.expected: tuple[str, ...] = ()
        context.on("console", lambda told: self._note(told.type, told.text))
        context.on("weberror", lambda told: self.faults.append(str(told.error)))

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        return page

    def _note(self, kind: str, text: str) -> None:
        # A broken Content-Security-Policy is told as an error too.
        if kind not in ("error", "warning") or any(each in text for each in self.expected):
            return
        self.faults.append(f"{kind}: {text}")

    def expect_status(self, *statuses: int) -> None:
        """Let answers of these statuses be; a browser tells of each as an error."""
        self.expected += tuple(f"{_ANSWERED}{status}" for status in statuses)
