# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The end effector's pose in the base frame, from a topic or from TF alone."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_ros import Buffer, TransformException, TransformListener

from magma_ros.agent.stamps import StampCheck, StampError
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.frame_input import FrameInput, pose_from_transform, tf_source
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import Pose


class PoseInput:
    """Hands over each new pose of the end effector, finite, in the base frame, in order of time.

    A pose on ``ee_pose`` in another frame is transformed into the base frame if TF knows how.
    """

    def __init__(
        self,
        node: ManagedNode,
        max_age: float,
        on_pose: Callable[[Pose], None],
        on_refused: Callable[[str], None],
    ) -> None:
        """Subscribe.

        Args:
            node: Node to subscribe with; it has ``base_frame`` and ``POSE_SETTINGS``.
            max_age: Age beyond which a pose is refused [s].
            on_pose: Called with each pose; its stamp is on the node's clock.
            on_refused: Called with a sentence for each pose that cannot be used.
        """
        self._node = node
        self._on_pose = on_pose
        self._on_refused = on_refused
        self._base = str(node.settings["base_frame"])
        self._buffer = Buffer()
        self._listener: TransformListener | None = None
        self._frames: FrameInput | None = None
        self.source = names.EE_POSE
        if node.settings["pose_source"] == "tf":
            end = str(node.settings["ee_frame"])
            self.source = tf_source(self._base, end)
            self._frames = FrameInput(
                node,
                [end],
                max_age,
                lambda _, pose: on_pose(pose),
                lambda _, why: on_refused(why),
            )
        else:
            node.create_subscription(PoseStamped, names.EE_POSE, self._on_message, qos.SENSOR_STATE)
        self._stamps = StampCheck(self.source, max_age)

    def close(self) -> None:
        """Stop looking at TF; the topic is closed with the node's others."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def _listen(self) -> None:
        """Subscribe to TF, which is not cheap, when it is first needed."""
        if self._listener is None:
            self._listener = TransformListener(self._buffer, self._node)

    def _on_message(self, message: PoseStamped) -> None:
        try:
            pose = convert.pose_from_message(message)
            if not self._stamps.accept(pose.stamp, self._now()):
                return
            if message.header.frame_id != self._base:
                pose = self._into_base(pose, message)
            self._on_pose(pose)
        except (convert.MessageError, StampError) as error:
            self._on_refused(str(error))

    def _into_base(self, pose: Pose, message: PoseStamped) -> Pose:
        frame = message.header.frame_id
        self._listen()
        try:
            found = self._buffer.lookup_transform(
                self._base, frame, Time.from_msg(message.header.stamp)
            )
        except TransformException as error:
            raise convert.MessageError(
                f"{names.EE_POSE} is in frame {frame!r}, not in {self._base!r}, and TF does not "
                f"lead from one to the other ({error}); publish it in the base frame"
            ) from error
        base = pose_from_transform(found)
        turn = Rotation.from_quat(base.quaternion)
        return Pose(
            pose.stamp,
            base.position + turn.apply(pose.position),
            (turn * Rotation.from_quat(pose.quaternion)).as_quat(),
        )

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())
