# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a launch does about processes that end, are killed, or will not end."""

import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

Launch = Callable[..., Any]


def test_a_killed_node_is_respawned_after_its_delay(begin: Launch) -> None:
    launched = begin(
        """
        launch:
        - node:
            {pkg: probe, exec: wait, output: screen, respawn: "true", respawn_delay: 0.5}
        """,
    )
    first = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    launched.wait_for("ready")
    killed = time.monotonic()
    os.kill(first, signal.SIGKILL)
    second = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    assert time.monotonic() - killed >= 0.5
    assert second != first
    assert f"process has died [pid {first}, exit code -9]" in launched.text
    launched.wait_for("ready")
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 0, launched.text


def test_respawning_ends_after_its_retries_and_the_launch_fails(run: Launch) -> None:
    launched = run(
        """
        launch:
        - node: {pkg: probe, exec: fail, respawn: "true", respawn_max_retries: 2}
        """,
    )
    assert launched.text.count("process started") == 3
    assert launched.text.count("[fail-1] cannot go on") == 3
    assert launched.process.returncode == 1


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launch_ends_every_process(begin: Launch, asked: signal.Signals) -> None:
    launched = begin(
        """
        launch:
        - node: {pkg: probe, exec: wait, output: screen}
        - node: {pkg: probe, exec: wait, output: screen}
        """,
    )
    launched.wait_for("ready")
    launched.wait_for("ready")
    launched.process.send_signal(asked)
    assert launched.finish() == 0, launched.text
    assert launched.text.count("process has finished cleanly") == 2


def test_a_process_that_will_not_end_is_killed_and_the_launch_fails(begin: Launch) -> None:
    launched = begin(
        """
        launch:
        - node:
            pkg: probe
            exec: stubborn
            output: screen
            sigterm_timeout: 0.3
            sigkill_timeout: 0.3
        """,
    )
    pid = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    launched.wait_for("ready")
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 1
    sent = re.findall(r"sending signal '(\w+)'", launched.text)
    assert sent == ["SIGINT", "SIGTERM", "SIGKILL"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_required_process_takes_the_others_with_it(run: Launch) -> None:
    launched = run(
        """
        launch:
        - node: {pkg: probe, exec: wait}
        - node: {pkg: probe, exec: fail, on_exit: shutdown}
        """,
    )
    assert "process[fail-2] was required" in launched.text
    assert launched.process.returncode == 1
