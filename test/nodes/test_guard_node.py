# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard node: its life, its latches, what it hears over DDS and what it falls silent about."""

import math
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TransformStamped, TwistStamped
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState, PointCloud2, Range
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clearance_input import VECTOR
from magma_ros.nodes.clouds import cloud_message
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.share import share_file
from magma_ros.types import Mode, Source, StopReason

DONE = TransitionCallbackReturn.SUCCESS
ROBOT = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim.yaml"))]
PATIENT = {"policy_timeout": 3.0, "health_timeout": 3.0, "plan_timeout": 5.0, "state_timeout": 3.0}
PATIENT |= {"max_command_age": 1.0, "command_hold": 2.0}
"""The machine that runs the tests may pause; how soon silence is noticed is tested elsewhere."""
FORWARD = np.array([0.1, 0, 0, 0, 0, 0])


class Robot:
    """An arm in the middle of its box, a policy that is well, and an ear for the guard."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("policy")
        publisher, hear = self.node.create_publisher, self.node.create_subscription
        self.pose = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self.joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.twist = publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
        self.gripper = publisher(JointState, names.POLICY_GRIPPER, qos.STATE)
        self.health = publisher(DiagnosticStatus, names.POLICY_HEALTH, qos.STATE)
        self.position = np.array([0.45, 0.0, 0.2])
        self.twists: list[tuple[float, np.ndarray]] = []
        self.grips: list[float] = []
        self.modes: list[dict[str, str]] = []
        hear(TwistStamped, names.ROBOT_TWIST, self._on_twist, qos.EVENTS)
        hear(JointState, names.ROBOT_GRIPPER, lambda m: self.grips.append(m.position[0]), qos.STATE)
        hear(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD).twist
        self.twists.append((time.monotonic(), twist))

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self.modes.append(convert.status_values(message) | {"sentence": message.message})

    @property
    def mode(self) -> tuple[str, str]:
        return (self.modes[-1]["mode"], self.modes[-1]["reason"]) if self.modes else ("", "")

    def moves(self) -> bool:
        return bool(self.twists) and bool(self.twists[-1][1].any())

    def publish(self) -> None:
        now = time.monotonic()
        if self.twists and now - self.twists[-1][0] < 0.1:
            self.position = self.position + 0.02 * self.twists[-1][1][:3]
        stamp = self.node.get_clock().now().to_msg()
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base_link"
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = self.position
        pose.pose.orientation.w = 1.0
        self.pose.publish(pose)
        joints = JointState(name=["left_finger"], position=[0.02])
        joints.header.stamp = stamp
        self.joints.publish(joints)
        self.twist.publish(convert.twist_to_message(FORWARD, "base_link", stamp))
        values = {"plan_age_s": 0.1, "fault": "", "waiting_for": ""}
        self.health.publish(convert.status_message(DiagnosticStatus.OK, "policy", "", values))


class Bench:
    """A guard node and a robot on one executor."""

    def __init__(self) -> None:
        self.guard, self.robot = GuardNode(), Robot()
        self.executor = SingleThreadedExecutor()
        for node in (self.guard, self.robot.node):
            self.executor.add_node(node)

    def up(self) -> None:
        assert self.guard.trigger_configure() == self.guard.trigger_activate() == DONE

    def until(self, condition, what: str) -> None:
        deadline = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            self.spin(0.02)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.robot.publish()
            due = time.monotonic() + 0.02
            while (left := due - time.monotonic()) > 0.0:
                self.executor.spin_once(timeout_sec=left)

    def call(self, service: str) -> Trigger.Response:
        client = self.robot.node.create_client(Trigger, f"guard/{service}")
        future = client.call_async(Trigger.Request())
        self.until(future.done, f"an answer from {service}")
        self.robot.node.destroy_client(client)
        return future.result()

    def drive(self) -> None:
        self.until(lambda: self.call("hand_back").success, "leave to drive")
        self.until(self.robot.moves, "motion")


@pytest.fixture
def bench(request):
    words = [word for name, value in PATIENT.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=[*ROBOT, *words, *getattr(request, "param", [])])
    made = Bench()
    yield made
    for node in (made.guard, made.robot.node):
        node.destroy_node()
    rclpy.shutdown()


def test_deactivated_guard_refuses_requests_and_comes_back_at_rest_in_hold(bench):
    bench.up()
    bench.drive()
    assert bench.guard.trigger_deactivate() == DONE
    for service in ("take_over", "hand_back", "hold", "stop", "reset"):
        answer = bench.call(service)
        assert not answer.success
        assert "not active" in answer.message
    heard = len(bench.robot.twists)
    bench.spin(0.3)
    assert all(not twist.any() for _, twist in bench.robot.twists[heard:])
    assert bench.guard.trigger_activate() == DONE
    bench.spin(0.5)
    assert bench.robot.mode == ("HOLD", "STARTUP")
    assert all(not twist.any() for _, twist in bench.robot.twists[heard:])


def test_latched_stop_outlives_cleanup_and_configure(bench):
    bench.up()
    bench.drive()
    assert bench.call("stop").success
    bench.until(lambda: bench.robot.mode == ("STOPPED", "OPERATOR_STOP"), "the stop")
    assert bench.guard.trigger_deactivate() == bench.guard.trigger_cleanup() == DONE
    bench.robot.modes.clear()
    bench.up()
    bench.until(lambda: bench.robot.modes, "the mode")
    assert bench.robot.mode == ("STOPPED", "OPERATOR_STOP")
    refused = bench.call("hand_back")
    assert not refused.success
    assert "reset" in refused.message


@pytest.mark.parametrize(
    ("kind", "topic"),
    [(TwistStamped, names.POLICY_TWIST), (TwistStamped, names.ROBOT_TWIST)],
    ids=["input", "output"],
)
def test_second_publisher_is_refused_by_name_and_may_leave_again(bench, kind, topic):
    bench.up()
    bench.drive()
    other = rclpy.create_node("intruder", namespace="/elsewhere")
    other.create_publisher(kind, f"/{topic}", qos.STATE)
    bench.until(lambda: bench.robot.mode == ("HOLD", "FOREIGN_SOURCE"), "the hold")
    assert "/elsewhere/intruder" in bench.robot.modes[-1]["sentence"]
    refused = bench.call("hand_back")
    assert not refused.success
    assert "/elsewhere/intruder" in refused.message
    other.destroy_node()
    bench.drive()


@pytest.mark.parametrize("bench", [["-p", "servo_check:=true"]], indirect=True)
def test_servo_that_takes_speeds_for_a_joystick_is_not_driven(bench):
    bench.up()
    bench.drive()  # where no Servo is, nothing can misread
    servo = rclpy.create_node("servo_node")
    servo.declare_parameter("moveit_servo.command_in_type", "unitless")
    servo.declare_parameter("moveit_servo.incoming_command_timeout", 0.1)
    bench.executor.add_node(servo)
    bench.until(lambda: bench.robot.mode == ("HOLD", "CONTROLLER_SETTINGS"), "the hold")
    bench.until(lambda: "speed_units" in bench.call("hand_back").message, "the refusal")
    bench.until(lambda: "speed_units" in bench.call("take_over").message, "the refusal")
    servo.destroy_node()
    bench.drive()


def test_second_guard_finds_the_first_and_does_not_drive(bench):
    bench.up()
    second = rclpy.create_node("guard", namespace="/second")
    second.create_publisher(TwistStamped, f"/{names.ROBOT_TWIST}", qos.STATE)
    bench.spin(0.3)
    refused = bench.call("hand_back")
    assert not refused.success
    assert "/second/guard" in refused.message
    second.destroy_node()


def test_instruction_outlives_whoever_gave_it(bench):
    """A policy that is started again must be told what to do."""
    bench.up()
    giver = rclpy.create_node("giver")
    said = giver.create_publisher(String, names.INSTRUCTION, qos.VOLATILE)
    bench.until(lambda: said.get_subscription_count() > 0, "the guard to listen")
    said.publish(String(data="push the red cube"))
    bench.spin(0.2)
    giver.destroy_node()
    heard = []
    late = rclpy.create_node("late")
    late.create_subscription(
        String, names.GUARD_INSTRUCTION, lambda m: heard.append(m.data), qos.LATCHED
    )
    bench.executor.add_node(late)
    bench.until(lambda: heard, "the instruction")
    assert heard == ["push the red cube"]
    late.destroy_node()


def test_latched_emergency_stop_is_heard_by_a_guard_that_starts_later(bench):
    button = bench.robot.node.create_publisher(Bool, names.E_STOP, qos.LATCHED)
    button.publish(Bool(data=True))
    bench.up()
    bench.until(lambda: bench.robot.mode == ("STOPPED", "E_STOP"), "the stop")
    refused = bench.call("reset")
    assert not refused.success
    assert "pressed" in refused.message
    button.publish(Bool(data=False))
    bench.until(lambda: bench.call("reset").success, "the reset")


def test_only_who_pressed_the_emergency_stop_releases_it(bench):
    """Messages do not tell who sent them, so while two nodes publish, a press stays."""
    button = bench.robot.node.create_publisher(Bool, names.E_STOP, qos.LATCHED)
    bench.up()
    button.publish(Bool(data=True))
    bench.until(lambda: bench.robot.mode == ("STOPPED", "E_STOP"), "the stop")
    other = rclpy.create_node("other_button")
    second = other.create_publisher(Bool, names.E_STOP, qos.LATCHED)
    bench.until(lambda: len(bench.guard.get_publishers_info_by_topic("e_stop")) == 2, "two")
    second.publish(Bool(data=False))
    bench.spin(0.3)
    assert "pressed" in bench.call("reset").message
    other.destroy_node()
    bench.until(lambda: len(bench.guard.get_publishers_info_by_topic("e_stop")) == 1, "one")
    assert not bench.call("reset").success
    button.publish(Bool(data=False))
    bench.until(lambda: bench.call("reset").success, "the reset")


def test_nobody_drives_while_two_nodes_publish_the_emergency_stop(bench):
    bench.up()
    bench.drive()
    buttons = [rclpy.create_node(f"button_{side}") for side in ("left", "right")]
    for node in buttons:
        node.create_publisher(Bool, names.E_STOP, qos.LATCHED)
    bench.until(lambda: bench.robot.mode == ("HOLD", "FOREIGN_SOURCE"), "a hold")
    assert "/button_left and /button_right" in bench.robot.modes[-1]["sentence"]
    assert "/button_left" in bench.call("take_over").message
    for node in buttons:
        node.destroy_node()


def vectors_message(node, points, frame="base_link"):
    header = Header(stamp=node.get_clock().now().to_msg(), frame_id=frame)
    return cloud_message(np.reshape(points, (-1, 3)), VECTOR, header)


@pytest.mark.parametrize("bench", [["-p", "proximity.source:=vectors"]], indirect=True)
def test_vectors_to_obstacles_slow_the_arm_and_their_silence_holds_it(bench):
    node = bench.robot.node
    eyes = node.create_publisher(PointCloud2, names.CLEARANCE_VECTORS, qos.IMAGES)
    publish = lambda points, **way: eyes.publish(vectors_message(node, points, **way))  # noqa: E731
    timer = node.create_timer(0.05, lambda: publish(bench.ahead, **bench.way))
    bench.ahead, bench.way = [], {}
    bench.up()
    bench.drive()
    bench.ahead = [[0.01, 0.0, 0.0]]
    bench.until(lambda: not bench.robot.moves(), "a stop before the obstacle")
    assert bench.robot.mode[0] == "AUTO"
    bench.ahead = [[-0.01, 0.0, 0.0]]
    bench.until(bench.robot.moves, "motion away from the obstacle")
    bench.way = {"frame": "camera"}
    bench.until(lambda: bench.robot.mode == ("HOLD", "CLEARANCE_SILENT"), "a hold")
    bench.way = {}
    bench.drive()
    timer.cancel()
    bench.until(lambda: bench.robot.mode == ("HOLD", "CLEARANCE_SILENT"), "a hold")


@pytest.mark.parametrize("bench", [["-p", "proximity.source:=vectors"]], indirect=True)
def test_a_second_publisher_of_vectors_is_named_and_stops_the_policy_only(bench):
    nodes = [rclpy.create_node(f"eyes_{side}") for side in ("left", "right")]
    eyes = [n.create_publisher(PointCloud2, names.CLEARANCE_VECTORS, qos.IMAGES) for n in nodes]
    nodes[0].create_timer(0.05, lambda: eyes[0].publish(vectors_message(nodes[0], [])))
    bench.executor.add_node(nodes[0])
    bench.up()
    bench.until(lambda: "/eyes_left and /eyes_right" in bench.call("hand_back").message, "a name")
    assert bench.call("take_over").success
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize("bench", [["-p", "proximity.direction_frame:=sensor"]], indirect=True)
def test_a_range_sensor_s_frame_tells_where_it_looks(bench):
    node = bench.robot.node
    sensor = node.create_publisher(Range, names.CLEARANCE, qos.STATE)
    tf = node.create_publisher(TFMessage, names.TF_STATIC, qos.LATCHED)
    pose = TransformStamped(child_frame_id="eye")
    pose.header.frame_id = "base_link"
    pose.transform.rotation.z, pose.transform.rotation.w = 1.0, 0.0  # it looks back
    tf.publish(TFMessage(transforms=[pose]))

    def measure():
        message = Range(range=0.01, min_range=0.0, max_range=2.0)
        message.header.stamp, message.header.frame_id = node.get_clock().now().to_msg(), "eye"
        sensor.publish(message)

    node.create_timer(0.05, measure)
    bench.up()
    bench.drive()
    bench.spin(0.5)
    assert bench.robot.moves()
    pose.transform.rotation.z, pose.transform.rotation.w = 0.0, 1.0
    tf.publish(TFMessage(transforms=[pose]))
    bench.until(lambda: not bench.robot.moves(), "a stop before what is ahead")


def test_guard_at_rest_sends_nothing_to_a_controller_that_others_use(bench):
    bench.up()
    bench.until(lambda: bench.robot.twists, "zeros")
    bench.spin(1.5)
    heard = len(bench.robot.twists), len(bench.robot.grips)
    bench.spin(0.7)
    assert (len(bench.robot.twists), len(bench.robot.grips)) == heard
    assert bench.guard.trigger_deactivate() == DONE
    bench.spin(0.2)
    assert len(bench.robot.twists) == heard[0]


def test_guard_that_fails_inside_stops_the_arm_and_lives(bench, monkeypatch):
    bench.up()
    bench.drive()

    def broken(*_, **__):
        raise ZeroDivisionError("of all things")

    with monkeypatch.context() as patch:
        patch.setattr(bench.guard._core._grippers, "update", broken)
        bench.until(lambda: bench.robot.mode == ("STOPPED", "GUARD_FAULT"), "the stop")
        bench.spin(0.2)
        heard = len(bench.robot.twists)
        bench.spin(0.2)
    bench.spin(0.2)
    assert len(bench.robot.twists) > heard, "zeros go on"
    assert not any(twist.any() for _, twist in bench.robot.twists[heard:])
    assert "of all things" in bench.robot.modes[-1]["sentence"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["gripper.open_position:=0.0"], "give the joint's two ends"),
        (["limits.linear_braking:=0.5"], "must not be below"),
        (["workspace.lower:=[1.0, 0.0, 0.0]"], "must lie below its upper"),
        (["workspace.lower:=[1.0]"], "three finite numbers"),
        (["point.offset:=[0.1]"], "three finite numbers"),
        (["proximity.slow_distance:=0.01"], "slow_distance"),
        (["tilt.angle:=0.5", "tilt.axis:=[0, 0, 0]"], "must have a length"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_in_one_sentence(rules, says, capfd):
    rclpy.init(args=[*ROBOT, *[word for rule in rules for word in ("-p", rule)]])
    guard = GuardNode()
    assert guard.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert says in said
    assert "Traceback" not in said
    guard.destroy_node()
    rclpy.shutdown()


numbers = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=20)


@st.composite
def messages(draw):
    """A message of a kind that the guard hears, full of what nobody should send."""
    number = lambda: draw(numbers)  # noqa: E731
    twist, pose = TwistStamped(), PoseStamped()
    for vector in (twist.twist.linear, twist.twist.angular, pose.pose.position):
        vector.x, vector.y, vector.z = number(), number(), number()
    turn = pose.pose.orientation
    turn.x, turn.y, turn.z, turn.w = (number() for _ in range(4))
    joints = JointState(
        name=draw(st.lists(st.sampled_from(["left_finger", "x"]), max_size=3)),
        position=draw(st.lists(numbers, max_size=3)),
    )
    pairs = draw(st.dictionaries(st.sampled_from(["plan_age_s", "fault", "mode"]), texts))
    health = convert.status_message(DiagnosticStatus.ERROR, draw(texts), draw(texts), pairs)
    narrow = st.floats(width=32)
    span = Range(range=draw(narrow), min_range=draw(narrow), max_range=draw(narrow))
    for message in (twist, pose, joints, span):
        message.header.frame_id = draw(st.sampled_from(["base_link", "", "nowhere"]))
        message.header.stamp.sec = draw(st.integers(-(2**31), 2**31 - 1))
        message.header.stamp.nanosec = draw(st.integers(0, 2**32 - 1))
    spoken = String(data=draw(texts)), Bool(data=draw(st.booleans()))
    return [twist, pose, joints, health, span, *spoken]


@pytest.mark.hypothesis
def test_no_message_ends_the_guard_or_moves_the_arm(bench):
    bench.up()
    callbacks = [(s.msg_type, s.callback) for s in bench.guard.subscriptions]

    @examples(150)
    @given(messages())
    def flood(drawn):
        for message in drawn:
            for kind, callback in callbacks:
                if isinstance(message, kind):
                    callback(message)
        output = bench.guard._core.update(time.monotonic())
        assert output.mode in (Mode.HOLD, Mode.STOPPED)
        assert not output.twist.any()
        assert output.gripper is None or math.isfinite(output.gripper)

    flood()
    assert len(callbacks) >= 10
    if bench.guard._core.update(time.monotonic()).reason is StopReason.E_STOP:
        bench.guard._core.report_e_stop(time.monotonic(), pressed=False)
        bench.guard._core.reset(time.monotonic())
    bench.spin(0.2)
    bench.drive()
