# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what happened as an MCAP episode in rosbag2's layout.

Messages are taken as they came over the wire and written unread, so recording costs little and
changes nothing. Commands are told apart by topic: ``policy/``, ``teleop/`` and the guard's output,
whose source stands in the latched mode.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Path as PathMessage
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import BatteryState, Image, JointState, Range
from std_msgs.msg import Float64, String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import ImageMarker

from magma_ros.nodes import names, qos
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

TOPICS: tuple[tuple[str, Any, QoSProfile], ...] = (
    (names.INSTRUCTION, String, qos.LATCHED),
    (names.EE_POSE, PoseStamped, qos.EVERY_READING),
    (names.JOINT_STATES, JointState, qos.EVERY_READING),
    (names.CLEARANCE, Range, qos.EVERY_READING),
    (names.BATTERY, BatteryState, qos.EVERY_READING),
    (names.POLICY_TWIST, TwistStamped, qos.EVENTS),
    (names.POLICY_GRIPPER, Float64, qos.EVENTS),
    (names.POLICY_PLAN, PathMessage, qos.EVENTS),
    (names.POLICY_TRACE, ImageMarker, qos.EVENTS),
    (names.POLICY_STATUS, DiagnosticStatus, qos.EVENTS),
    (names.POLICY_HELP, String, qos.EVENTS),
    (names.TELEOP_TWIST, TwistStamped, qos.EVENTS),
    (names.TELEOP_GRIPPER, Float64, qos.EVENTS),
    (names.ROBOT_TWIST, TwistStamped, qos.EVENTS),
    (names.ROBOT_GRIPPER, JointState, qos.EVENTS),
    (names.GUARD_MODE, DiagnosticStatus, qos.LATCHED),
    (names.TASK_STATUS, DiagnosticStatus, qos.LATCHED),
    (names.DIAGNOSTICS, DiagnosticArray, qos.EVENTS),
    ("/tf", TFMessage, qos.EVENTS),
)
"""Everything worth keeping besides the cameras: topic, message type, quality of service."""

FOREVER = QosTime(sec=9223372036, nsec=854775807)
"""How rosbag2 writes an infinite duration (RMW_DURATION_INFINITE)."""


class RecorderNode(ManagedNode):
    """Records one episode from activation to deactivation."""

    SETTINGS = (
        Setting("directory", "runs", "Folder in which episodes are written."),
        Setting("cameras", ["front", "wrist"], "Cameras to record."),
    )

    def __init__(self) -> None:
        """Declare parameters; the file is opened on activation."""
        super().__init__("recorder")
        self._writer: Writer | None = None

    def setup(self) -> None:
        """Make sure that there is a folder to write into."""
        folder = Path(self.settings["directory"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MagmaError(f"cannot record into {folder}: {error.strerror}") from error
        self._types = get_typestore(Stores.ROS2_JAZZY)

    def start(self) -> None:
        """Open the next free episode and listen."""
        self._path = next_episode(Path(self.settings["directory"]))
        self._writer = Writer(self._path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        cameras = [
            (names.camera_topic(c), Image, qos.EVERY_IMAGE) for c in self.settings["cameras"]
        ]
        self._inputs = [self._record(*topic) for topic in (*TOPICS, *cameras)]
        self._count = 0
        self.get_logger().info(f"recording into {self._path}")

    def stop(self) -> None:
        """Close the episode; only then is it a readable bag."""
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self.get_logger().info(f"{self._count} messages recorded into {self._path}")

    def _record(self, topic: str, kind: Any, profile: QoSProfile) -> object:
        assert self._writer is not None
        connection = self._writer.add_connection(
            self.resolve_topic_name(topic),
            _type_name(kind),
            typestore=self._types,
            offered_qos_profiles=[_bag_qos(profile)],
        )
        write = partial(self._write, connection)
        return self.create_subscription(kind, topic, write, profile, raw=True)

    def _write(self, connection: Connection, data: bytes) -> None:
        if self._writer is not None:
            self._writer.write(connection, self.get_clock().now().nanoseconds, data)
            self._count += 1


def next_episode(directory: Path) -> Path:
    """The first free ``episode_<n>`` below ``directory``."""
    number = 0
    while (path := directory / f"episode_{number}").exists():
        number += 1
    return path


def _type_name(kind: Any) -> str:
    """The full ROS name of a message class, for example ``std_msgs/msg/String``."""
    package = kind.__module__.split(".")[0]
    return f"{package}/msg/{kind.__name__}"


def _bag_qos(profile: QoSProfile) -> Qos:
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=profile.depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def main(args: list[str] | None = None) -> int:
    """Entry point of ``recorder_node``."""
    return run(RecorderNode, args)
