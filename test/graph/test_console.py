# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An arm moves only while an operator's console lives and its key is held, whatever happens to it.

Simulated arm, guard and console are each a process of its own.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped

from magma_ros.nodes import names, qos
from magma_ros.share import share_file

pytestmark = [pytest.mark.graph, pytest.mark.timeout(120)]

LIMIT = 0.3
"""Time after which nothing may move that an operator has lost [s]."""

ROBOT = ["--params-file", str(share_file("config", "robots", "sim.yaml"))]
NODE = (
    "import sys; from magma_ros import embedded; embedded.install(); "
    "from magma_ros.nodes import entry; sys.exit(entry.start(sys.argv.pop(1)))"
)
CONSOLE = Path(__file__).parent / "programs" / "jogging_console.py"
TERMINAL = [sys.executable, "-m", "magma_ros.cli", "console", "--terminal"]


class Spoken:
    """A process whose lines are read as they come."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        self.lines += iter(self.process.stdout.readline, "")

    def said(self, words):
        return any(words in line for line in self.lines)


@pytest.fixture(scope="module")
def arm():
    """A simulated arm and its guard, for all tests of this file; the DDS domain they are in."""
    domain = str(20 + os.getpid() % 200)
    environment = os.environ | {"ROS_DOMAIN_ID": domain}
    sim = ["-p", "task:=reach", "-p", "camera_rate:=2.0", "-p", "overview_rate:=0.0"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", NODE, executable, "--ros-args", *ROBOT, *words], env=environment
        )
        for executable, words in (("sim_node", sim), ("guard_node", []))
    ]
    try:
        yield domain
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=20)
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def in_the_domain_of_the_arm(arm, domain, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", arm)


@pytest.fixture
def console(watcher):
    """Start console processes, which are ended with the test, after they were told to let go."""
    made = []

    def start(seconds):
        made.append(Spoken(CONSOLE, seconds, *ROBOT))
        return made[-1]

    yield start
    try:
        watcher.call("guard/hold")
        watcher.spin_for(0.5)
    finally:
        for each in made:
            each.process.kill()
            each.process.wait()


@pytest.fixture
def heights(watcher):
    """The heights of the hand, as they come."""
    found = []
    watcher.node.create_subscription(
        PoseStamped, names.EE_POSE, lambda m: found.append(m.pose.position.z), qos.STATE
    )
    return found


def still_after(watcher, event):
    """When the first zero twist came after ``event`` [s], and check that no motion followed."""
    while watcher.twists[names.ROBOT_TWIST][-1][1]:
        assert time.monotonic() - event < 5.0
        watcher.executor.spin_once(timeout_sec=0.01)
    came = time.monotonic()
    count = len(watcher.twists[names.ROBOT_TWIST])
    watcher.spin_for(0.5)
    assert not any(size for _, size in watcher.twists[names.ROBOT_TWIST][count:])
    return came


def test_held_key_moves_the_arm_its_way_and_a_release_rests_it(watcher, console, heights):
    operator = console(0.8)
    watcher.spin_until(watcher.moving, 60.0, "motion")
    began = heights[-1]
    watcher.spin_until(lambda: operator.said("let go"), 20.0, "the release")
    event = time.monotonic()
    assert still_after(watcher, event) - event < 0.25
    assert 0.04 < heights[-1] - began < 0.12  # 0.1 m/s for 0.8 s
    assert watcher.mode == "TELEOP"  # the operator is still there


class Terminal:
    """A terminal with a console in it.

    Args:
        hang_up: Whether the console's process ignores SIGHUP, as under ``nohup``, or not.
    """

    def __init__(self, hang_up):
        self._outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 100, 0, 0))
        self.process = subprocess.Popen(
            ["env", f"--{hang_up}-signal=HUP", *TERMINAL],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(inside)
        self._screen, self._closed = b"", threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        while not self._closed.is_set():
            if select.select([self._outside], [], [], 0.02)[0]:
                try:
                    self._screen += os.read(self._outside, 4096)
                except OSError:
                    return

    @property
    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._screen.decode(errors="replace"))

    def press(self, key):
        os.write(self._outside, key)

    def close(self):
        """As when the connection is lost."""
        if not self._closed.is_set():
            self._closed.set()
            self._reader.join()
            os.close(self._outside)


@pytest.fixture
def terminal():
    """Start terminals, which are ended with the test."""
    made = []

    def start(hang_up):
        made.append(Terminal(hang_up))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()
        each.close()


@pytest.mark.parametrize(
    ("hang_up", "statuses"),
    [("default", {-signal.SIGHUP, 128 + signal.SIGHUP}), ("ignore", {128 + signal.SIGHUP})],
)
def test_terminal_takes_over_and_jogs_and_its_end_rests_the_arm(
    watcher, heights, terminal, hang_up, statuses
):
    operator = terminal(hang_up)
    watcher.spin_until(lambda: "T take over" in operator.text, 60.0, "the screen")

    def drive():
        operator.press(b"w" if watcher.mode == "TELEOP" else b"T")
        watcher.spin_for(0.05 if watcher.mode == "TELEOP" else 0.5)
        return watcher.moving()

    watcher.spin_until(drive, 30.0, "motion")
    event = time.monotonic()
    operator.close()
    assert still_after(watcher, event) - event < LIMIT
    assert operator.process.wait(timeout=20) in statuses


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=lambda n: n.name)
def test_console_that_is_lost_in_motion_leaves_a_still_arm_and_a_reason(watcher, console, number):
    operator = console(60.0)
    watcher.spin_until(watcher.moving, 60.0, "motion")
    watcher.spin_for(0.3)
    event = time.monotonic()
    operator.process.send_signal(number)
    assert still_after(watcher, event) - event < LIMIT
    watcher.spin_until(lambda: watcher.mode == "HOLD", 10.0, "the reason")
    assert watcher.modes[-1]["reason"] == "TELEOP_SILENT"
    operator.process.send_signal(signal.SIGCONT)
    watcher.spin_for(0.5)
    assert not watcher.moving()  # what was held before the loss moves nothing after it
