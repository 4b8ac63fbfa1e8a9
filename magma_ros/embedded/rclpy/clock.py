# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.clock``: system, steady and ROS time."""

from __future__ import annotations

import time
from threading import Condition
from typing import TYPE_CHECKING, Any

from .clock_type import ClockType
from .duration import S_TO_NS, Duration
from .time import Time

if TYPE_CHECKING:
    from .context import Context

__all__ = ["Clock", "ClockType", "ROSClock"]


class Clock:
    """A clock; ``Clock(clock_type=ClockType.ROS_TIME)`` makes a ``ROSClock``."""

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Any:
        """Choose the class by the kind of clock."""
        return object.__new__(ROSClock if clock_type == ClockType.ROS_TIME else cls)

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        """Make a clock of the given kind."""
        self.clock_type = clock_type

    def now(self) -> Time:
        """The present time."""
        return Time(nanoseconds=self.nanoseconds(), clock_type=self.clock_type)

    def nanoseconds(self) -> int:
        """The present time [ns]."""
        return time.monotonic_ns() if self._is_steady else time.time_ns()

    @property
    def follows_simulation(self) -> bool:
        """Whether time comes from ``/clock``."""
        return False

    def sleep_until(self, until: Time, context: Context | None = None) -> bool:
        """Sleep until a point in time of this clock.

        Returns:
            Whether that time was reached; false if the context was shut down before.
        """
        if until.clock_type != self.clock_type:
            raise ValueError("the time to sleep until is of another type of clock")
        return self._sleep_until(until.nanoseconds, context)

    def sleep_for(self, rel_time: Duration, context: Context | None = None) -> bool:
        """Sleep for a length of time of this clock; see ``sleep_until``."""
        return self._sleep_until(self.nanoseconds() + rel_time.nanoseconds, context)

    @property
    def _is_steady(self) -> bool:
        return self.clock_type == ClockType.STEADY_TIME

    def _sleep_until(self, nanoseconds: int, context: Context | None) -> bool:
        from .utilities import get_default_context

        context = context or get_default_context()
        while context.ok():
            left = nanoseconds - self.nanoseconds()
            if left <= 0:
                return True
            self._pause(left / S_TO_NS)
        return False

    def _pause(self, seconds: float) -> None:
        # Short enough that a shutdown is noticed.
        time.sleep(min(seconds, 0.1))


class ROSClock(Clock):
    """System time, or simulated time from ``/clock`` when its node uses that."""

    def __init__(self, *, clock_type: ClockType = ClockType.ROS_TIME) -> None:
        """Start on system time."""
        super().__init__(clock_type=clock_type)
        self._simulated: int | None = None
        self._moved = Condition()

    @property
    def ros_time_is_active(self) -> bool:
        """Whether time comes from ``/clock``."""
        return self._simulated is not None

    @property
    def follows_simulation(self) -> bool:
        """Whether time comes from ``/clock``."""
        return self.ros_time_is_active

    def nanoseconds(self) -> int:
        """The present time [ns]; simulated time is 0 until the first ``/clock`` message."""
        return super().nanoseconds() if self._simulated is None else self._simulated

    def simulate(self, nanoseconds: int | None) -> None:
        """Set simulated time [ns]; ``None`` returns to system time."""
        with self._moved:
            self._simulated = nanoseconds
            self._moved.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._moved:
            self._moved.wait(0.1 if self.ros_time_is_active else min(seconds, 0.1))
