# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One depth camera: its newest picture, its calibration, and what is wrong with it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from magma_ros.agent.stamps import StampCheck
from magma_ros.nodes import convert, qos
from magma_ros.nodes.cameras import info_beside
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.perception.depth import Intrinsics
from magma_ros.types import MagmaError

FROZEN_TURN = 0.05
"""How far a joint moves before a picture that has not changed meanwhile is frozen [rad or m]."""


class DepthSource:
    """Keeps the newest picture of one camera, or the newest cloud of one sensor.

    Args:
        node: Node to subscribe with.
        name: Of the camera.
        topic: Of the pictures or clouds.
        max_age: Age beyond which they are refused [s].
        cloud: Whether they are clouds, which need no calibration.

    Attributes:
        refused: Why the newest message could not be used, or empty.
        unfit: Why the newest picture was not measured, or empty; set by who takes it.
        obstacle: Why the last one that was measured showed nothing, or empty; set by who measures.
        newest: The newest picture that was not taken yet, or None.
        waits: Stamp of the first picture that has waited since one was taken [s], or None.
        skipped: Pictures that were overtaken by a newer one before they were taken.
    """

    def __init__(
        self, node: ManagedNode, name: str, topic: str, max_age: float, *, cloud: bool
    ) -> None:
        self.name, self._topic, self._max_age, self._cloud = name, topic, max_age, cloud
        self.refused = self.unfit = self.obstacle = self._info_refused = ""
        self.skipped = 0
        self._node = node
        self._stamps = StampCheck(f"depth of {name!r}", max_age)
        self._print: int | None = None  # of the newest picture's data
        self._joints: Mapping[str, float] | None = None  # when the picture last changed
        self.intrinsics: Intrinsics | None = None
        self.newest: Image | PointCloud2 | None = None
        self.waits: float | None = None
        kind = PointCloud2 if cloud else Image
        node.create_subscription(kind, topic, self._on_message, qos.IMAGES)
        if not cloud:
            node.create_subscription(CameraInfo, info_beside(topic), self._on_info, qos.IMAGES)

    @property
    def stamp(self) -> float:
        """Of the newest picture [s]; -inf before the first."""
        return self._stamps.newest

    def problem(self, now: float) -> str:
        """Why nothing is known by it at ``now`` [s], in a sentence, or empty."""
        return self.unusable(now) or self.unfit or self.obstacle

    def unusable(self, now: float) -> str:
        """What keeps its newest picture from being measured, in a sentence, or empty."""
        age = now - self.stamp
        if not age <= self._max_age:
            if self.refused:
                return self.refused
            silence = "has come yet" if math.isinf(age) else f"has come for {age:.1f} s"
            return f"no depth of {self.name!r} {silence}; is {self._topic} published?"
        if not self._cloud and self.intrinsics is None:
            return self._info_refused or (
                f"no calibration of {self.name!r} has come yet; is {info_beside(self._topic)} "
                "published?"
            )
        return ""

    def frozen(self, joints: Mapping[str, float]) -> str:
        """That the newest picture is an old one though the robot has moved, or empty.

        Args:
            joints: Where the robot was when the newest picture is stamped.
        """
        assert self.newest is not None
        data = zlib.crc32(self.newest.data)
        if data != self._print or self._joints is None or joints.keys() != self._joints.keys():
            self._print, self._joints = data, joints
            return ""
        moved = max((abs(joints[name] - self._joints[name]) for name in joints), default=0.0)
        if moved <= FROZEN_TURN:
            return ""
        return f"{self.name!r} repeats its depth while the robot moves; restart the camera"

    def _on_message(self, message: Image | PointCloud2) -> None:
        now = convert.seconds(self._node.get_clock().now().to_msg())
        try:
            if not self._stamps.accept(convert.seconds(message.header.stamp), now):
                return
        except MagmaError as error:
            self.refused = str(error)
            raise
        self.skipped += self.newest is not None
        self.newest, self.refused = message, ""

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self.intrinsics, self._info_refused = _intrinsics(message), ""
        except MagmaError as error:
            self.intrinsics = None
            self._info_refused = f"{self.name!r}: {error}"
            raise


def _intrinsics(message: CameraInfo) -> Intrinsics:
    """The calibration of rectified pictures, which is in the projection matrix, else in K."""
    k, p = [float(v) for v in message.k], [float(v) for v in message.p]
    focal = (p[0], p[5], p[2], p[6]) if p[0] != 0.0 else (k[0], k[4], k[2], k[5])
    return Intrinsics(int(message.width), int(message.height), *focal)
