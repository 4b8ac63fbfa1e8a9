# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Browsers that watch a console, with the lowest priority there is."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from magma_ros.evaluation.computers.watchers import PATIENCE, WatcherError

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Options of Chromium: without a screen, without requests of its own."""

IDLE = """#!/bin/sh
# Linux shares the cores between sessions first (sched(7), autogroups), and a browser has one of its
# own: so both the session and its processes get the lowest priority.
echo 19 2>/dev/null >/proc/self/autogroup
exec chrt --idle 0 nice -n 19 {browser} "$@"
"""
"""Starts a browser with the lowest priority."""

COUNT = """() => {
  const shown = [...document.querySelectorAll("figure.camera canvas")];
  return Math.min(...shown.map((canvas) => Number(canvas.dataset.pictures ?? 0)));
}"""
"""Pictures that a page has drawn, of the camera of which it has drawn fewest."""


def find_browser() -> str:
    """Path of Chromium.

    Raises:
        WatcherError: It, or what it takes to start and to lead it, is not installed.
    """
    path = shutil.which("chromium")
    if path is None or find_spec("playwright") is None or shutil.which("chrt") is None:
        raise WatcherError(
            "watching needs Chromium, Playwright and chrt; run apt-get install chromium util-linux "
            "and pip install playwright"
        )
    return path


@contextmanager
def idle_browser() -> Iterator[Path]:
    """Path of a program that starts a browser which gets only what nobody else wants of the cores.

    Raises:
        WatcherError: There is no browser.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "idle-chromium"
        path.write_text(IDLE.format(browser=shlex.quote(find_browser())), encoding="utf-8")
        path.chmod(0o755)
        yield path


@contextmanager
def browsers(count: int) -> Iterator[Browsers]:
    """Start browsers, each a process of its own, and end them with the context.

    Raises:
        WatcherError: There is no browser.
    """
    from playwright.sync_api import sync_playwright

    with idle_browser() as path, sync_playwright() as playwright:
        started = [
            playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
            for _ in range(count)
        ]
        try:
            yield Browsers(
                [browser.new_page(viewport={"width": 1280, "height": 800}) for browser in started]
            )
        finally:
            for browser in started:
                browser.close()


class Browsers:
    """Pages of a console, each in a browser of its own.

    Args:
        pages: Playwright's, still empty.
    """

    def __init__(self, pages: list[Any]) -> None:
        self._pages = pages

    def open(self, address: str) -> None:
        """Open the console at an address in every browser.

        Raises:
            WatcherError: It cannot be opened.
        """
        from playwright.sync_api import Error

        end = time.monotonic() + PATIENCE
        for page in self._pages:
            while True:
                try:
                    page.goto(address, timeout=1000.0 * PATIENCE)
                    break
                except Error as error:
                    if time.monotonic() > end:
                        raise WatcherError(f"{address} cannot be opened: {error}") from error
                    time.sleep(0.2)

    def pictures(self) -> tuple[int, ...]:
        """By page: pictures drawn so far of the camera of which it has drawn fewest."""
        return tuple(int(page.evaluate(COUNT) or 0) for page in self._pages)
