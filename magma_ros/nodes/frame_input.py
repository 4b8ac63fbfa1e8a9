# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames are in the base frame, from TF."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from geometry_msgs.msg import Point, PoseStamped, TransformStamped
from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from magma_ros.agent.stamps import StampCheck, StampError
from magma_ros.nodes import convert
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import Pose

TF_PERIOD = 0.02
"""Time between two looks at TF [s]."""


class FrameInput:
    """Hands over each new pose of some frames, finite, in the base frame, in order of time.

    The stamp is that of the oldest transform on the way there. A frame that is fixed to the base is
    where it is at any time.

    Args:
        node: Node to subscribe with; it has ``base_frame``.
        frames: Their names.
        max_age: Age beyond which a pose is refused [s].
        on_pose: Called with the frame and its pose; the stamp is on the node's clock.
        on_refused: Called with the frame and a sentence for each pose that cannot be used.
    """

    def __init__(
        self,
        node: ManagedNode,
        frames: Iterable[str],
        max_age: float,
        on_pose: Callable[[str, Pose], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._node = node
        self._on_pose, self._on_refused = on_pose, on_refused
        self._base = str(node.settings["base_frame"])
        self._stamps = {
            frame: StampCheck(tf_source(self._base, frame), max_age) for frame in frames
        }
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(TF_PERIOD, self._look, clock=steady)

    def close(self) -> None:
        """Stop looking at TF."""
        self._node.destroy_timer(self._timer)
        self._listener.unregister()

    def _look(self) -> None:
        for frame, stamps in self._stamps.items():
            try:
                found = self._buffer.lookup_transform(self._base, frame, Time())
                pose, now = pose_from_transform(found), self._now()
                if pose.stamp == 0.0:  # by static transforms alone
                    pose = replace(pose, stamp=now)
                known = pose.stamp == stamps.newest  # and by now perhaps old: TF is silent
                if not known and stamps.accept(pose.stamp, now):
                    self._on_pose(frame, pose)
            except TransformException as error:
                self._on_refused(frame, f"no {tf_source(self._base, frame)} yet: {error}")
            except (convert.MessageError, StampError) as error:
                self._on_refused(frame, str(error))

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())


def tf_source(base: str, frame: str) -> str:
    """Where the pose of a frame comes from, in words."""
    return f"TF from {base!r} to {frame!r}"


def pose_from_transform(transform: TransformStamped) -> Pose:
    """The pose of a transform's child in its parent.

    Raises:
        MessageError: It is no pose.
    """
    at, message = transform.transform.translation, PoseStamped(header=transform.header)
    message.pose.position = Point(x=at.x, y=at.y, z=at.z)
    message.pose.orientation = transform.transform.rotation
    return convert.pose_from_message(message)
