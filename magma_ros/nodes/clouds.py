# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of points as messages, and back."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from magma_ros.nodes.convert import MessageError
from magma_ros.types import FloatArray

MAX_POINTS = 2**22
"""Most points of a cloud that are read, twice 1920 x 1080."""

_SIZE = 4
"""Bytes of a FLOAT32."""


def cloud_message(columns: FloatArray, fields: Sequence[str], header: Header) -> PointCloud2:
    """A cloud of FLOAT32.

    Args:
        columns: (N, len(fields)) numbers.
        fields: Their names.
        header: Header of the message.
    """
    step = _SIZE * len(fields)
    data = np.ascontiguousarray(columns, dtype="<f4").tobytes()
    return PointCloud2(
        header=header,
        height=1,
        width=len(columns),
        fields=[
            PointField(name=name, offset=_SIZE * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(fields)
        ],
        is_bigendian=False,
        point_step=step,
        row_step=step * len(columns),
        data=array.array("B", data),
        is_dense=True,
    )


def columns_from_message(message: PointCloud2, fields: Sequence[str]) -> FloatArray:
    """Some fields (N, len(fields)) of each point of a cloud, row by row.

    Raises:
        MessageError: A field is missing or no FLOAT32, or the sizes contradict each other.
    """
    width, height = int(message.width), int(message.height)
    step, row = int(message.point_step), int(message.row_step)
    if not 0 <= width * height <= MAX_POINTS:
        raise MessageError(f"the cloud claims {width} x {height} points; at most {MAX_POINTS} fit")
    offsets = [_offset(message, name) for name in fields]
    if any(offset + _SIZE > step for offset in offsets) or row < step * width:
        raise MessageError(
            f"the cloud's points of {step} bytes in rows of {row} do not hold {width} times "
            f"{', '.join(fields)}; its publisher is broken"
        )
    if len(message.data) != row * height:
        raise MessageError(
            f"the cloud carries {len(message.data)} bytes where {height} rows of {row} are "
            f"{row * height}; its publisher is broken"
        )
    if not width * height:
        return np.empty((0, len(fields)))
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": list(fields),
            "formats": [order + "f4"] * len(fields),
            "offsets": offsets,
            "itemsize": step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, row)[:, : step * width]
    points = np.ascontiguousarray(rows).reshape(-1).view(kind)
    return np.stack([points[name] for name in fields], axis=1).astype(np.float64)


def _offset(message: PointCloud2, name: str) -> int:
    for field in message.fields:
        if field.name == name:
            if field.datatype != PointField.FLOAT32 or field.count > 1:
                raise MessageError(f"field {name!r} of the cloud must be one FLOAT32")
            return int(field.offset)
    there = ", ".join(field.name[:20] for field in message.fields) or "none"
    raise MessageError(f"the cloud has no field {name!r}, only {there}")
