# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""However a launch ends while the arm moves: within a second all is still and nothing is left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader

from magma_ros.nodes import names

pytestmark = [pytest.mark.graph, pytest.mark.timeout(120)]

LIMIT = 1.0
"""Time from the end of the launcher to the last zero twist, and to the end of the last node [s]."""

NODES = 5


def interrupt(launcher):
    launcher.send_signal(signal.SIGINT)


def interrupt_twice(launcher):
    launcher.send_signal(signal.SIGINT)
    time.sleep(0.05)
    launcher.send_signal(signal.SIGINT)


def terminate(launcher):
    launcher.send_signal(signal.SIGTERM)


def hang_up(launcher):
    launcher.send_signal(signal.SIGHUP)


def kill(launcher):
    launcher.kill()


def close_the_pipe(launcher):
    launcher.stdout.close()


def interrupt_behind_a_closed_pipe(launcher):
    launcher.stdout.close()
    launcher.send_signal(signal.SIGINT)


ENDINGS = [
    interrupt,
    interrupt_twice,
    terminate,
    hang_up,
    kill,
    close_the_pipe,
    interrupt_behind_a_closed_pipe,
]


def children(pid):
    with suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def running(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ended(launcher, pids, watcher, end, what):
    """End the launch; the times from there to zero and to the last process gone [s]."""
    heard = []
    watcher.on_robot_twist = lambda size: heard.append((time.monotonic(), size))
    watcher.spin_for(0.2)
    assert max(size for _, size in heard) > 0.02, "the arm must be moving"
    heard.clear()
    began = time.monotonic()
    end(launcher)
    while any(running(pid) for pid in pids) and time.monotonic() < began + 10.0:
        watcher.executor.spin_once(timeout_sec=0.01)
    gone = time.monotonic() - began
    watcher.spin_for(0.2)
    zeros = [when for when, size in heard if size == 0.0]
    moving = [when for when, size in heard if size > 0.0]
    assert zeros, "no safe command was heard"
    assert not moving or zeros[-1] > moving[-1], "the last word must be a safe one"
    still = min(when for when in zeros if not moving or when > moving[-1]) - began
    print(f"{what}: zero after {still:.3f} s, last process gone after {gone:.3f} s")
    return still, gone


def start(tmp_path, **streams):
    words = ["demo.launch.yaml", "namespace:=", "task:=reach", "seed:=3", "run_dir:=run"]
    # Whoever runs the tests may ignore SIGHUP, as under nohup, and children inherit that.
    return subprocess.Popen(
        ["env", "--default-signal=HUP", sys.executable, "-m", "magma_ros.cli", "launch", *words],
        cwd=tmp_path,
        env=os.environ | {"ROS_LOG_DIR": str(tmp_path / "log")},
        **streams,
    )


@pytest.mark.parametrize(
    "end", [*ENDINGS, "full disk"], ids=lambda end: getattr(end, "__name__", end)
)
def test_arm_stands_still_and_nothing_is_left_within_a_second(tmp_path, watcher, end):
    if end == "full disk":
        with Path("/dev/full").open("w") as full:
            launcher = start(tmp_path, stdout=full, stderr=full)
        end, what = interrupt, "console on a full disk"
    else:
        launcher = start(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        what = end.__name__
    pids = []
    try:
        watcher.spin_until(watcher.moving, 60.0, "the arm to move")
        pids = children(launcher.pid)
        assert len(pids) == NODES
        still, gone = ended(launcher, pids, watcher, end, what)
        launcher.wait(5.0)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        launcher.kill()
        launcher.wait()
    assert still < LIMIT
    assert gone < LIMIT
    with AnyReader([tmp_path / "run" / "episode_0"]) as bag:
        topics = {connection.topic: connection.msgcount for connection in bag.connections}
    assert topics[f"/{names.ROBOT_TWIST}"] > 0
