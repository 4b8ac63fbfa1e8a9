# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs the operator's console in front of a running demo.

``python docs/shoot_console.py`` starts the simulated robot with perception and console, drives it
through the page as an operator would, and writes console.png (laptop, the policy drives),
console-tablet.png (a person jogs) and takeover.gif into docs/. A person is filmed without
perception: two cores do not simulate, see and draw and film a page at the same time. It takes about
two minutes, and wants a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from magma_ros.embedded.domains import own_domain
from magma_ros.evaluation.computers.browsers import ARGUMENTS, idle_browser

DOCS = Path(__file__).parent
LAPTOP = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}

START_TIME = 120.0
"""Longest time until the page shows a robot that is ready [s]."""

ATTEMPTS = 10
"""Times that a driving policy is waited for."""

FILMED = (720, 450)
"""Size of the clip [px]."""

FRAME_TIME = 0.25
"""Time between two frames of the clip [s]."""

COLOURS = (96, 64, 48, 32)
"""Colours of the clip: as many as keep it small."""

LARGEST_CLIP = 3_000_000
"""Size that a clip may have [bytes]."""


def main() -> None:
    """Make all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="place")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DOCS)
    chosen = parser.parse_args()
    with idle_browser() as chromium, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        with demo(chosen.task, chosen.seed, sees=True) as url:
            page = ready_page(browser, url, LAPTOP)
            page.wait_for_selector(".mark")
            page.wait_for_timeout(25_000)  # the plots fill
            photograph_auto(page, chosen.out / "console.png")
            page.close()
        with demo(chosen.task, chosen.seed, sees=False) as url:
            page = ready_page(browser, url, LAPTOP)
            page.wait_for_timeout(25_000)
            film_takeover(page, chosen.out / "takeover.gif")
            page.close()
            page = ready_page(browser, url, TABLET, has_touch=True)
            page.wait_for_timeout(10_000)
            photograph_jogging(page, chosen.out / "console-tablet.png")
            page.close()
        browser.close()


@contextmanager
def demo(task: str, seed: int, *, sees: bool) -> Iterator[str]:
    """A simulated robot with a console, whose address is yielded; perhaps it sees as well."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with own_domain() as domain, tempfile.TemporaryDirectory() as name:
        arguments = {"task": task, "seed": seed, "console": "true", "console_port": port}
        arguments |= {"perception": str(sees).lower(), "run_dir": name}
        command = [sys.executable, "-m", "magma_ros.cli", "launch", "demo.launch.yaml"]
        command += [f"{key}:={value}" for key, value in arguments.items()]
        here = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        process = subprocess.Popen(command, env=os.environ | here)  # noqa: S603 - ours
        try:
            yield answering(f"http://127.0.0.1:{port}/", process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def answering(url: str, process: subprocess.Popen[bytes]) -> str:
    """The address, once somebody answers there."""
    deadline = time.monotonic() + START_TIME
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5.0):  # noqa: S310 - http
                return url
        except (URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"no console answers at {url}")


def ready_page(browser: Browser, url: str, viewport: dict[str, int], **context: bool) -> Page:
    """A page in the dark theme, in front of a robot whose cameras and policy are alive."""
    opened = browser.new_context(viewport=viewport, color_scheme="dark", **context)
    page = opened.new_page()
    page.set_default_timeout(1000 * START_TIME)
    page.goto(url)
    page.wait_for_selector(".camera:not(.stale)")
    page.wait_for_selector(".path-end")
    return page


def drive(page: Page, verb: str, mode: str) -> None:
    """Ask the guard until it grants it: a busy machine may be late for a moment."""
    deadline = time.monotonic() + START_TIME
    while page.inner_text('[data-part="mode-name"]') != mode:
        if time.monotonic() > deadline:
            said = page.inner_text('[data-part="verbs-said"]')
            raise SystemExit(f"the guard does not go to {mode}: {said}")
        page.click(f'.verbs [data-verb="{verb}"]', force=True)
        page.wait_for_timeout(500)


def photograph_auto(page: Page, path: Path) -> None:
    """The policy drives, and has for a while, and what is shown is fresh."""
    for _ in range(ATTEMPTS):
        drive(page, "hand_back", "AUTO")
        page.wait_for_timeout(2_500)
        page.screenshot(path=path)
        stale = page.locator(".camera.stale").count()
        if not stale and page.inner_text('[data-part="mode-name"]') == "AUTO":
            return
    raise SystemExit("the robot does not stay in AUTO; run this while the machine is idle")


def photograph_jogging(page: Page, path: Path) -> None:
    """A person holds a pad."""
    drive(page, "take_over", "TELEOP")
    page.click('[data-do="speed"][data-value="medium"]')
    page.hover('[data-axis="+z"]')
    page.mouse.down()
    page.wait_for_timeout(800)
    page.screenshot(path=path)
    page.mouse.up()


def film_takeover(page: Page, path: Path) -> None:
    """The policy drives, a person takes over, jogs by a held key, and hands back."""
    shots: list[tuple[float, bytes]] = []
    session = page.context.new_cdp_session(page)

    def keep(frame: dict) -> None:
        shots.append((frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 90})
    drive(page, "hand_back", "AUTO")
    page.wait_for_timeout(2_500)
    drive(page, "take_over", "TELEOP")
    page.keyboard.press("2")  # medium speed
    page.wait_for_timeout(800)
    for key in ("r", "a"):
        page.keyboard.down(key)
        page.wait_for_timeout(1_500)
        page.keyboard.up(key)
        page.wait_for_timeout(400)
    drive(page, "hand_back", "AUTO")
    page.wait_for_timeout(3_000)
    session.send("Page.stopScreencast")
    write_clip(shots, path)


def write_clip(shots: list[tuple[float, bytes]], path: Path) -> None:
    """Pictures with their times [s] as a GIF of even pace."""
    ends = itertools.chain((later for later, _ in shots[1:]), (shots[-1][0] + FRAME_TIME,))
    frames: list[Image.Image] = []
    due = shots[0][0]
    for (_, jpeg), end in zip(shots, ends, strict=True):
        while due < end:
            picture = Image.open(io.BytesIO(jpeg))
            frames.append(picture.resize(FILMED, Image.Resampling.LANCZOS))
            due += FRAME_TIME
    pace = round(1000 * FRAME_TIME)
    for colours in COLOURS:
        first, *rest = (frame.quantize(colours, dither=Image.Dither.NONE) for frame in frames)
        first.save(path, save_all=True, append_images=rest, duration=pace, loop=0)
        if path.stat().st_size <= LARGEST_CLIP:
            break


if __name__ == "__main__":
    main()
