# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Browsers that watch a console, so that it can be measured what that costs others."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from magma_ros.types import MagmaError

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Options of Chromium: without a screen, without requests of its own."""

PATIENCE = 30.0
"""Longest wait for a page [s]."""


class BrowserError(MagmaError):
    """No browser can be started, or it does not get its page."""


def find_browser() -> str:
    """Path of Chromium.

    Raises:
        BrowserError: It, or the package that leads it, is not installed.
    """
    path = shutil.which("chromium")
    if path is None or find_spec("playwright") is None:
        raise BrowserError(
            "watching needs Chromium and Playwright; run apt-get install chromium and "
            "pip install playwright"
        )
    return path


@contextmanager
def browsers(count: int) -> Iterator[Callable[[str], None]]:
    """Start browsers, each a process of its own, and end them with the context.

    Yields:
        Lets every browser open an address, and returns when they show it.

    Raises:
        BrowserError: There is no browser, or an address cannot be opened.
    """
    from playwright.sync_api import Error, sync_playwright

    executable = find_browser()
    with sync_playwright() as playwright:
        started = [
            playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
            for _ in range(count)
        ]
        pages = [browser.new_page(viewport={"width": 1280, "height": 800}) for browser in started]

        def show(address: str) -> None:
            end = time.monotonic() + PATIENCE
            for page in pages:
                while True:
                    try:
                        page.goto(address)
                        break
                    except Error as error:
                        if time.monotonic() > end:
                            raise BrowserError(f"{address} cannot be opened: {error}") from error
                        time.sleep(0.2)

        try:
            yield show
        finally:
            for browser in started:
                browser.close()
