# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's cameras: heard only while somebody looks at them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CompressedImage, Image

from magma_ros.agent.picture import PictureError
from magma_ros.console.pictures import Encoding, LatestPicture
from magma_ros.console.robot import CameraView
from magma_ros.nodes import qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.console_view import ConsoleView
from magma_ros.nodes.images import picture_from_message
from magma_ros.nodes.managed_node import ManagedNode

LOOK_PERIOD = 0.1
"""Time between two looks at which cameras are wanted [s]."""

WANTED_FOR = 3.0
"""Time after which a camera that nobody has asked for is heard no more [s]."""


class ConsoleCameras:
    """Subscribes to what is looked at, keeps the newest picture, and encodes it once for all.

    Args:
        node: Node to subscribe with; it has the parameters cameras, camera_topics, transport,
            picture_rate and picture_width.
        view: Knows what the policy intends in the pictures.
    """

    def __init__(self, node: ManagedNode, view: ConsoleView) -> None:
        settings = node.settings
        self._node, self._view = node, view
        self._where = CameraTopics(settings[CAMERA_TOPICS.name])
        self._compressed = settings["transport"] == "compressed"
        encoding = Encoding(settings["picture_rate"], settings["picture_width"])
        names = list(self._where.bases) or settings["cameras"]
        self._latest = {name: LatestPicture(encoding) for name in names}
        self._wanted: dict[str, float] = {}
        self._subscriptions: dict[str, Any] = {}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(LOOK_PERIOD, self._look, clock=steady)

    def close(self) -> None:
        """Hear no more."""
        self._node.destroy_timer(self._timer)

    def first_frame(self) -> str:
        """The optical frame of the camera that is shown first."""
        return self.frame(next(iter(self._latest), ""))

    def frame(self, camera: str) -> str:
        """The optical frame of a camera: as its pictures say, or else by its name."""
        picture = self._latest[camera].newest if camera in self._latest else None
        return (picture.frame_id if picture else "") or f"{camera}_camera_optical"

    def views(self) -> tuple[CameraView, ...]:
        """The state of each camera; from any thread."""
        return tuple(self._camera_view(name) for name in self._latest)

    def jpeg(self, camera: str, after: float) -> tuple[bytes, float] | None:
        """The newest picture of a camera, if it came after ``after`` [s]; from any thread."""
        if camera not in self._latest:
            return None
        now = time.monotonic()
        self._wanted[camera] = now
        try:
            return self._latest[camera].jpeg(after, now)
        except PictureError as error:
            self._node.get_logger().warning(
                f"camera {camera!r}: {error}", throttle_duration_sec=5.0
            )
            return None

    def _camera_view(self, name: str) -> CameraView:
        now, latest = time.monotonic(), self._latest[name]
        picture = latest.newest
        if picture is None:
            return CameraView(name)
        size = picture.width, picture.height
        paths, intended_age = self._view.intended(self.frame(name), *size)
        return CameraView(name, latest.age(now), latest.rate(now), *size, paths, intended_age)

    def _look(self) -> None:
        """Subscribe to what is wanted, and to nothing else."""
        now = time.monotonic()
        for name in self._latest:
            wanted = now - self._wanted.get(name, float("-inf")) < WANTED_FOR
            if wanted and name not in self._subscriptions:
                self._subscriptions[name] = self._node.create_subscription(
                    CompressedImage if self._compressed else Image,
                    self._where.image(name, compressed=self._compressed),
                    partial(self._on_image, name),
                    qos.IMAGES,
                )
            elif not wanted and name in self._subscriptions:
                self._node.destroy_subscription(self._subscriptions.pop(name))

    def _on_image(self, name: str, message: Image | CompressedImage) -> None:
        self._latest[name].hear(picture_from_message(message), time.monotonic())
