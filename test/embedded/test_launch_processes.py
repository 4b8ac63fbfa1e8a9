# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a launch does about processes that end, are killed, or will not end."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magma_ros.embedded.launch.output import Log

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


def test_what_cannot_work_ends_the_launch_with_its_sentence_and_is_not_tried_again(
    run: Launch,
) -> None:
    launched = run(
        """
        launch:
        - node: {pkg: probe, exec: wait}
        - node: {pkg: probe, exec: unusable, respawn: "true"}
        """,
    )
    assert launched.process.returncode == 2
    assert launched.text.count("process started") == 2
    assert launched.output[-1] == "[ERROR] [launch]: unusable-2: there is no such eye"


def test_what_a_required_process_said_last_is_said_last(run: Launch) -> None:
    launched = run(
        """
        launch:
        - node: {pkg: probe, exec: wait}
        - node: {pkg: probe, exec: fail, on_exit: shutdown}
        """,
    )
    assert launched.process.returncode == 1
    assert launched.output[-1] == "[ERROR] [launch]: fail-2: cannot go on"


def test_a_process_that_has_done_its_work_is_not_respawned(run: Launch) -> None:
    launched = run('launch:\n- node: {pkg: probe, exec: succeed, respawn: "true"}')
    assert launched.process.returncode == 0
    assert launched.text.count("process started") == 1


@pytest.mark.parametrize("executable", ["wait", "deaf"])
def test_processes_end_with_a_launch_that_is_killed(begin: Launch, executable: str) -> None:
    launched = begin(f"launch:\n- node: {{pkg: probe, exec: {executable}, output: screen}}")
    pid = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    launched.wait_for("ready")
    launched.process.kill()
    killed = time.monotonic()
    while _is_running(pid):
        assert time.monotonic() < killed + 30.0
        time.sleep(0.02)


def test_a_console_that_takes_no_more_lines_does_not_hold_up_the_launch(begin: Launch) -> None:
    launched = begin("launch:\n- node: {pkg: probe, exec: talk, output: screen}")
    launched.wait_for("ready")
    time.sleep(0.5)  # nobody reads: the pipe is full after 64 kB
    launched.process.send_signal(signal.SIGINT)
    launched.process.wait(30.0)


def test_a_log_that_cannot_be_made_is_named_and_the_launch_goes_on(
    begin: Launch, package: Path
) -> None:
    (package / "log").write_text("a file where a folder should be")
    launched = begin("launch:\n- node: {pkg: probe, exec: tell, output: screen}")
    assert launched.finish() == 0
    (line,) = [line for line in launched.output if line.startswith("[ERROR]")]
    assert "launch.log cannot be written" in line
    assert "Set ROS_LOG_DIR to a folder that can be written" in line
    assert launched.told()


def test_a_log_on_a_full_disk_is_named_once_and_costs_only_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "launch.log").symlink_to("/dev/full")
    log = Log(tmp_path)
    for number in range(3):
        log.line("node", f"line {number}", on_screen=True)
    log.close()
    shown = capfd.readouterr().out
    assert shown.count("launch.log cannot be written (No space left on device)") == 1
    assert all(f"[node] line {number}" in shown for number in range(3))


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
