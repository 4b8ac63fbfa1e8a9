# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The perception node over DDS: what it tells of obstacles, and that loss of sight is told."""

import math
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2, Range
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clearance_input import LEVER, VECTOR
from magma_ros.nodes.clouds import cloud_message, columns_from_message
from magma_ros.nodes.perception_node import PerceptionNode
from magma_ros.share import share_file
from magma_ros.types import FloatArray

DONE = TransitionCallbackReturn.SUCCESS
ROBOT = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim.yaml"))]
PATIENT = ["-p", "max_age:=0.5"]
HOME = {
    "shoulder_pan": 0.0,
    "shoulder_lift": 0.1,
    "elbow": 1.9,
    "wrist_pitch": 1.14,
    "wrist_roll": 0.0,
    "left_finger": 0.036,
    "right_finger": 0.036,
}
MATRIX = np.array([[120.0, 0.0, 79.5], [0.0, 120.0, 59.5], [0.0, 0.0, 1.0]])
FRAME = "front_camera_optical"


class World:
    """A camera 1 m above the table beside the hand, which sees a block of 0.4 m, and joints."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("world")
        publisher = self.node.create_publisher
        self.depth = publisher(Image, names.depth_topic("front"), qos.IMAGES)
        self.info = publisher(CameraInfo, names.depth_info_topic("front"), qos.STATE)
        self.cloud = publisher(PointCloud2, "cloud", qos.IMAGES)
        self.joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.tf = publisher(TFMessage, names.TF_STATIC, qos.LATCHED)
        self.twist = publisher(TwistStamped, names.ROBOT_TWIST, qos.STATE)
        self.description = publisher(String, names.DESCRIPTION, qos.LATCHED)
        self.image = np.full((120, 160), 1.0, np.float32)
        self.image[:, :40] = 0.6
        self.joint_lag = 0.0
        self.frame, self.lag, self.encoding, self.size = FRAME, 0.0, "32FC1", (160, 120)
        self.sends = {"depth", "info", "joints"}
        self.positions = dict(HOME)
        self.ranges: list[Range] = []
        self.vectors: list[PointCloud2] = []
        self.shown: list[object] = []
        self.said: dict[str, str] = {}
        hear = self.node.create_subscription
        hear(Range, names.CLEARANCE, self.ranges.append, qos.STATE)
        hear(PointCloud2, names.CLEARANCE_VECTORS, self.vectors.append, qos.STATE)
        hear(PointCloud2, names.POINTS, self.shown.append, qos.IMAGES)
        hear(MarkerArray, names.OBSTACLE_MARKERS, self.shown.append, qos.STATE)
        hear(DiagnosticArray, names.DIAGNOSTICS, self._on_diagnostics, qos.EVENTS)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = convert.status_values(status)
            self.said[status.name] = f"{status.message} {values}"

    def mount(self, parent: str = "base_link") -> None:
        """The camera looks straight down on x 0.45, y 0.3; its x is the base's x."""
        pose = TransformStamped(header=Header(frame_id=parent), child_frame_id=FRAME)
        at = pose.transform.translation
        at.x, at.y, at.z = 0.45, 0.3, 1.0
        pose.transform.rotation.x, pose.transform.rotation.w = 1.0, 0.0
        self.tf.publish(TFMessage(transforms=[pose]))

    def publish(self) -> None:
        now = convert.seconds(self.node.get_clock().now().to_msg())
        stamp = convert.to_stamp(now - self.lag)
        header = Header(stamp=stamp, frame_id=self.frame)
        if "joints" in self.sends:
            joints = JointState(name=list(self.positions), position=list(self.positions.values()))
            joints.header.stamp = convert.to_stamp(now - self.joint_lag)
            self.joints.publish(joints)
        if "info" in self.sends:
            self.info.publish(convert.camera_info_message(MATRIX, self.size, header))
        if "depth" in self.sends:
            message = convert.depth_to_message(self.image, self.frame, stamp)
            message.encoding = self.encoding
            self.depth.publish(message)
        if "cloud" in self.sends:
            self.cloud.publish(cloud_message(_points(self.image), VECTOR, header))


def _points(image: FloatArray) -> FloatArray:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    z = image.ravel().astype(float)
    x, y = (columns.ravel() - 79.5) / 120.0 * z, (rows.ravel() - 59.5) / 120.0 * z
    return np.stack([x, y, z], axis=1)


class Bench:
    def __init__(self) -> None:
        self.eyes, self.world = PerceptionNode(), World()
        self.executor = SingleThreadedExecutor()
        for node in (self.eyes, self.world.node):
            self.executor.add_node(node)

    def up(self) -> None:
        assert self.eyes.trigger_configure() == self.eyes.trigger_activate() == DONE
        self.world.mount()

    def until(self, condition, what: str, patience: float = 20.0) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}; {self.world.said}"
            self.spin(0.05)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.world.publish()
            due = time.monotonic() + 0.05
            while (left := due - time.monotonic()) > 0.0:
                self.executor.spin_once(timeout_sec=left)

    def sees(self) -> None:
        heard = len(self.world.vectors)
        self.until(lambda: len(self.world.vectors) > heard + 2, "measurements")

    def says(self, words: str) -> None:
        """Within two seconds, and a diagnostic's period, the reason is told and clearance stops."""
        self.until(lambda: words in self.world.said.get("perception: inputs", ""), words)
        heard = len(self.world.vectors), len(self.world.ranges)
        self.spin(0.3)
        assert (len(self.world.vectors), len(self.world.ranges)) == heard

    @property
    def nearest(self) -> float:
        vectors = columns_from_message(self.world.vectors[-1], VECTOR)
        return float(np.linalg.norm(vectors, axis=1).min(initial=math.inf))


@pytest.fixture
def bench(request):
    rclpy.init(args=[*ROBOT, *PATIENT, *getattr(request, "param", [])])
    try:
        made = Bench()
        yield made
        made.eyes.trigger_shutdown()
        for node in (made.eyes, made.world.node):
            node.destroy_node()
    finally:
        rclpy.shutdown()


def test_what_the_camera_sees_becomes_vectors_in_the_base_frame(bench):
    bench.up()
    bench.sees()
    cloud, clearance = bench.world.vectors[-1], bench.world.ranges[-1]
    assert cloud.header.frame_id == clearance.header.frame_id == "base_link"
    assert convert.seconds(cloud.header.stamp) > 0.0
    # The block's top is 0.4 m high and reaches from y 0.1 to 0.5 and to x 0.25.
    vectors = columns_from_message(cloud, (*VECTOR, *LEVER))
    assert 0 < len(vectors) <= 64
    nearest = vectors[np.argmin(np.linalg.norm(vectors[:, :3], axis=1))]
    assert nearest[0] < 0.0
    assert 0.05 < bench.nearest < 0.3
    assert clearance.range == pytest.approx(bench.nearest, abs=1e-5)
    bench.until(lambda: len(bench.world.shown) >= 2, "points and markers")
    told = "'nearest_m': '0."
    bench.until(lambda: told in bench.world.said.get("perception: clearance", ""), "a report")


def test_nothing_near_is_an_empty_cloud_and_an_infinite_range(bench):
    bench.world.image[:] = 1.0
    bench.up()
    bench.sees()
    assert bench.world.vectors[-1].width == 0
    assert bench.world.ranges[-1].range == math.inf


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"sends": {"info", "joints"}}, "no depth of 'front'"),
        ({"sends": {"depth", "info"}}, "joint_states"),
        ({"positions": {"elbow": HOME["elbow"]}}, "joint_states"),
        ({"positions": {**HOME, "elbow": math.nan}}, "elbow"),
        ({"joint_lag": 0.3}, "behind the depth"),
        ({"frame": "another"}, "another"),
        ({"encoding": "rgb8"}, "rgb8"),
        ({"size": (320, 240)}, "320 x 240"),
        ({"size": (0, 0)}, "calibration"),
        ({"image": np.full((120, 160), np.nan, np.float32)}, "covered"),
        ({"lag": 5.0}, "in the past"),
        ({"lag": -5.0}, "in the future"),
    ],
)
def test_lost_sight_is_told_and_never_taken_for_free_space(bench, broken, words):
    bench.up()
    bench.sees()
    whole = {name: getattr(bench.world, name) for name in broken}
    for name, value in broken.items():
        setattr(bench.world, name, value)
    bench.says(words)
    for name, value in whole.items():
        setattr(bench.world, name, value)
    bench.sees()


def test_a_camera_that_repeats_its_picture_while_the_robot_moves_is_told(bench):
    bench.up()
    bench.sees()
    bench.world.positions["wrist_roll"] = 0.5
    bench.says("repeats its depth")
    bench.world.image = bench.world.image + np.float32(0.001)
    bench.sees()


def test_a_camera_without_calibration_or_mount_is_told(bench):
    assert bench.eyes.trigger_configure() == bench.eyes.trigger_activate() == DONE
    bench.world.sends.remove("info")
    bench.until(lambda: "calibration" in str(bench.world.said), "the calibration")
    bench.world.sends.add("info")
    bench.says("TF does not lead")
    bench.world.mount()
    bench.sees()


@pytest.mark.parametrize(
    "bench", [["-p", "depth_topics:=''", "-p", "cloud_topics:=top=cloud"]], indirect=True
)
def test_clouds_serve_as_well_as_images(bench):
    bench.world.sends = {"cloud", "joints"}
    bench.up()
    bench.sees()
    assert 0.05 < bench.nearest < 0.3
    bench.world.image[:] = np.nan
    bench.says("measured")


@pytest.mark.parametrize("bench", [["-p", "body.urdf:=''"]], indirect=True)
def test_a_robot_may_be_described_by_a_topic(bench):
    bench.up()
    bench.says("robot description")
    bench.world.description.publish(String(data="<robot/>"))
    bench.says("no links")
    text = share_file("sim", "robots", "nano_arm.urdf").read_text()
    bench.world.description.publish(String(data=text))
    bench.sees()


@pytest.mark.parametrize(
    "bench",
    [
        ["-p", "body.urdf:=nowhere.urdf"],
        ["-p", "depth_topics:=''"],
        ["-p", "cloud_topics:=front=cloud"],
        ["-p", "body.guarded_links:=[gripper]"],
        ["-p", "body.held_opening:=[0.5]"],
        ["-p", "clearance.near:=9.0"],
    ],
    indirect=True,
)
def test_a_node_that_cannot_see_does_not_configure(bench):
    assert bench.eyes.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert bench.eyes.failure is not None
    assert not isinstance(bench.eyes.failure, AssertionError)


def test_it_can_be_configured_again(bench):
    bench.up()
    bench.sees()
    assert bench.eyes.trigger_deactivate() == bench.eyes.trigger_cleanup() == DONE
    bench.up()
    bench.sees()
