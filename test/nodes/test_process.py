# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node's process ends when it is told to, and says in one sentence why it cannot begin."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from magma_ros.nodes import names, qos

ROOT = Path(__file__).parents[2]
GUARD = "import sys; from magma_ros.nodes.entry import guard_node; sys.exit(guard_node())"
POLICY = GUARD.replace("guard_node", "policy_node")
ROBOT = ("--params-file", str(ROOT / "config" / "robots" / "sim.yaml"))
UNUSABLE = 78
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(tmp_path, program, *arguments, log=None, **environment):
    """A node in a process of its own, which is killed at the end if it has not ended."""
    # Whoever runs the tests may ignore SIGHUP, as under nohup, and children inherit that.
    python = ["env", "--default-signal=HUP", sys.executable]
    command = [*python, "-c", program, "--ros-args", *arguments]
    with Path(log or tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(tmp_path):
    return (tmp_path / "output").read_text()


def wait_for(condition, what, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def node():
    rclpy.init(args=[])
    node = rclpy.create_node("tester")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.mark.parametrize("numbers", [*((n,) for n in ENDING), ENDING], ids=str)
def test_a_signal_or_several_end_a_node_with_its_safe_command_and_no_fault(tmp_path, node, numbers):
    heard = []
    node.create_subscription(TwistStamped, names.ROBOT_TWIST, heard.append, qos.STATE)
    with running(tmp_path, GUARD, *ROBOT) as guard:
        wait_for(lambda: rclpy.spin_once(node, timeout_sec=0.1) or heard, "the guard")
        for number in numbers:
            guard.send_signal(number)
        assert guard.wait(30.0) == 0, said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_finalized_node_ends_its_process(tmp_path, node):
    client = node.create_client(ChangeState, "/guard/change_state")
    with running(tmp_path, GUARD, *ROBOT) as guard:
        assert client.wait_for_service(timeout_sec=30.0)
        wait_for(lambda: "HOLD" in said(tmp_path), "the guard to be active")
        shutdown = Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN)
        future = client.call_async(ChangeState.Request(transition=shutdown))
        rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)
        assert future.result().success
        assert guard.wait(30.0) == 0, said(tmp_path)
    assert "Traceback" not in said(tmp_path)


@pytest.mark.parametrize("after", [0.1, 0.4, 0.8, 1.6])
def test_a_signal_while_a_node_is_starting_ends_it_without_a_traceback(tmp_path, after):
    bundle = f"bundle:={ROOT / 'models' / 'magma-nano'}"
    program = POLICY.replace("sys.exit", "print('begins', flush=True); sys.exit")
    with running(tmp_path, program, *ROBOT, "-p", bundle) as policy:
        wait_for(lambda: "begins" in said(tmp_path), "Python to start")
        time.sleep(after)
        policy.send_signal(signal.SIGINT)
        assert policy.wait(30.0) in {0, 128 + signal.SIGINT}, said(tmp_path)
    assert "Traceback" not in said(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (("-r", "__node:=arm-guard"), {}, "node name"),
        (("-r", "__ns:=/robot-1"), {}, "namespace"),
        ((), {"ROS_DOMAIN_ID": "999"}, "ROS_DOMAIN_ID is '999'"),
        ((), {"ROS_DOMAIN_ID": "one"}, "ROS_DOMAIN_ID is 'one'"),
        (("--no-such-flag",), {}, "--no-such-flag"),
        (("-p", "command_rate:=fast"), {}, "command_rate"),
        (("--params-file", "/nowhere.yaml"), {}, "/nowhere.yaml"),
        ((), {}, "robot"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_work_is_told_in_one_sentence_with_a_status_of_its_own(
    tmp_path, arguments, environment, sentence
):
    with running(tmp_path, GUARD, *arguments, **environment) as guard:
        assert guard.wait(30.0) == UNUSABLE, said(tmp_path)
    lines = said(tmp_path).splitlines()
    assert len(lines) == 1
    assert sentence in lines[0]


def test_a_policy_with_a_gate_that_does_not_exist_says_so_once(tmp_path):
    with running(tmp_path, POLICY, *ROBOT, "-p", "gate:=nope") as policy:
        assert policy.wait(30.0) == UNUSABLE, said(tmp_path)
    (line,) = said(tmp_path).splitlines()
    assert "gate is 'nope', but must be one of: adaptive" in line


def test_a_log_that_cannot_be_written_does_not_end_a_node(tmp_path, node):
    heard = []
    node.create_subscription(TwistStamped, names.ROBOT_TWIST, heard.append, qos.STATE)
    with running(tmp_path, GUARD, *ROBOT, log="/dev/full") as guard:
        wait_for(lambda: rclpy.spin_once(node, timeout_sec=0.1) or heard, "the guard")
        guard.send_signal(signal.SIGINT)
        assert guard.wait(30.0) == 0
