# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real browser, of which every error and every request to elsewhere fails the test."""

import shutil
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

LAPTOP = {"width": 1280, "height": 800}


@dataclass
class Pages:
    """Opens pages, each in a browser profile of its own, and notes what goes wrong in them."""

    chromium: object
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    contexts: list = field(default_factory=list)

    def __call__(self, url: str, viewport: dict = LAPTOP, **context) -> Page:
        """Open a page and wait until it shows the robot."""
        self.contexts.append(self.chromium.new_context(viewport=viewport, **context))
        page = self.contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._on_request(request.url, url))
        page.goto(url)
        page.wait_for_selector("html:not(.disconnected) [data-mode]:not([data-mode=UNKNOWN])")
        return page

    def check(self) -> None:
        """Fail if anything went wrong."""
        assert self.errors == []
        assert self.foreign == []

    def close(self) -> None:
        """Close every page."""
        for context in self.contexts:
            context.close()

    def _on_console(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _on_request(self, asked: str, url: str) -> None:
        if (
            not asked.startswith(("data:", "blob:"))
            and urlsplit(asked).netloc != urlsplit(url).netloc
        ):
            self.foreign.append(asked)


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium without a window."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def make_pages(chromium):
    """Make :class:`Pages` that live as long as the test wants."""
    return lambda: Pages(chromium)


@pytest.fixture
def pages(chromium):
    """See :class:`Pages`; a test that expects errors clears them."""
    pages = Pages(chromium)
    yield pages
    pages.close()
    pages.check()
