# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording holds: every topic between cameras, policy, guard, operator and robot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PointStamped, PolygonInstanceStamped, PoseStamped, TwistStamped
from nav_msgs.msg import Path
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import (
    BatteryState,
    CameraInfo,
    CompressedImage,
    Image,
    JointState,
    PointCloud2,
    Range,
    TimeReference,
)
from std_msgs.msg import Bool, Float64MultiArray, String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import ImageMarker, MarkerArray

from magma_ros.episodes.bag import Topic, profile
from magma_ros.episodes.log import Source
from magma_ros.nodes import names, qos
from magma_ros.nodes.cameras import CameraTopics
from magma_ros.nodes.gripper import gripper_topics


class Recorded(NamedTuple):
    """A topic to record.

    Attributes:
        topic: Its relative name.
        kind: Message type.
        profile: Quality of service to subscribe with.
        steady: Whether it comes at a steady rate, so that what is missing can be counted.
    """

    topic: str
    kind: Any
    profile: QoSProfile
    steady: bool = False


TOPICS = (
    Recorded(names.INSTRUCTION, String, qos.LATCHED),
    Recorded(names.INSTRUCTION_POINT, PointStamped, qos.LATCHED),
    Recorded(names.EE_POSE, PoseStamped, qos.EVERY_READING),
    Recorded(names.JOINT_STATES, JointState, qos.EVERY_READING),
    Recorded(names.DESCRIPTION, String, qos.LATCHED),
    Recorded(names.CLEARANCE, Range, qos.EVERY_READING),
    Recorded(names.CLEARANCE_VECTORS, PointCloud2, qos.EVERY_READING),
    Recorded(names.DETECTIONS, PolygonInstanceStamped, qos.EVENTS),
    Recorded(names.MARKS, MarkerArray, qos.EVERY_READING),
    Recorded(names.BATTERY, BatteryState, qos.EVERY_READING),
    Recorded(names.TF, TFMessage, qos.EVERY_READING),
    Recorded(names.TF_STATIC, TFMessage, qos.LATCHED_BY_MANY),
    Recorded(names.POLICY_TWIST, TwistStamped, qos.EVENTS),
    Recorded(names.POLICY_JOINTS, JointTrajectory, qos.EVENTS),
    Recorded(names.POLICY_GRIPPER, JointState, qos.EVENTS),
    Recorded(names.POLICY_PLAN, Path, qos.EVENTS),
    Recorded(names.POLICY_TRACE, ImageMarker, qos.EVENTS),
    Recorded(names.POLICY_STATUS, DiagnosticStatus, qos.EVENTS),
    Recorded(names.POLICY_HELP, String, qos.EVENTS),
    Recorded(names.POLICY_HEALTH, DiagnosticStatus, qos.EVENTS),
    Recorded(names.TELEOP_TWIST, TwistStamped, qos.EVERY_READING),
    Recorded(names.TELEOP_GRIPPER, JointState, qos.EVERY_READING),
    Recorded(names.TELEOP_ENABLE, Bool, qos.EVERY_READING),
    Recorded(names.E_STOP, Bool, qos.LATCHED),
    Recorded(names.ROBOT_TWIST, TwistStamped, qos.EVENTS),
    Recorded(names.ROBOT_TRAJECTORY, JointTrajectory, qos.EVENTS),
    Recorded(names.ROBOT_POSITIONS, Float64MultiArray, qos.EVENTS),
    Recorded(names.ROBOT_VELOCITIES, Float64MultiArray, qos.EVENTS),
    Recorded(names.ROBOT_GRIPPER, JointState, qos.EVENTS),
    Recorded(names.GUARD_TWIST, TwistStamped, qos.EVENTS),
    Recorded(names.GUARD_FOLLOWS, TimeReference, qos.EVENTS),
    Recorded(names.GUARD_MODE, DiagnosticStatus, qos.LATCHED),
    Recorded(names.GUARD_INSTRUCTION, String, qos.LATCHED),
    Recorded(names.EPISODE_LABEL, String, qos.EVENTS),
    Recorded(names.TASK_STATUS, DiagnosticStatus, qos.LATCHED),
    Recorded(names.RECORDER_STATUS, DiagnosticStatus, qos.LATCHED),
    Recorded(names.DIAGNOSTICS, DiagnosticArray, qos.EVENTS),
)
"""Everything worth keeping besides the cameras.

What the project's own nodes publish is received reliably; the rest as it comes, from reliable and
best-effort drivers alike.
"""


def camera_topics(
    cameras: Iterable[str], topics: CameraTopics, *, compressed: bool
) -> Iterator[Recorded]:
    """The topics of some cameras: pictures, and how they map to space."""
    kind = CompressedImage if compressed else Image
    for camera in cameras:
        pictures = topics.image(camera, compressed=compressed)
        yield Recorded(pictures, kind, qos.EVERY_IMAGE, steady=True)
        yield Recorded(topics.info(camera), CameraInfo, qos.EVERY_IMAGE)


def more_grippers(grippers: Iterable[str]) -> Iterator[Recorded]:
    """Where the guard commands the grippers of a robot beside its first one."""
    for topic in gripper_topics(grippers).values():
        if topic != names.ROBOT_GRIPPER:
            yield Recorded(topic, JointState, qos.EVENTS)


def source(topic: Recorded, name: str, types: Typestore) -> Source:
    """A topic as a recording knows it.

    Args:
        topic: The topic.
        name: Its full name.
        types: Definitions of all message types.
    """
    package = topic.kind.__module__.split(".")[0]
    kind = f"{package}/msg/{topic.kind.__name__}"
    definition, _ = types.generate_msgdef(kind, ros_version=2)
    fields = list(topic.kind.get_fields_and_field_types().values())
    latched = topic.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    heard = profile(
        depth=topic.profile.depth,
        reliable=topic.profile.reliability == ReliabilityPolicy.RELIABLE,
        latched=latched,
    )
    return Source(
        Topic(name, kind, definition, types.hash_rihs01(kind), profiles=(heard,)),
        stamped=fields[0] == "std_msgs/Header",
        latched=latched,
        steady=topic.steady,
    )
