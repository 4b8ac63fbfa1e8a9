# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pose is taken in the base frame, from a topic or from TF, or refused in a sentence."""

import math
import re
import time

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from tf2_msgs.msg import TFMessage

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.limits import POSE_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.pose_input import PoseInput
from magma_ros.nodes.settings import Setting


class Listener(ManagedNode):
    """A node that keeps what its pose input says."""

    SETTINGS = (Setting("base_frame", "base_link", "Base."), *POSE_SETTINGS)

    def __init__(self) -> None:
        super().__init__("listener")
        self.poses, self.refusals = [], []

    def setup(self) -> None:
        self.input = PoseInput(self, 1.0, self.poses.append, self.refusals.append)

    def teardown(self) -> None:
        self.input.close()


@pytest.fixture
def parameters():
    return {}


@pytest.fixture
def listener(parameters):
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *words])
    node = Listener()
    node.trigger_configure()
    yield node
    node.trigger_shutdown()
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def spin(listener):
    """Send with ``send`` again and again until ``condition`` holds."""
    executor = SingleThreadedExecutor()
    executor.add_node(listener)

    def until(condition, send):
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            send()
            again = time.monotonic() + 0.02
            while time.monotonic() < again:
                executor.spin_once(timeout_sec=0.02)
            if condition():
                return
        pytest.fail(f"waited in vain: {listener.refusals[-1:]}")

    return until


def pose(node, frame="base_link", ago=0.0, x=0.5):
    stamp = convert.to_stamp(1e-9 * node.get_clock().now().nanoseconds - ago)
    message = PoseStamped()
    message.header.frame_id, message.header.stamp = frame, stamp
    message.pose.position.x = x
    return message


def transform(node, parent, child, x, yaw=0.0):
    made = TransformStamped(child_frame_id=child)
    made.header.stamp, made.header.frame_id = node.get_clock().now().to_msg(), parent
    made.transform.translation.x = x
    made.transform.rotation.z, made.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return made


@pytest.mark.parametrize("profile", [qos_profile_sensor_data, qos.STATE])
def test_best_effort_and_reliable_publishers_are_both_heard(listener, spin, profile):
    publisher = listener.create_publisher(PoseStamped, names.EE_POSE, profile)
    spin(lambda: listener.poses, lambda: publisher.publish(pose(listener)))
    assert listener.poses[0].position[0] == 0.5


def test_a_pose_in_another_frame_is_refused_until_tf_leads_to_the_base(listener, spin):
    poses = listener.create_publisher(PoseStamped, names.EE_POSE, qos.STATE)
    static = listener.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
    spin(lambda: listener.refusals, lambda: poses.publish(pose(listener, "world")))
    assert not listener.poses
    assert "is in frame 'world', not in 'base_link'" in listener.refusals[0]
    quarter = transform(listener, "base_link", "world", x=1.0, yaw=math.pi / 2)
    static.publish(TFMessage(transforms=[quarter]))
    spin(lambda: listener.poses, lambda: poses.publish(pose(listener, "world")))
    assert listener.poses[0].position == pytest.approx([1.0, 0.5, 0.0])
    assert listener.poses[0].quaternion[2] == pytest.approx(math.sin(math.pi / 4))


@pytest.mark.parametrize("parameters", [{"pose_source": "tf", "ee_frame": "gripper"}])
def test_the_pose_may_come_from_tf_alone(listener, spin):
    assert not [s for s in listener.subscriptions if s.topic_name.endswith(names.EE_POSE)]
    tf = listener.create_publisher(TFMessage, "/tf", qos.EVENTS)
    spin(lambda: listener.refusals, lambda: None)
    assert "no TF from 'base_link' to 'gripper' yet" in listener.refusals[0]

    def move():
        parts = (("base_link", "flange", 0.3), ("flange", "gripper", 0.1))
        tf.publish(TFMessage(transforms=[transform(listener, *part) for part in parts]))

    spin(lambda: len(listener.poses) >= 3, move)
    assert listener.poses[0].position == pytest.approx([0.4, 0.0, 0.0])
    assert np.all(np.diff([p.stamp for p in listener.poses]) > 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ago": 100.0}, r"ee_pose is stamped 100\.\d\d s in the past"),
        ({"ago": -5.0}, r"ee_pose is stamped [45]\.\d\d s in the future"),
        ({"x": math.nan}, "not a finite pose"),
    ],
)
def test_a_pose_that_cannot_be_now_is_refused(listener, change, said):
    listener.input._on_message(pose(listener, **change))
    assert not listener.poses
    (refusal,) = listener.refusals
    assert re.search(said, refusal)


def test_a_pose_that_overtakes_a_newer_one_is_refused(listener):
    newer, older = pose(listener, x=0.1), pose(listener, ago=0.2, x=0.2)
    listener.input._on_message(newer)
    listener.input._on_message(older)
    assert [p.position[0] for p in listener.poses] == [0.1]
    assert "before the one that came earlier" in listener.refusals[0]


def test_a_quaternion_that_is_no_rotation_is_refused(listener):
    message = pose(listener)
    message.pose.orientation.w = 1.5
    listener.input._on_message(message)
    assert not listener.poses
    assert "quaternion of length 1.5" in listener.refusals[0]
