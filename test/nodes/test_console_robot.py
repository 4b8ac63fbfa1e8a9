# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot as a console has it, beside a real guard: what it knows, asks and sends."""

import threading
import time

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from magma_ros.console.robot import Jog, JogFrame, Verb
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.console_robot import RosRobot
from magma_ros.nodes.console_settings import CONSOLE_SETTINGS
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.share import share_file
from magma_ros.types import Mode, Source

DONE = TransitionCallbackReturn.SUCCESS
ROBOT = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim.yaml"))]
PATIENT = {"state_timeout": 3.0, "max_command_age": 1.0, "command_hold": 2.0, "teleop_timeout": 1.0}
"""The machine that runs the tests may pause; how soon silence is noticed is tested elsewhere."""
UP = np.array([0.0, 0.0, 0.05, 0.0, 0.0, 0.0])


class Console(ManagedNode):
    """A console without a page."""

    SETTINGS = CONSOLE_SETTINGS

    def __init__(self, name="console"):
        super().__init__(name)
        self.robot = None

    def setup(self):
        self.robot = RosRobot(self)

    def stop(self):
        self.robot.let_go()

    def teardown(self):
        if self.robot is not None:
            self.robot.close()


class World:
    """An arm, its guard and some consoles, all served by a thread in the background."""

    def __init__(self) -> None:
        self.arm = rclpy.create_node("arm")
        publisher, hear = self.arm.create_publisher, self.arm.create_subscription
        self._pose = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self._joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.position = np.array([0.45, 0.0, 0.2])
        self.tool = Rotation.from_euler("x", np.pi)
        self.twists: list[tuple[float, np.ndarray]] = []
        self.asked: list[tuple[float, np.ndarray]] = []
        self.pressed: list[tuple[float, bool]] = []
        hear(TwistStamped, names.ROBOT_TWIST, lambda m: self._on_twist(self.twists, m), qos.EVENTS)
        hear(TwistStamped, names.TELEOP_TWIST, lambda m: self._on_twist(self.asked, m), qos.EVENTS)
        hear(
            Bool,
            names.TELEOP_ENABLE,
            lambda m: self.pressed.append((time.monotonic(), m.data)),
            qos.EVENTS,
        )
        self.arm.create_timer(0.02, self._tick)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.arm)
        self.nodes = []
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._ended = False

    def _spin(self) -> None:
        while not self._ended:
            self.executor.spin_once(timeout_sec=0.05)

    def _on_twist(self, kept, message):
        kept.append((time.monotonic(), convert.twist_from_message(message, Source.GUARD).twist))

    def _tick(self) -> None:
        if self.twists and time.monotonic() - self.twists[-1][0] < 0.1:
            self.position = self.position + 0.02 * self.twists[-1][1][:3]
        stamp = self.arm.get_clock().now().to_msg()
        pose = convert.Pose(0.0, self.position, self.tool.as_quat())
        self._pose.publish(convert.pose_to_message(pose, "base_link", stamp))
        joints = JointState(name=["left_finger"], position=[0.018])
        joints.header.stamp = stamp
        self._joints.publish(joints)

    def up(self, *nodes):
        """Bring nodes up, then serve all."""
        for node in nodes:
            assert node.trigger_configure() == node.trigger_activate() == DONE
            self.executor.add_node(node)
        self.nodes += nodes
        if not self._thread.is_alive():
            self._thread.start()
        return nodes

    def close(self) -> None:
        self._ended = True
        if self._thread.is_alive():
            self._thread.join()
        for node in self.nodes:
            node.end()
        for node in (*self.nodes, self.arm):
            node.destroy_node()


def until(true, what, repeat=lambda: None, patience=15.0):
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        repeat()
        time.sleep(0.02)


@pytest.fixture
def world():
    words = [word for name, value in PATIENT.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=[*ROBOT, *words])
    made = World()
    yield made
    made.close()
    rclpy.try_shutdown()


@pytest.fixture
def robot(world):
    """A console's robot beside a guard that knows where the arm is."""
    console, _ = world.up(Console(), GuardNode())
    until(lambda: console.robot.view().guard.mode is Mode.HOLD, "the guard")
    until(lambda: console.robot.view().position is not None, "the arm")
    return console.robot


def take_over(robot):
    until(lambda: robot.request(Verb.TAKE_OVER).accepted, "leave to drive")
    until(lambda: robot.view().guard.mode is Mode.TELEOP, "the mode")


def press(world, robot):
    """Jog until the dead-man is seen to be pressed."""
    until(
        lambda: world.pressed and world.pressed[-1][1],
        "a pressed dead-man",
        lambda: robot.jog(Jog(JogFrame.BASE, UP)),
    )


def publishers(world):
    topics = (names.TELEOP_TWIST, names.TELEOP_ENABLE, names.TELEOP_GRIPPER, names.INSTRUCTION)
    return [name for name in topics if world.arm.count_publishers(name)]


def test_arm_moves_while_a_jog_is_held_and_rests_when_it_is_released(world, robot):
    take_over(robot)
    before = world.position[2]
    until(
        lambda: world.position[2] > before + 0.02,
        "motion",
        lambda: robot.jog(Jog(JogFrame.BASE, UP, gripper=1.0)),
    )
    assert robot.view().guard.speed == pytest.approx(0.05, abs=0.01)
    robot.release()
    count = len(world.pressed)
    until(lambda: len(world.pressed) > count, "the dead-man's release")
    assert not world.pressed[-1][1]
    assert not world.asked[-1][1].any()
    until(lambda: not world.twists[-1][1].any(), "rest")


def test_jog_that_is_not_said_again_expires(world, robot):
    take_over(robot)
    press(world, robot)
    until(lambda: not world.pressed[-1][1], "the end of the jog")
    assert not world.asked[-1][1].any()


def test_console_that_only_watches_publishes_no_commands(world, robot):
    robot.jog(Jog(JogFrame.BASE, UP))
    robot.release()
    time.sleep(0.3)
    assert publishers(world) == []
    take_over(robot)
    until(lambda: len(publishers(world)) == 3, "the publishers")
    assert robot.request(Verb.HOLD).accepted
    until(lambda: publishers(world) == [], "the publishers to go")


def test_second_console_is_refused_and_does_not_disturb_the_one_that_drives(world, robot):
    (other,) = world.up(Console("second"))
    take_over(robot)
    until(lambda: other.robot.view().guard.mode is Mode.TELEOP, "the mode")
    answer = other.robot.request(Verb.TAKE_OVER)
    assert not answer.accepted
    assert "/console" in answer.sentence
    robot.jog(Jog(JogFrame.BASE, UP))
    time.sleep(0.7)  # the guard looks twice a second at who publishes
    assert robot.view().guard.mode is Mode.TELEOP
    assert other.robot.request(Verb.HOLD).accepted  # anybody may stop it
    until(lambda: other.robot.request(Verb.TAKE_OVER).accepted, "leave to drive")
    until(lambda: robot.view().guard.mode is Mode.TELEOP, "the mode")


def test_without_a_guard_every_request_is_refused_in_a_sentence_that_names_it(world):
    (console,) = world.up(Console())
    for verb in Verb:
        answer = console.robot.request(verb)
        assert not answer.accepted
        assert f"guard/{verb.value}" in answer.sentence
    assert "recorder" in console.robot.record(on=True).sentence
    assert not console.robot.label("good").accepted
    assert console.robot.view().guard.mode is None


def test_guard_that_hangs_is_named_within_a_second(world):
    (console,) = world.up(Console())
    hanging = rclpy.create_node("guard")  # never spun
    hanging.create_service(Trigger, names.GUARD_STOP, lambda _, response: response)
    began = time.monotonic()
    until(lambda: "hang" in console.robot.request(Verb.STOP).sentence, "the refusal")
    assert time.monotonic() - began < 10.0
    hanging.destroy_node()


def test_frames_are_offered_as_they_become_known(world, robot):
    until(lambda: robot.view().jog_frames == (JogFrame.BASE, JogFrame.TOOL), "the tool's frame")
    mount = TransformStamped(child_frame_id="front_camera_optical")
    mount.header.frame_id = "base_link"
    # A camera opposite the robot that looks back at it.
    looks = Rotation.from_matrix(np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]))
    q = mount.transform.rotation
    q.x, q.y, q.z, q.w = looks.as_quat()
    publisher = world.arm.create_publisher(TFMessage, names.TF_STATIC, qos.LATCHED)
    publisher.publish(TFMessage(transforms=[mount]))
    until(lambda: JogFrame.CAMERA in robot.view().jog_frames, "the camera's frame")
    take_over(robot)
    for frame, asked, expected in (
        (JogFrame.CAMERA, [1.0, 0, 0], [-1.0, 0, 0]),  # into the picture, towards the robot
        (JogFrame.CAMERA, [0, 1.0, 0], [0, -1.0, 0]),  # to the left of the picture
        (JogFrame.CAMERA, [0, 0, 1.0], [0, 0, 1.0]),
        (JogFrame.TOOL, [0, 0, 1.0], [0, 0, -1.0]),  # out of the hand, which points down
    ):
        twist = 0.01 * np.array([*asked, 0, 0, 0])
        want = 0.01 * np.array([*expected, 0, 0, 0])
        until(
            lambda want=want: world.asked and np.allclose(world.asked[-1][1], want, atol=1e-6),
            f"{frame} {asked}",
            lambda frame=frame, twist=twist: robot.jog(Jog(frame, twist)),
        )


def test_twist_that_is_not_finite_lets_go(world, robot):
    take_over(robot)
    press(world, robot)
    robot.jog(Jog(JogFrame.BASE, np.full(6, np.nan)))
    until(lambda: not world.pressed[-1][1], "the release")
    assert robot.view().guard.mode is Mode.TELEOP
    assert np.isfinite([twist for _, twist in world.asked]).all()


def test_instruction_is_latched_and_of_one_printable_line(world, robot):
    heard = []
    assert robot.instruct("push the\x1b[2J <b>red</b>\ncube").accepted
    world.arm.create_subscription(String, names.INSTRUCTION, heard.append, qos.LATCHED)
    until(lambda: heard, "the instruction")
    assert heard[0].data == "push the [2J <b>red</b> cube"
    until(lambda: robot.view().instruction == heard[0].data, "the view")
    assert not robot.instruct(" \n").accepted
    assert not robot.instruct("a" * 401).accepted


def test_pictures_are_heard_only_while_somebody_looks(world, robot):
    topic = names.camera_topic("front")
    publisher = world.arm.create_publisher(Image, topic, qos.IMAGES)
    pixels = np.full((48, 64, 3), 200, np.uint8)
    time.sleep(0.3)
    assert world.arm.count_subscribers(topic) == 0

    def shown():
        publisher.publish(
            convert.image_to_message(
                pixels, "front_camera_optical", world.arm.get_clock().now().to_msg()
            )
        )
        return robot.picture("front")

    until(shown, "a picture")
    jpeg, heard = robot.picture("front")
    assert jpeg.startswith(b"\xff\xd8")
    assert robot.picture("front", after=heard + 60.0) is None
    front, wrist = robot.view().cameras
    assert (front.name, front.width, front.height, wrist.name) == ("front", 64, 48, "wrist")
    assert front.age < 5.0
    assert wrist.age == float("inf")
    until(lambda: world.arm.count_subscribers(topic) == 0, "the subscription to end")
