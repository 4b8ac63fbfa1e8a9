# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two arms with two grippers: each column of a policy moves its own gripper, and no other."""

import runpy
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from magma_ros.cli.creation import create
from magma_ros.nodes import names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.share import share_file

DONE, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
THEIRS = Path(__file__).parents[1] / "models" / "foreign_policies.py"
JOINTS = ("left_elbow", "right_elbow")
GRIPPERS = {"left_gripper": "left_finger", "right_gripper": "right_finger"}
ROBOT = {
    "command_interface": "joint_trajectory",
    "joints.names": "[left_elbow, right_elbow]",
    "joints.without_description": "true",
    "joints.controller_check": "false",
    "joints.lower": "[-1.0, -1.0]",
    "joints.upper": "[1.0, 1.0]",
    "joints.velocity": "[1.0, 1.0]",
    "joints.acceleration": "[5.0, 5.0]",
    "joints.jerk": "[50.0, 50.0]",
    "limits.gripper_speed": "0.5",
    "gripper.name": "left_gripper",
    "gripper.joint": "left_finger",
    "gripper.open_position": "0.04",
    "more_grippers.names": "[right_gripper]",
    "more_grippers.joint": "[right_finger]",
    "more_grippers.open_position": "[0.0]",  # this one opens downwards
    "more_grippers.closed_position": "[0.8]",
    "more_grippers.max_effort": "[5.0]",
}
PATIENT = ("policy_timeout", "health_timeout", "plan_timeout", "state_timeout", "max_age")
PATIENT += ("deadline", "max_command_age", "command_hold")


class Robot:
    """Joints and fingers that are at once where they are sent."""

    def __init__(self):
        self.node = rclpy.create_node("robot")
        self.states = self.node.create_publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.at = dict.fromkeys(JOINTS, 0.0) | {"left_finger": 0.02, "right_finger": 0.4}
        self.asked = {topic: [] for topic in ("gripper/command", "right_gripper/command")}
        hear = self.node.create_subscription
        hear(JointTrajectory, names.ROBOT_TRAJECTORY, self.move, qos.STATE)
        for topic in self.asked:
            hear(JointState, topic, lambda m, t=topic: self.grip(t, m), qos.STATE)

    def move(self, message):
        self.at |= dict(zip(message.joint_names, message.points[0].positions, strict=True))

    def grip(self, topic, message):
        self.asked[topic].append(message)
        self.at |= dict(zip(message.name, message.position, strict=True))

    def publish(self):
        header = Header(stamp=self.node.get_clock().now().to_msg())
        at = list(self.at.values())
        self.states.publish(JointState(header=header, name=list(self.at), position=at))


@pytest.fixture
def start(tmp_path, needs):
    """A policy of two elbows and some grippers, which closes the first and opens the others."""
    needs("create")
    theirs = SimpleNamespace(**runpy.run_path(str(THEIRS)))
    made = []

    def begin(*grippers, robot=ROBOT, **more):
        goal = (0.3, -0.3, *(0.0, 1.0, 1.0)[: len(grippers)])
        graph = theirs.mlp(tmp_path / "policy.onnx", 8, goal)
        dims = [{"name": name, "unit": "rad"} for name in JOINTS]
        dims += [{"name": name, "open": 1.0, "closed": 0.0} for name in grippers]
        said = {"name": "two", "kind": "joint_position", "dims": dims, "step_period": 0.05} | more
        (tmp_path / "answers.yaml").write_text(yaml.safe_dump(said))
        create(graph, out=tmp_path / "two", answers=tmp_path / "answers.yaml")
        given = {"bundle": tmp_path / "two", "self_test": "0.0", **robot}
        given |= dict.fromkeys(PATIENT, "5.0") | {"max_command_age": "1.0", "command_hold": "2.0"}
        words = [word for each in given.items() for word in ("-p", "{}:={}".format(*each))]
        file = str(share_file("config", "robots", "sim.yaml"))
        rclpy.init(args=["--ros-args", "--params-file", file, *words])
        made.extend((GuardNode(), PolicyNode(), Robot()))
        return made

    yield begin
    if made:
        for node in (*made[:2], made[2].node):
            node.destroy_node()
        rclpy.shutdown()


def test_each_gripper_of_two_arms_goes_its_own_way_and_a_stop_holds_both(start):
    guard, policy, robot = start(*GRIPPERS)
    executor = SingleThreadedExecutor()
    for node in (guard, policy):
        assert node.trigger_configure() == node.trigger_activate() == DONE
    for node in (guard, policy, robot.node):
        executor.add_node(node)
    clients = {
        name: robot.node.create_client(Trigger, f"guard/{name}") for name in ("hand_back", "stop")
    }

    def until(condition):
        deadline = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < deadline, robot.at
            robot.publish()
            executor.spin_once(timeout_sec=0.01)

    def ask(name):
        future = clients[name].call_async(Trigger.Request())
        until(future.done)
        return future.result().success

    until(lambda: ask("hand_back"))
    until(lambda: robot.at["left_finger"] < 0.012 and robot.at["right_finger"] < 0.24)
    assert ask("stop")
    counts = [len(asked) for asked in robot.asked.values()]
    until(lambda: all(len(a) > c + 10 for a, c in zip(robot.asked.values(), counts, strict=True)))
    for asked, joint, effort, begin in zip(
        robot.asked.values(), GRIPPERS.values(), (20.0, 5.0), (0.02, 0.4), strict=True
    ):
        assert {tuple(message.name) for message in asked} == {(joint,)}
        assert {message.effort[0] for message in asked} == {effort}
        assert asked[-1].position[0] == asked[-5].position[0]
        assert 0.0 < asked[-1].position[0] < begin, "stopped on its way"


MEASURED = [f"{name}.{of}" for of in ("position", "velocity") for name in JOINTS]
ONE = {key: value for key, value in ROBOT.items() if "more_grippers" not in key}


@pytest.mark.parametrize(
    ("robot", "grippers", "sentence"),
    [
        (ONE, tuple(GRIPPERS), "moves the gripper right_gripper, which the robot's file does not"),
        (ROBOT, ("left_gripper",), "has the gripper right_gripper, which the policy does not move"),
        (
            ROBOT | {"more_grippers.joint": "[left_finger]"},
            tuple(GRIPPERS),
            "two grippers of the robot's file have the joint left_finger",
        ),
        (
            ROBOT | {"more_grippers.max_effort": "[1.0, 2.0]"},
            tuple(GRIPPERS),
            "more_grippers.max_effort must have 1 entries, one for each of more_grippers.names",
        ),
        (
            ROBOT | {"more_grippers.names": "[right-gripper]"},
            tuple(GRIPPERS),
            "the gripper's name 'right-gripper' must be of letters, digits and _ alone",
        ),
    ],
)
def test_grippers_that_do_not_fit_are_refused_in_one_sentence(start, robot, grippers, sentence):
    _, policy, _ = start(*grippers, robot=robot, fields=MEASURED[: 2 + len(grippers)])
    assert policy.trigger_configure() == FAILURE
    assert sentence in str(policy.failure)
    assert "\n" not in str(policy.failure)


def test_a_gripper_that_is_only_measured_must_be_the_robots_too(start):
    _, policy, _ = start(robot=ONE, fields=["left_elbow.position", "right_gripper_opening"])
    assert policy.trigger_configure() == FAILURE
    assert "measures the gripper right_gripper, which the robot's file does" in str(policy.failure)
