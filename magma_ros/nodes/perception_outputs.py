# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the perception node publishes: clearance, vectors, points and markers."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, Range
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clearance_input import LEVER, VECTOR
from magma_ros.nodes.clouds import cloud_message
from magma_ros.perception.clearance import ClearanceConfig, ClearanceReading
from magma_ros.types import FloatArray

BODY_COLOUR = ColorRGBA(r=0.2, g=0.6, b=1.0, a=0.35)
NEAR_COLOUR = ColorRGBA(r=1.0, g=0.25, b=0.1, a=0.9)
FAR_COLOUR = ColorRGBA(r=1.0, g=0.8, b=0.2, a=0.7)

_SHAFT, _HEAD = 0.006, 0.014
"""Widths of an arrow's shaft and head [m]."""


class PerceptionOutputs:
    """Publishes readings.

    Args:
        node: Node to publish with.
        frame: The base frame, in which everything is told.
        config: Settings of the estimator.
        period: Least time between two clouds and marker arrays [s].
    """

    def __init__(self, node: Node, frame: str, config: ClearanceConfig, period: float) -> None:
        self._frame, self._config, self._period = frame, config, period
        self._shown = -math.inf
        publisher = node.create_publisher
        self._clearance = publisher(Range, names.CLEARANCE, qos.STATE)
        self._vectors = publisher(PointCloud2, names.CLEARANCE_VECTORS, qos.STATE)
        self._points = publisher(PointCloud2, names.POINTS, qos.IMAGES)
        self._markers = publisher(MarkerArray, names.OBSTACLE_MARKERS, qos.STATE)

    def publish(self, reading: ClearanceReading, now: float) -> None:
        """Publish a reading at ``now`` [s]; what is only looked at, not at every turn."""
        header = Header(stamp=convert.to_stamp(reading.stamp), frame_id=self._frame)
        vectors = np.concatenate([reading.vectors, reading.levers], axis=1)
        self._vectors.publish(cloud_message(vectors, [*VECTOR, *LEVER], header))
        self._clearance.publish(
            Range(
                header=header,
                radiation_type=Range.INFRARED,
                field_of_view=2.0 * self._config.cone,
                min_range=0.0,
                max_range=self._config.reach,
                range=reading.along,
            )
        )
        if now - self._shown < self._period:
            return
        self._shown = now
        if self._points.get_subscription_count():
            self._points.publish(cloud_message(reading.points, VECTOR, header))
        if self._markers.get_subscription_count():
            self._markers.publish(_markers(reading, header))


def _markers(reading: ClearanceReading, header: Header) -> MarkerArray:
    """The robot's body, and an arrow from it to each obstacle."""
    found = [Marker(header=header, action=Marker.DELETEALL)]
    for shape, pose in zip(reading.body.shapes, reading.body.poses, strict=True):
        size = 2.0 * (shape.half + shape.radius)
        if shape.radius > 0.0:
            kind = Marker.CYLINDER if shape.half.any() else Marker.SPHERE
        else:
            kind = Marker.CYLINDER if shape.cylindrical else Marker.CUBE
        found.append(_marker(header, "body", len(found), kind, BODY_COLOUR))
        found[-1].scale = Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2]))
        found[-1].pose = _pose(pose)
    for index, (origin, vector) in enumerate(zip(reading.origins, reading.vectors, strict=True)):
        colour = FAR_COLOUR if index else NEAR_COLOUR
        found.append(_marker(header, "vectors", index, Marker.ARROW, colour))
        found[-1].scale = Vector3(x=_SHAFT, y=_HEAD, z=0.0)
        found[-1].points = [_point(origin), _point(origin + vector)]
    return MarkerArray(markers=found)


def _marker(header: Header, group: str, index: int, kind: int, colour: ColorRGBA) -> Marker:
    marker = Marker(header=header, ns=group, id=index, type=kind, action=Marker.ADD, color=colour)
    marker.pose.orientation.w = 1.0
    return marker


def _pose(matrix: FloatArray) -> Pose:
    x, y, z, w = (float(v) for v in Rotation.from_matrix(matrix[:3, :3]).as_quat())
    return Pose(position=_point(matrix[:3, 3]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _point(position: FloatArray) -> Point:
    x, y, z = (float(v) for v in position)
    return Point(x=x, y=y, z=z)
