# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.clock_type``: the kinds of clocks."""

from enum import IntEnum


class ClockType(IntEnum):
    """The kinds of clocks."""

    UNINITIALIZED = 0
    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3
