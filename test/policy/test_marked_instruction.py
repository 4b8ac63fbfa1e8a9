# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An instruction that names a mark is carried out at its place, or not at all, over DDS."""

import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from magma_ros.agent.pointing import MarkedPoint
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.mark_messages import point_to_message
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.share import share_file

DONE = TransitionCallbackReturn.SUCCESS
SIZES = {"front": (48, 64), "wrist": (8, 8)}


class Rig:
    """Policy and guard, and a node that plays cameras, robot and operator for them."""

    def __init__(self, bundle) -> None:
        slow = ("max_age", "deadline", "policy_timeout", "health_timeout", "state_timeout")
        patient = dict.fromkeys(slow, 5.0) | {"max_command_age": 1.0, "sync_slop": 0.5}
        gripper = {"gripper.joint": "finger_joint", "gripper.open_position": 0.04}
        chosen = patient | gripper | {"bundle": bundle, "threads": 1, "self_test": 0.0}
        chosen |= {"gate": "fixed", "depth": 2, "mismatch.tolerance": 1.0}  # this arm stays put
        words = [word for name, value in chosen.items() for word in ("-p", f"{name}:={value}")]
        robot_file = share_file("config", "robots", "sim.yaml")
        rclpy.init(args=["--ros-args", "--params-file", str(robot_file), *words])
        self.world = rclpy.create_node("world", use_global_arguments=False)
        publisher, hear = self.world.create_publisher, self.world.create_subscription
        self._cameras = {
            name: publisher(Image, names.camera_topic(name), qos.IMAGES) for name in SIZES
        }
        self._pose = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self._joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self._instruction = publisher(String, names.INSTRUCTION, qos.LATCHED)
        self._point = publisher(PointStamped, names.INSTRUCTION_POINT, qos.LATCHED)
        self.waiting_for = "?"
        self.twist, self.mode = np.zeros(6), {"mode": "HOLD"}
        hear(DiagnosticStatus, names.POLICY_HEALTH, self._on_health, qos.EVENTS)
        hear(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        hear(TwistStamped, names.POLICY_TWIST, self._on_twist, qos.EVENTS)
        self.policy, self.guard = PolicyNode(), GuardNode()
        self.executor = SingleThreadedExecutor()
        for node in (self.policy, self.guard):
            assert node.trigger_configure() == node.trigger_activate() == DONE
        for node in (self.world, self.policy, self.guard):
            self.executor.add_node(node)

    def close(self) -> None:
        for node in (self.policy, self.guard, self.world):
            node.destroy_node()
        rclpy.shutdown()

    def _on_health(self, message: DiagnosticStatus) -> None:
        self.waiting_for = convert.status_values(message)["waiting_for"]

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self.mode = convert.status_values(message)

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        self.twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])

    def now(self) -> float:
        return convert.seconds(self.world.get_clock().now().to_msg())

    def tell(self, words: str) -> None:
        self._instruction.publish(String(data=words))

    def point(self, number: int, column: float, row: float = 100.0) -> None:
        point = MarkedPoint(self.now(), "front_optical", number, column, row)
        self._point.publish(point_to_message(point))

    def see(self) -> None:
        stamp = self.world.get_clock().now().to_msg()
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base_link"
        pose.pose.position.x, pose.pose.position.z = 0.45, 0.2
        self._pose.publish(pose)
        self._joints.publish(JointState(header=pose.header, name=["finger_joint"], position=[0.02]))
        for name, publisher in self._cameras.items():
            pixels = np.full((*SIZES[name], 3), 90, np.uint8)
            publisher.publish(convert.image_to_message(pixels, f"{name}_optical", stamp))

    def until(self, condition) -> None:
        end = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < end, (self.waiting_for, self.mode)
            self.see()
            again = time.monotonic() + 0.05
            while time.monotonic() < again:
                self.executor.spin_once(timeout_sec=0.01)

    def until_waiting(self, words: str) -> None:
        self.until(lambda: words in self.waiting_for)

    def hand_back(self):
        return self.guard._core.hand_back(time.monotonic())

    def drive(self) -> None:
        self.until(lambda: self.hand_back().accepted)
        self.until(lambda: self.mode["mode"] == "AUTO" and self.twist.any())


@pytest.fixture
def rig(request, pointing_bundle, pristine_bundle):
    takes_points = getattr(request, "param", True)
    made = Rig(pointing_bundle if takes_points else pristine_bundle)
    yield made
    made.close()


def test_a_named_mark_is_planned_on_once_its_place_has_come(rig):
    rig.tell("push the one marked 3")
    rig.until_waiting("waiting for the place of mark 3")
    refused = rig.hand_back()
    assert not refused.accepted
    assert "waiting for the place of mark 3" in refused.sentence
    rig.point(3, 64.0)
    rig.drive()
    assert rig.policy._mind._planned_for == ("push the one marked 3", (64.0, 100.0))


def test_a_mark_that_is_not_there_is_said_instead_of_planned_on(rig):
    rig.tell("push the one marked 9")
    rig.point(9, float("nan"), float("nan"))
    rig.until_waiting("there is no mark 9 in the picture")
    assert "there is no mark 9" in rig.hand_back().sentence


@pytest.mark.parametrize("rig", [False], indirect=True)
def test_a_bundle_that_takes_no_marks_says_so(rig):
    rig.tell("push the one marked 3")
    rig.point(3, 64.0)
    rig.until_waiting("takes no marks: name the object instead of mark 3")
    assert "takes no marks" in rig.hand_back().sentence
    rig.tell("push the red cube")
    rig.drive()


@pytest.mark.parametrize("thinking", [0.0, 0.2])
def test_nothing_moves_towards_the_old_place_after_a_new_instruction(rig, monkeypatch, thinking):
    """Neither by the plan in force, nor by one that was being made."""
    start = rig.policy._mind._policy.start

    def think(observation):
        time.sleep(thinking)
        return start(observation)

    monkeypatch.setattr(rig.policy._mind._policy, "start", think)
    rig.tell("push the one marked 3")
    rig.point(3, 64.0)
    rig.drive()
    rig.tell("push the one marked 4")
    rig.until_waiting("waiting for the place of mark 4")
    rig.until(lambda: not rig.twist.any())
    moved = []
    rig.until(lambda: moved.append(rig.twist.any()) or rig.mode["mode"] == "HOLD")
    assert not any(moved)
    assert rig.mode["reason"] == "PLAN_SILENT"
    assert "waiting for the place of mark 4" in rig.mode["detail"]


def test_a_new_place_for_the_same_words_is_followed_without_the_old_plan(rig):
    rig.tell("push the one marked 3")
    rig.point(3, 64.0)
    rig.drive()
    rig.point(3, 200.0)
    rig.until(lambda: rig.policy._mind._planned_for[1] == (200.0, 100.0) and rig.twist.any())
    assert rig.mode["mode"] == "AUTO"
