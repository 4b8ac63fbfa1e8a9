# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of the perception node: depth, the robot's state, and where the cameras are."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, JointState, PointCloud2
from tf2_ros import Buffer, ExtrapolationException, TransformException, TransformListener

from magma_ros.agent.stamps import StampCheck
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.cameras import CLOUD_TOPICS, DEPTH_TOPICS, named_topics
from magma_ros.nodes.depth_source import DepthSource
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.perception_settings import held_openings
from magma_ros.nodes.settings import SettingError
from magma_ros.perception.clearance import RobotState
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.joints import JointHistory
from magma_ros.types import FloatArray, MagmaError, Source

TWIST_HOLD = 0.2
"""Silence of the robot's commands after which nothing is commanded [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A picture and everything that is needed to measure by it.

    Attributes:
        source: Where it came from.
        stamp: When it was taken [s].
        message: The picture, or a cloud.
        intrinsics: Calibration of a picture; None for a cloud.
        camera_pose: (4, 4) from the camera's frame to the base frame.
        state: The robot at that time.
    """

    source: DepthSource
    stamp: float
    message: Image | PointCloud2
    intrinsics: Intrinsics | None
    camera_pose: FloatArray
    state: RobotState


class PerceptionInputs:
    """Subscribes, and puts together what belongs to one moment.

    Args:
        node: The perception node.

    Attributes:
        sources: The depth cameras.

    Raises:
        SettingError: The parameters name no source of depth, or one twice.
    """

    def __init__(self, node: ManagedNode) -> None:
        settings = node.settings
        self._node, self._base = node, str(settings["base_frame"])
        self._max_age, self._wait = float(settings["max_age"]), float(settings["sync_wait"])
        self._held = held_openings(settings)
        self._gripper = GripperJoint.from_settings(settings)
        self._opening = math.nan
        self._joint_stamps: dict[str, StampCheck] = {}
        self._joints_refused = ""
        self.joints = JointHistory(())
        self._velocity: FloatArray = np.zeros(3)
        self._commanded = -math.inf  # when [s]
        self._transforms: dict[str, str] = {}  # problems of TF, by source
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        self.sources = [
            DepthSource(node, name, topic, self._max_age, cloud=cloud)
            for setting, cloud in ((DEPTH_TOPICS, False), (CLOUD_TOPICS, True))
            for name, topic in named_topics(setting, settings[setting.name]).items()
        ]
        if len({source.name for source in self.sources}) != len(self.sources) or not self.sources:
            raise SettingError(
                "parameters depth_topics and cloud_topics must name at least one source of depth, "
                "each by a name of its own"
            )
        node.create_subscription(JointState, names.JOINT_STATES, self._on_joints, qos.SENSOR_STATE)
        for topic in names.TOOL_TWISTS:
            node.create_subscription(TwistStamped, topic, self._on_twist, qos.IMAGES)

    def close(self) -> None:
        """Stop listening to TF; topics are closed with the node's others."""
        self._listener.unregister()

    def problems(self, now: float) -> dict[str, str]:
        """What keeps the surroundings from being known at ``now`` [s], by name."""
        found = {f"depth {source.name}": source.problem(now) for source in self.sources}
        found |= {f"tf {name}": why for name, why in self._transforms.items()}
        found[names.JOINT_STATES] = self._joints_problem(now)
        return {name: why for name, why in found.items() if why}

    def take(self, now: float) -> Sight | None:
        """The next picture to measure by, or None while none is ready at ``now`` [s]."""
        waiting = [source for source in self.sources if source.newest is not None]
        for source in sorted(waiting, key=lambda source: source.stamp):
            if (sight := self._sight(source, now)) is not None:
                return sight
        return None

    def _sight(self, source: DepthSource, now: float) -> Sight | None:
        message, stamp = source.newest, source.stamp
        assert message is not None
        # Where each picture is replaced by the next before it may be used, waiting must end, too.
        if source.waits is None:
            source.waits = stamp
        may_wait = 0.0 <= now - stamp < self._wait and stamp - source.waits < self._wait
        behind = stamp - self.joints.newest
        if may_wait and behind > 0.0:
            return None
        pose = self._camera_pose(source, message.header.frame_id, may_wait=may_wait)
        if pose is None and may_wait and source.name not in self._transforms:
            return None
        usable = not source.unusable(now) and not self._joints_problem(now)
        if pose is not None and usable:
            joints = self.joints.at(stamp)
            source.unfit = _late(behind, self._wait) or source.frozen(joints)
        source.newest = source.waits = None
        if pose is None or not usable or source.unfit:
            return None
        state = RobotState(joints, self._holding(), self._commanded_velocity())
        return Sight(source, stamp, message, source.intrinsics, pose, state)

    def _camera_pose(self, source: DepthSource, frame: str, *, may_wait: bool) -> FloatArray | None:
        """(4, 4) from a camera's frame to the base frame, or None; the reason is noted.

        What moves must be known for the time of the picture, or may be waited for.
        """
        stamp = source.stamp
        try:
            try:
                when = Time.from_msg(convert.to_stamp(stamp))
                found = self._buffer.lookup_transform(self._base, frame, when)
            except ExtrapolationException:
                if may_wait:
                    return None
                found = self._buffer.lookup_transform(self._base, frame, Time())
                if abs(convert.seconds(found.header.stamp) - stamp) > self._wait:
                    raise
        except TransformException as error:
            self._transforms[source.name] = (
                f"TF does not lead from {self._base!r} to the depth camera's frame {frame[:60]!r} "
                f"({error}); publish the camera's mount"
            )
            return None
        self._transforms.pop(source.name, None)
        q, p = found.transform.rotation, found.transform.translation
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        pose[:3, 3] = p.x, p.y, p.z
        return pose

    def _joints_problem(self, now: float) -> str:
        if lacking := self.joints.lacking():
            return self._joints_refused or (
                f"joint_states lack {', '.join(lacking)}; is a driver missing?"
            )
        age = now - self.joints.newest
        if age > self._max_age:
            return self._joints_refused or f"joint_states are silent for {age:.1f} s"
        return ""

    def _on_joints(self, message: JointState) -> None:
        if (opening := self._gripper.asked(message)) is not None:
            self._opening = opening
        try:
            self._take_joints(message)
        except MagmaError as error:
            self._joints_refused = str(error)
            raise

    def _take_joints(self, message: JointState) -> None:
        stamp = convert.seconds(message.header.stamp)
        # An arm and its gripper report on their own, each in its own order of time.
        who = message.name[0][:60] if message.name else ""
        if who not in self._joint_stamps and len(self._joint_stamps) > 100:
            self._joint_stamps.clear()
        check = self._joint_stamps.setdefault(who, StampCheck(names.JOINT_STATES, self._max_age))
        if check.accept(stamp, self._now()):
            self.joints.add(stamp, dict(zip(message.name, message.position, strict=False)))
            self._joints_refused = ""

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD)
        if twist.frame_id == self._base and np.isfinite(twist.twist).all():
            self._velocity, self._commanded = twist.twist[:3], time.monotonic()

    def _commanded_velocity(self) -> FloatArray:
        silent = time.monotonic() - self._commanded > TWIST_HOLD
        return np.zeros(3) if silent else self._velocity

    def _holding(self) -> bool:
        least, most = self._held
        return least < self._opening < most

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())


def _late(behind: float, allowed: float) -> str:
    """That the joint states are too far ``behind`` a picture [s], or empty."""
    if behind <= allowed:
        return ""
    return (
        f"joint_states are {behind:.2f} s behind the depth images, and {allowed:g} s are allowed; "
        "raise their rate, or sync_wait"
    )
