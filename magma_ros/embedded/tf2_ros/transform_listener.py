# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``tf2_ros.transform_listener``: fills a buffer from the topics."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from .buffer import Buffer
from .exceptions import InvalidArgumentException


class TransformListener:
    """Hears ``/tf`` and ``/tf_static``, which are absolute names by convention."""

    def __init__(self, buffer: Buffer, node: Node, *, spin_thread: bool = False) -> None:
        """Subscribe with ``node``, whose executor then fills ``buffer``.

        Args:
            buffer: Buffer to fill.
            node: Node to subscribe with.
            spin_thread: Must be false: nobody but the node's executor runs its callbacks.
        """
        if spin_thread:
            raise ValueError("the node's executor fills the buffer; a thread is not supported")
        self._buffer = buffer
        self._node = node
        moving = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100)
        static = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=100,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self.tf_sub = node.create_subscription(TFMessage, "/tf", self.callback, moving)
        self.tf_static_sub = node.create_subscription(
            TFMessage, "/tf_static", self.static_callback, static
        )

    def unregister(self) -> None:
        """Hear no more."""
        self._node.destroy_subscription(self.tf_sub)
        self._node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        """Take in what was said on ``/tf``."""
        self._take(data, self._buffer.set_transform)

    def static_callback(self, data: TFMessage) -> None:
        """Take in what was said on ``/tf_static``."""
        self._take(data, self._buffer.set_transform_static)

    def _take(self, data: TFMessage, take: Callable[[TransformStamped, str], None]) -> None:
        for transform in data.transforms:
            try:
                take(transform, "default_authority")
            except InvalidArgumentException as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)
