# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a policy lacks is named soon, in the log and in the diagnostics, image or no image."""

import array
import re
import time

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState, Range
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from magma_ros.agent.observation import NotReadyError
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.policy_inputs import PolicyInputs
from magma_ros.nodes.policy_settings import POLICY_SETTINGS
from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.spaces import MAGMA

CONTRACT = ObservationContract(
    cameras=tuple(CameraContract(name=name, height=8, width=8) for name in ("front", "wrist")),
    proprioception=("ee_x", "gripper_opening"),
    max_tokens=4,
)
SOON = 2.0
"""Time in which what is wrong must be named [s]."""


class Listener(ManagedNode):
    """A node with a policy's inputs and nothing else."""

    SETTINGS = POLICY_SETTINGS

    def __init__(self, contract=CONTRACT) -> None:
        super().__init__("policy")
        self._contract = contract
        self.pictures = self.told = 0

    def setup(self) -> None:
        self.inputs = PolicyInputs(self, self._contract, MAGMA, self.count, self.hear)

    def count(self) -> None:
        self.pictures += 1

    def hear(self) -> None:
        self.told += 1

    def start(self) -> None:
        self.inputs.start()

    def stop(self) -> None:
        self.inputs.stop()

    def teardown(self) -> None:
        self.inputs.close()


class Robot:
    """Publishes what it is told to, at 20 Hz, all best-effort and nothing latched."""

    def __init__(self, node, image=Image) -> None:
        self.node, self.image = node, image
        publish, sensor = node.create_publisher, qos_profile_sensor_data
        compressed = image is CompressedImage
        self.cameras = {
            name: publish(image, names.camera_topic(name, compressed=compressed), sensor)
            for name in ("front", "wrist")
        }
        self.poses = publish(PoseStamped, names.EE_POSE, sensor)
        self.joints = publish(JointState, names.JOINT_STATES, sensor)
        self.clearance = publish(Range, names.CLEARANCE, sensor)
        self.instruction = publish(String, names.INSTRUCTION, QoSProfile(depth=1))
        self.pixels = np.full((8, 8, 3), 128, np.uint8)

    def stamp(self, ago=0.0):
        return convert.to_stamp(1e-9 * self.node.get_clock().now().nanoseconds - ago)

    def publish(self, *, without=(), ago=None, opening=0.02, data=None, frame="base_link"):
        ago = ago or {}
        self.instruction.publish(String(data="push the cube"))
        for name, publisher in self.cameras.items():
            if name not in without:
                stamp = self.stamp(ago.get(name, 0.0))
                message = convert.image_to_message(self.pixels, name, stamp)
                if self.image is CompressedImage:
                    message = CompressedImage(header=message.header, format="jpeg")
                    message.data = array.array("B", data)
                publisher.publish(message)
        pose = PoseStamped()
        pose.header.frame_id, pose.header.stamp = frame, self.stamp(ago.get("pose", 0.0))
        if "pose" not in without:
            self.poses.publish(pose)
        if "gripper" not in without:
            self.joints.publish(
                JointState(header=pose.header, name=["finger_joint"], position=[opening])
            )


@pytest.fixture
def parameters():
    return {}


@pytest.fixture
def contract():
    return CONTRACT


@pytest.fixture
def policy(parameters, contract, request):
    robot = str(request.config.rootpath / "config/robots/sim.yaml")
    given = {"gripper.joint": "finger_joint"} | parameters
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", "--params-file", robot, *words])
    node = Listener(contract)
    node.trigger_configure()
    node.trigger_activate()
    yield node
    node.trigger_shutdown()
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def spin(policy):
    executor = SingleThreadedExecutor()
    executor.add_node(policy)

    def until(condition, send=lambda: None, patience=SOON):
        """Send at 20 Hz until the condition holds, which must be soon."""
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, policy.inputs.status(now(policy))
            send()
            again = time.monotonic() + 0.05
            while time.monotonic() < again:
                executor.spin_once(timeout_sec=0.01)

    return until


def now(node):
    return 1e-9 * node.get_clock().now().nanoseconds


def ready(policy):
    try:
        return policy.inputs.observe(now(policy)) is not None
    except NotReadyError:
        return False


def test_best_effort_state_and_a_volatile_instruction_make_an_observation(policy, spin):
    robot = Robot(policy)
    spin(lambda: ready(policy), robot.publish)
    assert policy.inputs.waiting_for(now(policy)) == ""
    assert policy.inputs.status(now(policy)).level == DiagnosticStatus.OK


DEPTH = CameraContract(name="front_depth", height=8, width=8, kind="depth")


@pytest.mark.parametrize("contract", [CONTRACT.model_copy(update={"cameras": (DEPTH,)})])
@pytest.mark.parametrize("parameters", [{"camera_topics": "front_depth=camera/front"}])
def test_depth_images_are_observed_in_metres(policy, spin):
    robot = Robot(policy)
    topic = names.depth_topic("front")
    depths = policy.create_publisher(Image, topic, qos_profile_sensor_data)

    def publish():
        depth = np.full((8, 8), 1.25, np.float32)
        depths.publish(convert.depth_to_message(depth, "optical", robot.stamp()))
        robot.publish()

    spin(lambda: ready(policy), publish)
    observation = policy.inputs.observe(now(policy))
    assert not observation.images
    np.testing.assert_array_equal(observation.depths["front_depth"], np.full((8, 8), 1.25))


def joints_without_gripper(robot):
    robot.publish(without=["gripper"])
    header = PoseStamped().header
    header.stamp = robot.stamp()
    robot.joints.publish(JointState(header=header, name=["elbow"], position=[1.0]))


def cut_off(robot):
    robot.joints.publish(JointState())  # something, but of no use
    robot.publish(ago={"front": 60.0})


@pytest.mark.parametrize(
    ("send", "said"),
    [
        (lambda r: r.publish(without=["wrist"]), "nothing has been heard of camera 'wrist' yet"),
        (lambda r: None, "nothing has been heard of camera 'front' yet"),
        (lambda r: r.publish(without=["pose"]), "nothing has been heard of ee_pose yet"),
        (joints_without_gripper, "joint_states name no joint 'finger_joint'"),
        (lambda r: r.publish(opening=float("nan")), "no finite position of 'finger_joint'"),
        (cut_off, r"camera 'front' is stamped 60\.\d\d s in the past"),
        (lambda r: r.publish(ago={"front": 1e10}), "camera 'front' is stamped zero"),
        (lambda r: r.publish(ago={"wrist": 1.7e9}), r"camera 'wrist' is stamped 1\d{9} s in the"),
        (lambda r: r.publish(ago={"wrist": -3.0}), r"camera 'wrist' is stamped [23]\.\d\d s in th"),
        (lambda r: r.publish(frame="world"), "ee_pose is in frame 'world', not in 'base_link'"),
    ],
)
def test_what_is_wrong_is_named_within_two_seconds(policy, spin, capfd, send, said):
    robot = Robot(policy)
    seen = []

    def told():
        seen.append(capfd.readouterr().err)
        status = policy.inputs.status(now(policy))
        logged = re.search(rf"\[WARN\].*{said}", "".join(seen))
        return logged and re.search(said, str(status.values)) and status.level == b"\x01"

    spin(told, lambda: send(robot))
    assert policy.inputs.waiting_for(now(policy))


@pytest.mark.parametrize("parameters", [{"sync_slop": 0.005}])
def test_cameras_that_are_not_synchronised_are_named(policy, spin):
    robot = Robot(policy)
    spin(
        lambda: "s apart at best, and sync_slop is" in policy.inputs.waiting_for(now(policy)),
        lambda: robot.publish(ago={"wrist": 0.02}),
    )


@pytest.mark.parametrize("parameters", [{"pose_source": "tf", "ee_frame": "hand"}])
def test_a_robot_that_publishes_tf_alone_is_observed(policy, spin):
    robot = Robot(policy)
    publisher = policy.create_publisher(TFMessage, "/tf", 10)

    def send():
        robot.publish(without=["pose"])
        moved = TransformStamped(child_frame_id="hand")
        moved.header.frame_id, moved.header.stamp = "base_link", robot.stamp()
        moved.transform.translation.x = 0.3
        publisher.publish(TFMessage(transforms=[moved]))

    spin(lambda: ready(policy), send)
    assert policy.inputs.observe(now(policy)).proprioception[0] == pytest.approx(0.3)
    spin(
        lambda: "ee_pose has been silent" in policy.inputs.waiting_for(now(policy)),
        lambda: robot.publish(without=["pose"]),
    )


FRAMES = CONTRACT.model_copy(update={"proprioception": ("lift.z", "mast.x", "mast.qw")})


@pytest.mark.parametrize("contract", [FRAMES])
def test_frames_of_tf_are_observed_and_named_while_they_are_missing_or_old(policy, spin):
    robot = Robot(policy)
    moving = policy.create_publisher(TFMessage, "/tf", 10)
    fixed = policy.create_publisher(TFMessage, "/tf_static", qos.LATCHED)

    def send(publisher, frame, ago=0.0):
        made = TransformStamped(child_frame_id=frame)
        made.header.frame_id, made.header.stamp = "base_link", robot.stamp(ago)
        made.transform.translation.x = made.transform.translation.z = 0.4
        publisher.publish(TFMessage(transforms=[made]))
        robot.publish()

    def waits_for(said):
        return lambda: re.search(said, policy.inputs.waiting_for(now(policy)))

    spin(waits_for("no TF from 'base_link' to 'lift' yet: .*lift"), robot.publish)
    spin(waits_for("no TF from 'base_link' to 'mast' yet"), lambda: send(moving, "lift"))
    send(fixed, "mast", ago=3.0)  # said once, and so at any time
    spin(lambda: ready(policy), lambda: send(moving, "lift"))
    observed = policy.inputs.observe(now(policy)).proprioception
    assert observed.tolist() == pytest.approx([0.4, 0.4, 1.0])
    spin(waits_for("the frame 'lift' in TF has been silent for"), robot.publish)
    spin(waits_for("'lift' is stamped 0.7. s in the past"), lambda: send(moving, "lift", 0.7))


@pytest.mark.parametrize("silent", ["front", "wrist", "pose", "gripper"])
def test_what_falls_silent_is_named_within_two_seconds(policy, spin, capfd, silent):
    robot = Robot(policy)
    spin(lambda: ready(policy), robot.publish)
    capfd.readouterr()
    seen = []

    def told():
        seen.append(capfd.readouterr().err)
        said = policy.inputs.status(now(policy)).message, policy.inputs.waiting_for(now(policy))
        return all("silent for" in text for text in ("".join(seen), *said))

    spin(told, lambda: robot.publish(without=[silent]))


def test_waiting_for_an_instruction_is_no_warning_and_said_once(policy, spin, capfd):
    robot = Robot(policy)
    robot.instruction.publish = lambda message: None
    end = time.monotonic() + 1.5
    spin(lambda: time.monotonic() > end, robot.publish)
    said = capfd.readouterr().err
    assert said.count("waiting for an instruction") == 1
    assert re.search(r"\[INFO\].*waiting for an instruction", said)
    status = policy.inputs.status(now(policy))
    assert status.level == DiagnosticStatus.OK
    assert status.message.startswith("waiting for an instruction")


@pytest.mark.parametrize("parameters", [{"clearance_required": True}])
def test_a_clearance_sensor_that_must_be_there_is_named_when_silent(policy, spin):
    robot = Robot(policy)
    assert policy.inputs.circumstances.risk(time.monotonic(), 1.0) == 1.0
    spin(lambda: "clearance" in policy.inputs.status(now(policy)).message, robot.publish)
    header = PoseStamped().header

    def measure():
        robot.publish()
        header.stamp = robot.stamp()
        reading = Range(header=header, range=1.0, min_range=0.1, max_range=4.0)
        robot.clearance.publish(reading)

    spin(lambda: policy.inputs.circumstances.risk(time.monotonic(), 1.0) == 0.0, measure)


def test_a_clearance_of_nan_or_of_long_ago_is_not_free_space(policy):
    node = policy
    fresh, old = convert.to_stamp(now(node)), convert.to_stamp(now(node) - 60.0)
    for stamp, distance in ((fresh, float("nan")), (old, 4.0), (fresh, 9.0)):
        message = Range(range=distance, min_range=0.1, max_range=5.0)
        message.header.stamp = stamp
        node.inputs._on_clearance(message)
    assert node.inputs.circumstances.clearance_age(time.monotonic()) == float("inf")


@pytest.mark.parametrize("parameters", [{"transport": "compressed"}])
def test_pictures_are_decoded_by_whoever_looks_at_them(policy, spin, monkeypatch):
    robot = Robot(policy, CompressedImage)
    whole = cv2.imencode(".jpg", robot.pixels)[1].tobytes()
    monkeypatch.setattr("simplejpeg.decode_jpeg", lambda *_, **__: pytest.fail("decoded here"))
    spin(lambda: ready(policy), lambda: robot.publish(data=whole))
    monkeypatch.undo()
    images = policy.inputs.observe(now(policy)).images
    assert images["front"].shape == (8, 8, 3)


@pytest.mark.parametrize("parameters", [{"use_sim_time": True}])
def test_a_clock_that_stands_still_is_named(policy, spin):
    assert policy.get_parameter("use_sim_time").type_ == Parameter.Type.BOOL
    spin(lambda: "clock stands still" in policy.inputs.status(now(policy)).message)
    assert "clock stands still" in policy.inputs.waiting_for(now(policy))
