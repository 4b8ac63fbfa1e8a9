# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds go out as they are read, and whatever contradicts itself is refused."""

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from magma_ros.nodes.clouds import cloud_message, columns_from_message
from magma_ros.nodes.convert import MessageError

FIELDS = ("x", "y", "z", "other")


@pytest.fixture
def cloud():
    numbers = np.arange(20.0).reshape(5, 4)
    return cloud_message(numbers, FIELDS, Header(frame_id="base_link"))


def test_what_is_written_is_read(cloud):
    numbers = np.arange(20.0).reshape(5, 4)
    np.testing.assert_array_equal(columns_from_message(cloud, FIELDS), numbers)
    np.testing.assert_array_equal(columns_from_message(cloud, ("z", "x")), numbers[:, [2, 0]])
    none = cloud_message(np.empty((0, 4)), FIELDS, Header())
    assert columns_from_message(none, ("x",)).shape == (0, 1)


def test_rows_may_be_padded_and_bytes_swapped():
    numbers = np.arange(12.0).reshape(2, 2, 3)
    data = np.zeros((2, 2 * 12 + 8), np.uint8)
    data[:, :24] = numbers.astype(">f4").view(np.uint8).reshape(2, 24)
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate("xyz")
    ]
    cloud = PointCloud2(
        height=2,
        width=2,
        fields=fields,
        is_bigendian=True,
        point_step=12,
        row_step=32,
        data=data.tobytes(),
    )
    np.testing.assert_array_equal(columns_from_message(cloud, "xyz"), numbers.reshape(4, 3))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"point_step": 2}, "broken"),
        ({"row_step": 10}, "broken"),
        ({"width": 6, "row_step": 96}, "carries"),
        ({"height": 2**31, "width": 2**31}, "at most"),
        ({"data": b""}, "carries"),
        ({"fields": []}, "no field"),
        ({"fields": [PointField(name="x", datatype=PointField.FLOAT64, count=1)]}, "FLOAT32"),
        ({"fields": [PointField(name="x", offset=2**32 - 1, datatype=7, count=1)]}, "broken"),
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused(cloud, wrong, says):
    for name, value in wrong.items():
        setattr(cloud, name, value)
    with pytest.raises(MessageError, match=says):
        columns_from_message(cloud, ("x",))
