# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between the messages about marks and the types of the rooms."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Header

from magma_ros.agent.pointing import MarkedPoint
from magma_ros.nodes.convert import MessageError, seconds, to_stamp


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
