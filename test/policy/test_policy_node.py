# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy draws leaves its node, over DDS, and ends in the recording and the clip."""

import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from visualization_msgs.msg import ImageMarker

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.nodes.report_node import ReportNode
from magma_ros.types import TRACE_MARKS

DONE = TransitionCallbackReturn.SUCCESS
SIZES = {"front": (48, 64), "wrist": (8, 8)}


class Robot:
    """Two cameras, a pose and a gripper; hears what the policy draws."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("robot")
        publisher = self.node.create_publisher
        self._cameras = {
            camera: publisher(Image, names.camera_topic(camera), qos.IMAGES)
            for camera in (*SIZES, "overview")
        }
        self._pose = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self._joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        publisher(String, names.INSTRUCTION, qos.LATCHED).publish(String(data="push the cube"))
        self.markers: list[ImageMarker] = []
        self.statuses: list[DiagnosticStatus] = []
        hear = self.node.create_subscription
        hear(ImageMarker, names.POLICY_TRACE, self.markers.append, qos.EVENTS)
        hear(DiagnosticStatus, names.POLICY_STATUS, self.statuses.append, qos.EVENTS)
        self.stamps: list[float] = []

    def publish(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        self.stamps.append(convert.seconds(stamp))
        pose = PoseStamped()
        pose.header.stamp = stamp
        self._pose.publish(pose)
        self._joints.publish(JointState(name=["finger_joint"], position=[0.02]))
        rng = np.random.default_rng(len(self.stamps))
        for camera, publisher in self._cameras.items():
            pixels = rng.integers(0, 255, (*SIZES.get(camera, (120, 160)), 3), np.uint8)
            publisher.publish(convert.image_to_message(pixels, f"{camera}_optical", stamp))


@pytest.fixture
def run(bundle, tmp_path):
    """Run a robot with nodes of the given classes until a condition holds."""
    settings = [f"bundle:={bundle}", f"directory:={tmp_path / 'run'}", "threads:=1"]
    # The tiny bundle's thoughts are short; the test machine's pauses may not be.
    settings += ["deadline:=5.0", "max_age:=5.0", "gate:=fixed", "depth:=2"]
    rclpy.init(args=["--ros-args", *(word for text in settings for word in ("-p", text))])
    executor, nodes, robot = SingleThreadedExecutor(), [], Robot()
    executor.add_node(robot.node)

    def start(node_class):
        nodes.append(node_class())
        assert nodes[-1].trigger_configure() == nodes[-1].trigger_activate() == DONE
        executor.add_node(nodes[-1])
        return nodes[-1]

    def until(condition):
        deadline = time.monotonic() + 60.0
        while not condition(robot):
            assert time.monotonic() < deadline, "waited in vain"
            robot.publish()
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.02)
        return robot

    yield start, until
    for node in nodes:
        node.trigger_shutdown()
        node.destroy_node()
    robot.node.destroy_node()
    rclpy.shutdown()


def test_the_trace_arrives_in_pixels_of_the_camera_with_the_stamp_of_what_was_seen(run):
    start, until = run
    policy = start(PolicyNode)
    robot = until(lambda robot: len(robot.markers) >= 4)
    points = len(policy._policy.manifest.trace.times)
    for marker, mark in zip(robot.markers, [*TRACE_MARKS] * 2, strict=False):
        name, path = convert.path_from_marker(marker)
        assert name == mark
        assert path.shape == (points, 2)
        # The tiny bundle draws inside the image, which is smaller than the grid.
        assert (path > 0.0).all()
        assert (path < SIZES["front"][::-1]).all()
        assert marker.header.frame_id == "front_optical"
        stamp = convert.seconds(marker.header.stamp)
        assert min(abs(stamp - sent) for sent in robot.stamps) < 1e-5


def test_a_policy_that_draws_nothing_publishes_no_trace(run, edit_manifest, edit_stage):
    def forget(content):
        del content["trace"]
        for index in (1, 4):
            content["stages"][index]["outputs"].pop()

    for index in (1, 4):
        edit_stage(index, lambda model: model.graph.output.pop())
    edit_manifest(forget)
    start, until = run
    start(PolicyNode)
    robot = until(lambda robot: len(robot.statuses) >= 3)
    assert {status.level for status in robot.statuses} == {DiagnosticStatus.OK}
    assert not robot.markers


def test_the_trace_is_recorded_and_shown_in_the_clip(run, tmp_path):
    start, until = run
    report, recorder = start(ReportNode), start(RecorderNode)
    start(PolicyNode)
    until(lambda _: len(report._record.sights) >= 4 and len(report._record.frames) >= 4)
    _, sight = report._record.sights[-1]
    assert sight.image.shape == (48, 64, 3)
    assert set(sight.paths) == set(TRACE_MARKS)
    assert recorder.trigger_deactivate() == DONE
    with AnyReader([tmp_path / "run" / "episode_0"]) as bag:
        (connection,) = [c for c in bag.connections if c.topic == "/policy/trace"]
        assert connection.msgtype == "visualization_msgs/msg/ImageMarker"
        _, _, data = next(bag.messages([connection]))
        message = bag.deserialize(data, connection.msgtype)
        assert message.ns == "trace"
        assert len(message.points) == 3
    assert report.trigger_deactivate() == DONE
    assert (tmp_path / "run" / "clip.gif").stat().st_size > 0
