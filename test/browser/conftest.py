# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real browser, of which every error and every request to elsewhere fails the test.

And a real robot for it: simulator, policy, guard and console as processes over DDS, with somebody
who hears what is sent to the arm, and a network that can be cut.
"""

import asyncio
import math
import os
import re
import runpy
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from playwright.sync_api import Page, expect, sync_playwright
from rclpy.executors import SingleThreadedExecutor

from magma_ros.nodes import convert, names, qos
from magma_ros.share import share_file

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
"""Options by which Chromium draws without a screen and asks nobody anything."""

LAPTOP = {"width": 1280, "height": 800}

expect.set_options(timeout=20_000)  # a busy machine may take that long; what must be quick says so


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
        page.set_default_timeout(30_000)
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


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium without a window, as long as a module: Playwright occupies asyncio."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[*QUIET, "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
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


def wait_for_link(page: Page, what: str, **options: float):
    """Wait until an expression about ``link``, the page's own, is true; its value.

    Playwright takes a promise for true at once, so what is imported is kept in the page first.
    """
    page.evaluate("import('/static/link.js').then(({link}) => { window.watched = link; })")
    return page.wait_for_function(f"(link => {what})(watched)", **options).json_value()


class Ears:
    """Hears on a thread of its own what is sent to the arm, where it is, and who drives it."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("ears")
        self.twists: list[tuple[float, float]] = []  # (heard, greatest component)
        self.position = np.full(3, np.nan)
        self.modes: list[str] = []
        self.reason = ""
        subscribe = self.node.create_subscription
        subscribe(TwistStamped, names.ROBOT_TWIST, self._on_twist, qos.EVENTS)
        subscribe(PoseStamped, names.EE_POSE, self._on_pose, qos.EVENTS)
        subscribe(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self.executor.spin, daemon=True)
        self._thread.start()

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        parts = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        self.twists.append((time.monotonic(), max(abs(part) for part in parts)))

    def _on_pose(self, message: PoseStamped) -> None:
        at = message.pose.position
        self.position = np.array([at.x, at.y, at.z])

    def _on_mode(self, message: DiagnosticStatus) -> None:
        values = convert.status_values(message)
        self.modes.append(values["mode"])
        self.reason = values["reason"]

    @property
    def mode(self) -> str:
        return self.modes[-1] if self.modes else ""

    @property
    def moving(self) -> bool:
        return bool(self.twists) and self.twists[-1][1] > 0.02

    def wait(self, condition, what: str, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}"
            time.sleep(0.005)

    def rest_after(self, moment: float) -> float:
        """Time from a moment to the first of the zeros that have been sent since [s].

        ``inf`` if the arm still moves, 0 if it did not move at all.
        """
        time.sleep(max(0.0, moment + 0.6 - time.monotonic()))
        heard = list(self.twists)
        moves = [at for at, size in heard if at > moment and size > 0.0]
        if not moves:
            return 0.0
        return next((at for at, _ in heard if at > moves[-1]), math.inf) - moment

    def close(self) -> None:
        self.executor.shutdown()
        self._thread.join(timeout=5)
        self.node.destroy_node()
        rclpy.shutdown()


class Network:
    """A way to a port that can be cut: what is sent then stalls, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._port, self._whole = port, asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._started.wait(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """Deliver all that was held up, and go on."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        self.mend()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout=5)

    async def _run(self) -> None:
        self._whole.set()
        self._end = asyncio.Event()
        self._ways: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()
        for writer in self._ways:
            writer.transport.abort()
        while self._ways:
            await asyncio.sleep(0.01)

    async def _carry(self, reader, writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader, writer) -> None:
        self._ways.add(writer)
        try:
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._ways.discard(writer)


@dataclass
class Stack:
    """The simulated robot with its console.

    Attributes:
        url: Of the console.
        ears: Hears the robot.
    """

    url: str
    ears: Ears

    @property
    def port(self) -> int:
        return urlsplit(self.url).port


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Simulator, policy, guard, recorder and console, in HOLD and ready."""
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(share_file("config"), folder / "config")
    tuning = folder / "config" / "sim.yaml"  # without pictures that nobody needs here
    tuning.write_text(re.sub(r"overview_rate: [\d.]+", "overview_rate: 0.0", tuning.read_text()))
    graph = runpy.run_path(str(Path(__file__).parents[1] / "graph" / "conftest.py"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ROS_DOMAIN_ID", str(20 + os.getpid() % 200))
        words = {"namespace": "", "task": "place", "run_dir": "run", "seed": "3"}
        words |= {"console": "true", "console_port": "0", "config": str(folder / "config")}
        launched = graph["Launched"](
            "launch",
            "demo.launch.yaml",
            *(f"{name}:={value}" for name, value in words.items()),
            cwd=folder,
        )
        try:
            ears = Ears()
        except BaseException:
            launched.end()
            raise
    address = re.compile(r"console is at (http://\S+)")
    try:
        ears.wait(lambda: address.search(launched.text), "the console", 60.0)
        ears.wait(lambda: ears.mode and np.isfinite(ears.position).all(), "the robot", 60.0)
        yield Stack(address.search(launched.text)[1], ears)
    finally:
        try:
            ears.close()
        finally:
            launched.end()


@pytest.fixture
def network(stack):
    network = Network(stack.port)
    yield network
    network.close()


class Doomed:
    """A browser of its own, as people start it, which can be killed.

    Args:
        chromium: Any browser of Playwright's.
        folder: For its profile.
    """

    def __init__(self, chromium, folder: Path) -> None:
        command = [shutil.which("chromium"), "--headless=new", "--remote-debugging-port=0"]
        self._process = subprocess.Popen(
            [*command, *QUIET, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._browser = self._reach(chromium.browser_type, folder / "DevToolsActivePort")
        except BaseException:
            self.kill()
            raise

    def _reach(self, chromium, told: Path):
        deadline = time.monotonic() + 30
        while not (told.exists() and "\n" in told.read_text()):
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.05)
        return chromium.connect_over_cdp(f"http://127.0.0.1:{told.read_text().split()[0]}")

    def open(self, url: str) -> Page:
        """Open a page and wait until it shows the robot."""
        page = self._browser.contexts[0].new_page()
        page.goto(url)
        page.wait_for_selector("html:not(.disconnected) [data-mode]:not([data-mode=UNKNOWN])")
        return page

    def kill(self) -> None:
        """End all of its processes, as the kernel does that is out of memory."""
        with suppress(ProcessLookupError):  # a group lasts as long as anyone is in it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


@pytest.fixture
def doomed(chromium, tmp_path):
    """See :class:`Doomed`."""
    browser = Doomed(chromium, tmp_path / "profile")
    yield browser
    browser.kill()
