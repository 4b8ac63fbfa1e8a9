# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node outlives what fails in it, says so at a steady rate, and follows the guard."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.share import share_file
from magma_ros.types import Mode

DONE = TransitionCallbackReturn.SUCCESS
SIZES = {"front": (48, 64), "wrist": (8, 8)}


class Rig:
    """A policy node, and another that plays cameras, robot and guard for it."""

    def __init__(self, bundle, **settings) -> None:
        chosen = {
            "bundle": bundle,
            "threads": 1,
            "self_test": 0.0,
            "gate": "fixed",
            "depth": 2,
            "max_age": 5.0,
            "deadline": 5.0,
            "gripper.joint": "finger_joint",
            "gripper.open_position": 0.04,
        } | settings
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
        self._mode = publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        self._sent = publisher(TwistStamped, names.ROBOT_TWIST, qos.STATE)
        self.clock = publisher(Clock, "/clock", qos.IMAGES)
        self.health: list[dict[str, str]] = []
        self.plans: list[dict[str, str]] = []
        self.twists: list[TwistStamped] = []
        hear(DiagnosticStatus, names.POLICY_HEALTH, self._on_health, qos.EVENTS)
        hear(DiagnosticStatus, names.POLICY_STATUS, self._on_plan, qos.EVENTS)
        hear(TwistStamped, names.POLICY_TWIST, self.twists.append, qos.EVENTS)
        self.policy = PolicyNode()
        assert self.policy.trigger_configure() == self.policy.trigger_activate() == DONE
        self.executor = SingleThreadedExecutor()
        for node in (self.world, self.policy):
            self.executor.add_node(node)

    def _on_health(self, message: DiagnosticStatus) -> None:
        values = convert.status_values(message)
        self.health.append(values | {"sentence": message.message, "level": message.level})

    def _on_plan(self, message: DiagnosticStatus) -> None:
        self.plans.append(convert.status_values(message))

    def close(self) -> None:
        for node in (self.policy, self.world):
            node.destroy_node()
        rclpy.shutdown()

    def see(self, stamp=None) -> None:
        """One picture of each camera, a pose and a gripper."""
        stamp = self.world.get_clock().now().to_msg() if stamp is None else stamp
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base_link"
        pose.pose.orientation.w = 1.0
        self._pose.publish(pose)
        joints = JointState(name=["finger_joint"], position=[0.02])
        joints.header.stamp = stamp
        self._joints.publish(joints)
        for name, publisher in self._cameras.items():
            pixels = np.full((*SIZES[name], 3), 50 + len(self.plans) % 200, np.uint8)
            publisher.publish(convert.image_to_message(pixels, f"{name}_optical", stamp))

    def tell(self, mode: str) -> None:
        values = {"mode": mode} if mode else {}
        self._mode.publish(convert.status_message(DiagnosticStatus.OK, "guard", mode, values))

    def send(self, twist, frame="base_link") -> None:
        stamp = self.world.get_clock().now().to_msg()
        self._sent.publish(convert.twist_to_message(np.array(twist), frame, stamp))

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def until(self, condition, *, seeing=True) -> None:
        end = time.monotonic() + 60.0
        self._instruction.publish(String(data="push the cube"))
        while not condition():
            assert time.monotonic() < end, f"waited in vain; health: {self.health[-1:]}"
            if seeing:
                self.see()
            self.spin(0.1)

    def until_fault(self, words: str) -> None:
        self.until(lambda: self.health and words in self.health[-1]["fault"])


@pytest.fixture
def rig(bundle):
    made = []

    def make(**settings):
        made.append(Rig(bundle, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_whatever_thinking_raises_is_a_fault_until_a_plan_succeeds_again(rig, monkeypatch):
    rig = rig(tolerated_faults=2)
    rig.until(lambda: rig.plans)

    def fail(observation):
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION")

    monkeypatch.setattr(rig.policy._mind._policy, "start", fail)
    rig.until_fault("observations in a row: Thinking failed with RuntimeError")
    assert rig.health[-1]["level"] == DiagnosticStatus.ERROR
    assert [plan["reason"] for plan in rig.plans[-3:]] == ["FAULT"] * 3
    monkeypatch.undo()
    rig.until(lambda: rig.health[-1]["fault"] == "")
    assert rig.plans[-1]["reason"] == "CONFIDENT"


def test_a_stage_that_hangs_is_told_and_does_not_keep_the_node_from_stopping(rig, monkeypatch):
    rig = rig(deadline=0.05, hang_timeout=0.1)
    rig.until(lambda: rig.plans)
    hangs, think = threading.Event(), rig.policy._mind._policy.start

    def hang(observation):
        assert hangs.wait(60.0)
        return think(observation)

    monkeypatch.setattr(rig.policy._mind._policy, "start", hang)
    rig.until_fault("has been thinking about one observation for")
    told = len(rig.health)
    rig.until(lambda: len(rig.health) >= told + 5, seeing=False)
    assert rig.policy.trigger_deactivate() == DONE
    assert rig.policy.trigger_activate() == TransitionCallbackReturn.FAILURE
    hangs.set()
    rig.policy._thinker._thread.join(30.0)
    assert rig.policy.trigger_activate() == DONE
    planned = len(rig.plans)
    rig.until(lambda: len(rig.plans) > planned)


def test_health_is_told_at_a_steady_rate_whatever_else_is_silent(rig):
    rig = rig()
    rig.spin(2.0)
    assert len(rig.health) >= 20
    assert rig.health[-1]["plan_age_s"] == "inf"
    assert rig.health[-1]["waiting_for"]
    assert rig.health[-1]["sentence"] == rig.health[-1]["waiting_for"]


def test_when_the_cameras_fall_silent_the_plan_grows_old_and_the_twists_stay_zero(rig):
    rig = rig(max_age=0.3)
    rig.tell("AUTO")
    rig.until(lambda: len(rig.plans) >= 3)
    rig.until(lambda: float(rig.health[-1]["plan_age_s"]) > 2.0, seeing=False)
    assert rig.health[-1]["waiting_for"]
    assert "camera 'front' has been silent" in rig.health[-1]["lacking"]
    linear = rig.twists[-1].twist.linear
    assert (linear.x, linear.y, linear.z) == (0.0, 0.0, 0.0)


def test_the_age_of_a_plan_counts_from_its_observation(rig):
    rig = rig()
    rig.until(lambda: rig.plans)
    rig.spin(0.5)
    age = rig.policy._now() - 1e-9 * int(rig.plans[-1]["observation_ns"])
    assert float(rig.health[-1]["plan_age_s"]) == pytest.approx(age, abs=0.2)


def test_the_gate_is_told_of_the_plans_that_drive_and_of_no_others(rig, monkeypatch):
    rig = rig()
    told = []
    monkeypatch.setattr(rig.policy._mind._gate, "acted", told.append)
    rig.until(lambda: len(rig.plans) >= 3)
    assert told
    assert set(told) == {None}, "the guard has not said that the policy drives"
    rig.tell("AUTO")
    rig.until(lambda: told[-1] is not None)
    rig.until(lambda: rig.plans[-1]["command_ns"] != "0")
    rig.tell("TELEOP")
    rig.until(lambda: told[-1] is None)
    rig.until(lambda: rig.plans[-1]["command_ns"] == "0")


def test_doubt_survives_neither_a_change_of_mode_nor_deactivation(rig):
    rig = rig()
    for end in (lambda: rig.tell("AUTO"), lambda: rig.tell("HOLD")):
        rig.policy._doubt._total = 9.0
        end()
        rig.until(lambda: rig.policy._doubt._total == 0.0, seeing=False)
    rig.policy._doubt._total = 9.0
    assert rig.policy.trigger_deactivate() == rig.policy.trigger_activate() == DONE
    assert rig.policy._doubt._total == 0.0


def test_a_mode_that_is_none_changes_nothing(rig):
    rig = rig()
    rig.tell("AUTO")
    rig.until(lambda: rig.policy._mode is Mode.AUTO, seeing=False)
    for nonsense in ("", "FAST"):
        rig.tell(nonsense)
        rig.spin(0.2)
    assert rig.policy._mode is Mode.AUTO


def test_the_stream_hears_what_was_sent_while_the_policy_drives_and_in_its_frame(rig, monkeypatch):
    rig = rig()
    heard = []
    monkeypatch.setattr(
        rig.policy._lead._stream, "note_sent", lambda twist, now: heard.append(float(twist[0]))
    )

    def send():
        rig.send([0.5] * 6, frame="tool0")
        rig.send([0.25] * 6)
        return bool(heard)

    send()
    rig.spin(0.5)
    assert not heard
    rig.tell("AUTO")
    rig.until(send, seeing=False)
    rig.spin(0.2)
    assert set(heard) == {0.25}


@pytest.mark.parametrize("rate", [20.0])
def test_beside_a_clock_that_comes_rarely_commands_go_on_evenly(rig, rate):
    """Commands come by the steady clock; their stamps never run back."""
    rig = rig(use_sim_time="true")
    rig.tell("AUTO")
    began, arrivals = time.monotonic(), []
    rig._instruction.publish(String(data="push the cube"))
    rig.world.create_subscription(
        TwistStamped, names.POLICY_TWIST, lambda _: arrivals.append(time.monotonic()), qos.EVENTS
    )
    tick = 0
    while (elapsed := time.monotonic() - began) < 3.0:
        if elapsed * rate >= tick:
            tick += 1
            stamp = convert.to_stamp(100.0 + tick / rate)
            rig.clock.publish(Clock(clock=stamp))
            if tick % 2 == 0:
                rig.see(stamp)
        rig.spin(0.005)
    assert len(rig.plans) >= 5
    gaps = np.array([later - earlier for earlier, later in pairwise(arrivals)])
    # At 50 Hz by the steady clock; with the messages they would come at 20 Hz.
    assert np.median(gaps) < 0.04
    stamps = [convert.seconds(each.header.stamp) for each in rig.twists]
    assert stamps == sorted(stamps)
    moving = [each.twist.linear.x for each in rig.twists if each.twist.linear.x != 0.0]
    assert len({round(value, 6) for value in moving}) > 0.5 * len(moving), "not in steps of a tick"
