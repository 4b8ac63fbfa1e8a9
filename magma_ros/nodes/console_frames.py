# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames that an operator can jog in: base, tool, and the first camera's picture."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException

from magma_ros.console.held import BODY_FROM_OPTICAL
from magma_ros.console.robot import JogFrame
from magma_ros.nodes import names, qos
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import Pose

PATIENCE = 0.5
"""Age of a pose beyond which nobody knows how tool and hand camera stand [s]."""


class JogFrames:
    """How the axes of each frame stand in the base frame, as far as is known.

    A camera is fixed to the base or to the hand, so ``/tf_static`` alone tells where; ``/tf``, of
    which there is much, is not heard.

    Args:
        node: Node to subscribe with.
        optical_frame: Tells the optical frame of the camera whose picture is jogged in.
    """

    def __init__(self, node: ManagedNode, optical_frame: Callable[[], str]) -> None:
        self._base = str(node.settings["base_frame"])
        self._end = str(node.settings["ee_frame"])
        self._node = node
        self._optical_frame = optical_frame
        self._buffer = Buffer()
        self._tool: tuple[Rotation, float] | None = None
        self._mounts: dict[str, Rotation] = {}
        node.create_subscription(TFMessage, names.TF_STATIC, self._on_static, qos.LATCHED_BY_MANY)

    def on_pose(self, pose: Pose, now: float) -> None:
        """Take in where the end effector is."""
        self._tool = Rotation.from_quat(pose.quaternion), now

    def known(self, now: float) -> tuple[JogFrame, ...]:
        """The frames whose axes are known at ``now`` [s]."""
        return tuple(frame for frame in JogFrame if self.rotation(frame, now) is not None)

    def rotation(self, frame: JogFrame, now: float) -> Rotation | None:
        """The axes of ``frame`` in the base frame (x forward, y left, z up), or None."""
        if frame is JogFrame.BASE:
            return Rotation.identity()
        tool = None
        if self._tool is not None and now - self._tool[1] <= PATIENCE:
            tool = self._tool[0]
        if frame is JogFrame.TOOL:
            return tool
        mounts = self._mounts
        if self._base in mounts:
            return mounts[self._base] * BODY_FROM_OPTICAL.inv()
        if self._end in mounts and tool is not None:
            return tool * mounts[self._end] * BODY_FROM_OPTICAL.inv()
        return None

    def _on_static(self, message: TFMessage) -> None:
        for transform in message.transforms:
            try:
                self._buffer.set_transform_static(transform, "tf_static")
            except (TransformException, ValueError) as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)
        self._mounts = {
            parent: rotation
            for parent in (self._base, self._end)
            if (rotation := self._mount(parent)) is not None
        }

    def _mount(self, parent: str) -> Rotation | None:
        """How the camera's optical frame stands in ``parent``, if the two are fixed together."""
        try:
            found = self._buffer.lookup_transform(parent, self._optical_frame(), Time())
        except TransformException:
            return None
        return _rotation(found)


def _rotation(transform: TransformStamped) -> Rotation:
    q = transform.transform.rotation
    return Rotation.from_quat([q.x, q.y, q.z, q.w])
