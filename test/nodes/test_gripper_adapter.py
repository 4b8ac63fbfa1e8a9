# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard's gripper commands reach an action server, and without one a sentence says why not.

Actions exist only in a real ROS 2, so a stand-in for rclpy's action client shows the wiring here.
"""

import os
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.task import Future
from sensor_msgs.msg import JointState

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper_adapter_node import SUCCEEDED, GripperAdapterNode

DONE = TransitionCallbackReturn.SUCCESS


class Handle:
    """What an action server answers to a goal."""

    def __init__(self, accepted):
        self.accepted = accepted
        self.cancelled = False
        self.result = Future()

    def get_result_async(self):
        return self.result

    def cancel_goal_async(self):
        self.cancelled = True


class Client:
    """rclpy's action client, with a server that answers at once."""

    def __init__(self, node, kind, name):
        self.name, self.kind, self.goals, self.handles = name, kind, [], []
        self.ready = self.accepting = True
        self.destroyed = False

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        self.goals.append(goal)
        self.handles.append(Handle(self.accepting))
        future = Future()
        future.set_result(self.handles[-1])
        return future

    def destroy(self):
        self.destroyed = True


@pytest.fixture
def actions(monkeypatch):
    def kind():
        return SimpleNamespace(Goal=lambda: SimpleNamespace(command=SimpleNamespace()))

    for name, content in {
        "rclpy.action": {"ActionClient": Client},
        "control_msgs": {},
        "control_msgs.action": {"ParallelGripperCommand": kind(), "GripperCommand": kind()},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


class Rig:
    """The node beside a guard of the test's own."""

    def __init__(self, *arguments):
        rclpy.init(args=["--ros-args", *arguments])
        self.node, self.guard = GripperAdapterNode(), rclpy.create_node("guard")
        self.commands = self.guard.create_publisher(JointState, names.ROBOT_GRIPPER, qos.STATE)
        self.modes = self.guard.create_publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.guard)
        assert self.node.trigger_configure() == DONE
        assert self.node.trigger_activate() == DONE
        self.client = self.node._client

    def command(self, position, joint="finger_joint"):
        stamp = self.guard.get_clock().now().to_msg()
        message = JointState(name=[joint], position=[position], effort=[15.0])
        message.header.stamp = stamp
        self.commands.publish(message)

    def until(self, condition, position=None, **joint):
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            if position is not None:
                self.command(position, **joint)
            self.executor.spin_once(timeout_sec=0.02)

    def close(self):
        self.node.destroy_node()
        self.guard.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def rig(actions):
    rigs = []

    def make(*arguments):
        rigs.append(Rig(*arguments))
        return rigs[-1]

    yield make
    for made in rigs:
        made.close()


def test_a_command_becomes_a_parallel_gripper_goal(rig):
    rig = rig("-p", "action:=hand/cmd")
    rig.until(lambda: rig.client.goals, position=0.03)
    command = rig.client.goals[0].command
    assert rig.client.name == "hand/cmd"
    assert (list(command.name), list(command.position)) == (["finger_joint"], [0.03])
    assert list(command.effort) == [15.0]


def test_the_older_action_gets_position_and_effort_in_its_own_scale(rig):
    rig = rig("-p", "action_type:=GripperCommand", "-p", "position_scale:=2.0")
    rig.until(lambda: rig.client.goals, position=0.03)
    command = rig.client.goals[0].command
    assert (command.position, command.max_effort) == (pytest.approx(0.06), 15.0)


def test_a_stop_of_the_guard_cancels_the_goal(rig):
    rig = rig()
    rig.until(lambda: rig.node._handle, position=0.03)
    rig.modes.publish(convert.status_message(b"\x02", "guard", "", {"mode": "STOPPED"}))
    rig.until(lambda: rig.client.handles[0].cancelled, position=0.03)
    assert len(rig.client.goals) == 1


def test_silence_of_the_guard_cancels_the_goal(rig):
    rig = rig("-p", "timeout:=0.2")
    rig.until(lambda: rig.node._handle, position=0.03)
    rig.until(lambda: rig.client.handles[0].cancelled)


def test_deactivation_cancels_the_goal_and_cleanup_closes_the_action(rig):
    rig = rig()
    rig.until(lambda: rig.node._handle, position=0.03)
    assert rig.node.trigger_deactivate() == DONE
    assert rig.client.handles[0].cancelled
    assert rig.node.trigger_cleanup() == DONE
    assert rig.client.destroyed


def test_a_stalled_grip_is_a_grip_and_not_asked_for_again(rig):
    rig = rig()
    rig.until(lambda: rig.node._handle, position=0.0)
    aborted = SimpleNamespace(status=SUCCEEDED + 2, result=SimpleNamespace(stalled=True))
    rig.client.handles[0].result.set_result(aborted)
    rig.until(lambda: not rig.node._goals.under_way, position=0.0)
    end = time.monotonic() + 0.5
    rig.until(lambda: time.monotonic() > end, position=0.0)
    assert len(rig.client.goals) == 1


@pytest.mark.parametrize(
    ("trouble", "word"),
    [("server", "no action server at"), ("joint", "no joint finger_joint"), ("no", "refused a")],
)
def test_what_keeps_the_gripper_from_following_is_named(rig, trouble, word):
    rig = rig()
    rig.client.ready, rig.client.accepting = trouble != "server", trouble != "no"
    joint = "nope" if trouble == "joint" else "finger_joint"
    rig.until(lambda: word in rig.node._problem, position=0.03, joint=joint)


@pytest.mark.parametrize("message", [JointState(), JointState(name=["finger_joint"])])
def test_no_message_ends_the_node(rig, message):
    rig = rig()
    rig.commands.publish(message)
    rig.commands.publish(JointState(name=["finger_joint"], position=[float("nan")]))
    rig.modes.publish(DiagnosticStatus())
    rig.until(lambda: rig.client.goals, position=0.03)


def test_without_actions_one_sentence_says_so_and_trying_again_is_of_no_use():
    code = "from magma_ros.nodes.gripper_adapter_node import main; raise SystemExit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_CONFIG
    said = done.stdout + done.stderr
    assert "gripper actions need a real ROS 2 with control_msgs" in said
    assert "Traceback" not in said
