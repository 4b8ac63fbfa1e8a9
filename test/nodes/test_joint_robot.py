# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard node before a robot that is commanded by joints, over DDS."""

import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from magma_ros.guard import CommandInterface, GuardConfigError
from magma_ros.guard.controller import misordering
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.robot_output import COMMAND_TOPICS
from magma_ros.nodes.settings import SettingError
from magma_ros.perception.error import BodyError
from magma_ros.share import share_file

DONE = TransitionCallbackReturn.SUCCESS
ROBOT = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim_joints.yaml"))]
PATIENT = {"policy_timeout": 3.0, "health_timeout": 3.0, "plan_timeout": 5.0, "state_timeout": 3.0}
PATIENT |= {"max_command_age": 1.0, "command_hold": 2.0}
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_pitch", "wrist_roll")
HOME = np.array([0.0, 0.4, 2.0, 0.74, 0.0])
TARGET = HOME + np.array([0.1, 0.05, -0.1, 0.05, 0.3])


class Robot:
    """Joints that go where they are sent, a policy that is well, and an ear for the guard."""

    def __init__(self, interface):
        self.node = rclpy.create_node("policy")
        publisher, hear = self.node.create_publisher, self.node.create_subscription
        self.joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.targets = publisher(JointTrajectory, names.POLICY_JOINTS, qos.STATE)
        self.health = publisher(DiagnosticStatus, names.POLICY_HEALTH, qos.STATE)
        self.position, self.velocity = HOME, np.zeros(5)
        self.sent, self.mode = [], ""
        kind = Float64MultiArray
        if interface is CommandInterface.JOINT_TRAJECTORY:
            kind = JointTrajectory
        self.by_velocity = interface is CommandInterface.FORWARD_VELOCITY
        hear(kind, COMMAND_TOPICS[interface], self._on_command, qos.EVENTS)
        hear(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)

    def _on_mode(self, message):
        values = convert.status_values(message)
        self.mode, self.sentence = (values["mode"], values["reason"]), message.message

    def _on_command(self, message):
        self.sent.append(message)
        if isinstance(message, JointTrajectory):
            assert tuple(message.joint_names) == JOINTS
            self.position = np.array(message.points[0].positions)
        elif self.by_velocity:
            self.velocity = np.array(message.data)
        else:
            self.position = np.array(message.data)

    def publish(self, order):
        self.position = self.position + 0.02 * self.velocity
        stamp = self.node.get_clock().now().to_msg()
        state = JointState(name=[*JOINTS, "left_finger"], position=[*self.position, 0.02])
        state.header.stamp = stamp
        self.joints.publish(state)
        targets = convert.joint_command_to_message([JOINTS[i] for i in order], TARGET[order], stamp)
        self.targets.publish(targets)
        values = {"plan_age_s": 0.1, "fault": "", "waiting_for": ""}
        self.health.publish(convert.status_message(DiagnosticStatus.OK, "policy", "", values))


class Bench:
    def __init__(self, interface):
        self.guard, self.robot = GuardNode(), Robot(interface)
        self.executor = SingleThreadedExecutor()
        for node in (self.guard, self.robot.node):
            self.executor.add_node(node)

    def until(self, condition, what):
        deadline = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            self.robot.publish([3, 1, 4, 0, 2])
            due = time.monotonic() + 0.02
            while (left := due - time.monotonic()) > 0.0:
                self.executor.spin_once(timeout_sec=left)

    def call(self, service):
        client = self.robot.node.create_client(Trigger, f"guard/{service}")
        future = client.call_async(Trigger.Request())
        self.until(future.done, f"an answer from {service}")
        self.robot.node.destroy_client(client)
        return future.result()


def begin(*words):
    patient = [word for name, value in PATIENT.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=[*ROBOT, *patient, *(w for word in words for w in ("-p", word))])


@pytest.fixture
def bench(request):
    interface = getattr(request, "param", CommandInterface.JOINT_TRAJECTORY)
    checked = "joints.controller_check:=true"
    begin(
        f"command_interface:={interface.value}",
        *([checked] if "asked" in request.fixturenames else []),
    )
    made = Bench(interface)
    yield made
    for node in (made.guard, made.robot.node):
        node.destroy_node()
    rclpy.shutdown()


@pytest.mark.parametrize(
    "bench", [i for i in CommandInterface if i is not CommandInterface.TWIST], indirect=True
)
def test_targets_in_any_order_reach_the_joints_that_they_name_by_each_interface(bench):
    assert bench.guard.trigger_configure() == bench.guard.trigger_activate() == DONE
    bench.until(lambda: bench.robot.mode == ("HOLD", "STARTUP"), "the mode")
    assert not bench.robot.sent, "something was sent before anybody had given leave"
    bench.until(lambda: bench.call("hand_back").success, "leave to drive")
    reached = lambda: np.allclose(bench.robot.position, TARGET, atol=0.01)  # noqa: E731
    bench.until(reached, "the target")
    assert bench.guard.trigger_deactivate() == DONE
    bench.until(lambda: not bench.robot.velocity.any(), "rest")


def test_a_guard_that_ends_while_the_joints_move_brings_them_to_rest(bench):
    assert bench.guard.trigger_configure() == bench.guard.trigger_activate() == DONE
    bench.until(lambda: bench.call("hand_back").success, "leave to drive")
    bench.until(lambda: bench.guard._told.moving, "motion")
    assert bench.guard.trigger_deactivate() == DONE
    assert not bench.guard._told.moving


@pytest.fixture
def asked():
    """For a test whose guard asks the controller which joints it takes."""


def test_a_controller_that_cannot_be_asked_is_not_driven(asked, bench):
    assert bench.guard.trigger_configure() == bench.guard.trigger_activate() == DONE
    bench.until(lambda: bench.robot.mode == ("HOLD", "STARTUP"), "the mode")
    bench.until(lambda: "has not yet said which" in bench.call("hand_back").message, "the refusal")
    other = rclpy.create_node("joint_trajectory_controller")
    other.declare_parameter("joints", list(JOINTS))
    bench.executor.add_node(other)
    bench.until(lambda: bench.call("hand_back").success, "leave to drive")
    other.destroy_node()


@pytest.mark.parametrize(
    ("controller", "joints", "sentence"),
    [
        ("joint_trajectory_controller", JOINTS[:4], "takes the joints shoulder_pan"),
        ("joint_trajectory_controller", (), "does not say which joints"),
    ],
)
def test_a_controller_of_other_joints_is_not_driven(asked, bench, controller, joints, sentence):
    other = rclpy.create_node(controller)
    if joints:
        other.declare_parameter("joints", list(joints))
    bench.executor.add_node(other)
    assert bench.guard.trigger_configure() == bench.guard.trigger_activate() == DONE
    bench.until(lambda: sentence in bench.call("hand_back").message, "the refusal")
    other.destroy_node()


FORWARD = CommandInterface.FORWARD_POSITION


@pytest.mark.parametrize(
    ("interface", "joints", "quantity", "right"),
    [
        (FORWARD, ("a", "b"), "position", True),
        (FORWARD, ("a", "b"), "", True),
        (FORWARD, ("b", "a"), "position", False),
        (FORWARD, ("a", "b"), "velocity", False),
        (FORWARD, ("a",), "", False),
        (CommandInterface.JOINT_TRAJECTORY, ("b", "a"), "", True),
        (CommandInterface.JOINT_TRAJECTORY, ("b", "c"), "", False),
    ],
)
def test_values_without_names_must_be_in_the_order_of_the_controller(
    interface, joints, quantity, right
):
    assert (misordering("it", interface, joints, quantity, ("a", "b")) == "") is right


def configure():
    node = GuardNode()
    assert node.trigger_configure() != DONE
    raise node.failure


BAD = [
    (["joints.names:=['']"], GuardConfigError, "joints.names must name the joints"),
    (["joints.names:=[elbow]"], GuardConfigError, "lacks .*, which move tcp as well"),
    (["command_interface:=twist"], GuardConfigError, "command_interface is twist"),
    (["command_interface:=torque"], SettingError, "must be one of: twist, joint_trajectory"),
    (["body.urdf:=nowhere.urdf"], BodyError, "is no file"),
    (["joints.jerk:=[1.0]"], GuardConfigError, "joints.jerk must have 5 numbers"),
    (["joints.upper:=[9.0, 9.0, 9.0, 9.0, 9.0]"], GuardConfigError, "may only tighten"),
    (["joints.without_description:=true"], GuardConfigError, "joints.lower is missing"),
]


@pytest.mark.parametrize(("given", "kind", "sentence"), BAD, ids=[bad[0][0] for bad in BAD])
def test_a_robot_file_that_makes_no_sense_is_refused_in_one_sentence(given, kind, sentence):
    begin(*given)
    try:
        with pytest.raises(kind, match=sentence):
            configure()
    finally:
        rclpy.shutdown()


def test_the_description_may_come_from_its_topic():
    begin("body.urdf:=''")
    publisher = rclpy.create_node("robot_state_publisher")
    latched = publisher.create_publisher(String, names.DESCRIPTION, qos.LATCHED)
    urdf = share_file("sim", "robots", "nano_arm.urdf").read_text(encoding="utf-8")
    latched.publish(String(data=urdf))
    node = GuardNode()
    assert node.trigger_configure() == DONE
    for each in (node, publisher):
        each.destroy_node()
    rclpy.shutdown()


def test_a_description_that_nobody_gives_is_missed_in_a_sentence(monkeypatch):
    monkeypatch.setattr("magma_ros.nodes.joint_robot.PATIENCE", 0.1)
    begin("body.urdf:=''")
    node = GuardNode()
    assert node.trigger_configure() != DONE
    assert "nobody publishes /robot_description" in str(node.failure)
    node.destroy_node()
    rclpy.shutdown()


def test_a_description_whose_reading_fails_leaves_no_node_behind(monkeypatch):
    begin("body.urdf:=''")
    made, make = [], rclpy.create_node

    def break_down(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(rclpy, "create_node", lambda *a, **k: made.append(make(*a, **k)) or made[0])
    monkeypatch.setattr(SingleThreadedExecutor, "spin_once", break_down)
    node = GuardNode()
    assert node.trigger_configure() != DONE
    (reader,) = made
    assert not list(reader.subscriptions)
    node.destroy_node()
    rclpy.shutdown()
