# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with marks and the policy's trace drawn on them, for those who look."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
from sensor_msgs.msg import Image
from visualization_msgs.msg import ImageMarker

from magma_ros.agent.picture import Picture
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.perception import overlay
from magma_ros.perception.marks import Mark
from magma_ros.types import FloatArray, ImageArray

LEAST_WIDTH = 480
"""Smaller pictures are enlarged, a whole number of times, to at least this [px]."""

TRACE_LIFETIME = 2.0
"""How long a trace is drawn after the picture that it was made of [s]."""


class MarkOverlay:
    """Publishes ``overlay/image`` while somebody subscribes to it.

    Args:
        node: Node to subscribe and publish with.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._paths: dict[tuple[str, str], tuple[float, FloatArray]] = {}
        self._publisher = node.create_publisher(Image, names.OVERLAY, qos.IMAGES)
        node.create_subscription(ImageMarker, names.POLICY_TRACE, self._on_trace, qos.EVENTS)

    def show(self, picture: Picture, pixels: ImageArray, marks: Iterable[Mark]) -> None:
        """Publish a picture, (H, W, 3) uint8 RGB, with what is known of it."""
        if self._publisher.get_subscription_count() == 0:
            return
        times = max(1, -(-LEAST_WIDTH // picture.width))
        drawn = cv2.resize(pixels, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
        paths = {
            name: path * times
            for (frame, name), (stamp, path) in self._paths.items()
            if frame == picture.frame_id and 0.0 <= picture.stamp - stamp <= TRACE_LIFETIME
        }
        drawn = overlay.draw_marks(overlay.draw_paths(drawn, paths), marks)
        stamp = convert.to_stamp(picture.stamp)
        self._publisher.publish(convert.image_to_message(drawn, picture.frame_id, stamp))

    def _on_trace(self, message: ImageMarker) -> None:
        name, path = convert.path_from_marker(message)
        stamp, frame = convert.seconds(message.header.stamp), message.header.frame_id
        self._paths = {key: value for key, value in self._paths.items() if key[0] == frame}
        self._paths[frame, name] = stamp, path
