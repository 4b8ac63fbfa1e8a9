# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the guard hears of obstacles: one distance, or a vector to each of several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, Range
from tf2_ros import Buffer, TransformException, TransformListener

from magma_ros.guard import Clearance, ClearanceSource, Obstacles
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clouds import columns_from_message
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.settings import Settings
from magma_ros.types import FloatArray

VECTOR = ("x", "y", "z")
"""Fields of the shortest vector to an obstacle."""

LEVER = ("lever_x", "lever_y", "lever_z")
"""Fields of what leads from the end effector to the body's point where a vector begins; optional
in what is received."""

_TOPICS = {
    ClearanceSource.RANGE: names.CLEARANCE,
    ClearanceSource.VECTORS: names.CLEARANCE_VECTORS,
}


def clearance_topic(settings: Settings) -> str:
    """The topic that tells of obstacles."""
    return _TOPICS[ClearanceSource(settings["proximity.source"])]


class ClearanceInput:
    """Hands over each measurement of obstacles, stamped on the clock of the messages.

    Args:
        node: Node to subscribe with; it has the guard's parameters.
        on_measured: Called with each measurement.
    """

    def __init__(
        self, node: ManagedNode, on_measured: Callable[[Clearance | Obstacles], None]
    ) -> None:
        settings, topic = node.settings, clearance_topic(node.settings)
        self._on_measured = on_measured
        self._base = str(settings["base_frame"])
        self._buffer = Buffer()
        self._listener: TransformListener | None = None
        if topic == names.CLEARANCE_VECTORS:
            node.create_subscription(PointCloud2, topic, self._on_vectors, qos.SENSOR_STATE)
            return
        node.create_subscription(Range, topic, self._on_range, qos.SENSOR_STATE)
        if settings["proximity.direction_frame"] == "sensor":
            self._listener = TransformListener(self._buffer, node)

    def close(self) -> None:
        """Stop listening to TF; the topic is closed with the node's others."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def _on_range(self, message: Range) -> None:
        clearance = Clearance(
            stamp=convert.seconds(message.header.stamp),
            distance=float(message.range),
            lowest=float(message.min_range),
            highest=float(message.max_range),
            direction=self._forward(message) if self._listener is not None else None,
        )
        self._on_measured(clearance)

    def _forward(self, message: Range) -> FloatArray:
        """Where a range sensor looks, which is along its x axis (REP 117), in the base frame.

        Raises:
            MessageError: TF does not know its frame.
        """
        frame = message.header.frame_id
        try:
            found = self._buffer.lookup_transform(self._base, frame, Time())
        except TransformException as error:
            raise convert.MessageError(
                f"TF does not lead from {self._base!r} to the range sensor's frame {frame!r} "
                f"({error}); publish it, or give proximity.direction in another frame"
            ) from error
        q = found.transform.rotation
        turn = Rotation.from_quat([q.x, q.y, q.z, q.w])
        return np.asarray(turn.apply([1.0, 0.0, 0.0]))

    def _on_vectors(self, message: PointCloud2) -> None:
        vectors = columns_from_message(message, VECTOR)
        there = {field.name for field in message.fields}
        levers = columns_from_message(message, LEVER) if set(LEVER) <= there else np.zeros((0, 3))
        stamp = convert.seconds(message.header.stamp)
        self._on_measured(Obstacles(stamp, message.header.frame_id, vectors, levers))
