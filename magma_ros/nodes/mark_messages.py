# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between the messages about marks and the types of the rooms."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Point, PointStamped, PolygonInstanceStamped
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from magma_ros.agent.pointing import MarkedPoint
from magma_ros.nodes.convert import MessageError, seconds, to_stamp
from magma_ros.perception.marks import Mark
from magma_ros.types import FloatArray

MOST_THINGS = 100
"""Most things in one picture that are taken from others."""

MOST_CORNERS = 1000
"""Corners of an outline that are taken from others; the rest is left out."""


def point_from_message(message: PointStamped) -> MarkedPoint:
    """Where a mark was found: x is the column, y the row, z the number of the mark.

    Raises:
        MessageError: The number is not whole, or the row is not a number while the column is.
    """
    x, y, z = (float(v) for v in (message.point.x, message.point.y, message.point.z))
    if not (1.0 <= z <= 9999.0 and z == math.floor(z)):
        raise MessageError(
            f"instruction/point is of mark {z:g}; give the mark's number, from 1, as z"
        )
    if not math.isnan(x) and math.isnan(y):
        raise MessageError("instruction/point has a column but no row; give x and y from 0 to 256")
    return MarkedPoint(seconds(message.header.stamp), message.header.frame_id, int(z), x, y)


def point_to_message(point: MarkedPoint) -> PointStamped:
    """A message of where a mark was found, or of its not being there (x is nan)."""
    return PointStamped(
        header=Header(stamp=to_stamp(point.stamp), frame_id=point.frame_id),
        point=Point(x=point.column, y=point.row, z=float(point.number)),
    )


def marks_to_message(
    marks: Iterable[Mark], camera: str, frame_id: str, stamp: float
) -> MarkerArray:
    """All marks of one picture; places are columns and rows on Magma's 256 x 256 grid over it."""
    header = Header(stamp=to_stamp(stamp), frame_id=frame_id)
    markers = []
    for mark in marks:
        column, row = mark.point
        marker = Marker(header=header, ns=camera, id=mark.number, text=str(mark.number))
        marker.type, marker.action = Marker.LINE_STRIP, Marker.ADD
        marker.pose.position.x, marker.pose.position.y = float(column), float(row)
        marker.pose.orientation.w = 1.0
        marker.scale.x = 1.0
        marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        marker.points = [Point(x=float(x), y=float(y)) for x, y in mark.outline]
        markers.append(marker)
    return MarkerArray(markers=markers)


def outline_from_message(message: PolygonInstanceStamped, frame_id: str) -> FloatArray | None:
    """(N, 2) columns and rows [px] of what somebody found in a picture of a camera.

    Returns:
        None if it is of a picture of another camera.

    Raises:
        MessageError: It has no area, or its corners are not finite.
    """
    if message.header.frame_id != frame_id:
        return None
    corners = np.array([(p.x, p.y) for p in message.polygon.polygon.points[:MOST_CORNERS]], float)
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise MessageError("a detection needs three or more finite corners, in pixels")
    return corners
