# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.time``: a point in time on one of the clocks."""

from __future__ import annotations

from functools import total_ordering
from typing import Any, overload

from magma_ros.embedded.wire.messages import message_class

from .clock_type import ClockType
from .duration import S_TO_NS, Duration


@total_ordering
class Time:
    """A point in time; only times of the same clock type can be compared or subtracted."""

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: float = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        """Add up seconds and nanoseconds.

        Raises:
            ValueError: The time is negative.
        """
        self.nanoseconds = int(seconds * S_TO_NS) + int(nanoseconds)
        if self.nanoseconds < 0:
            raise ValueError("a time must not be negative")
        self.clock_type = clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """The whole seconds, and the nanoseconds beyond them."""
        return divmod(self.nanoseconds, S_TO_NS)

    def to_msg(self) -> Any:
        """The time as ``builtin_interfaces/msg/Time``."""
        seconds, nanoseconds = self.seconds_nanoseconds()
        return message_class("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        """The time that a ``builtin_interfaces/msg/Time`` holds."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)

    def __add__(self, other: Duration) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        nanoseconds = self.nanoseconds + other.nanoseconds
        return Time(nanoseconds=nanoseconds, clock_type=self.clock_type)

    __radd__ = __add__

    @overload
    def __sub__(self, other: Time) -> Duration: ...

    @overload
    def __sub__(self, other: Duration) -> Time: ...

    def __sub__(self, other: Time | Duration) -> Duration | Time:
        if isinstance(other, Time):
            self._require_same_clock(other)
            return Duration(nanoseconds=self.nanoseconds - other.nanoseconds)
        if isinstance(other, Duration):
            nanoseconds = self.nanoseconds - other.nanoseconds
            return Time(nanoseconds=nanoseconds, clock_type=self.clock_type)
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._require_same_clock(other)
        return self.nanoseconds == other.nanoseconds

    def __lt__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._require_same_clock(other)
        return self.nanoseconds < other.nanoseconds

    def __hash__(self) -> int:
        return hash((self.nanoseconds, self.clock_type))

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self.nanoseconds}, clock_type={self.clock_type.name})"

    def _require_same_clock(self, other: Time) -> None:
        if self.clock_type is not other.clock_type:
            raise TypeError(
                f"times of different clocks cannot be compared or subtracted: "
                f"{self.clock_type.name} and {other.clock_type.name}"
            )
