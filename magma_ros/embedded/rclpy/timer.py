# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.timer``: callbacks at a fixed period of a clock."""

from __future__ import annotations

from collections.abc import Callable

from .callback_groups import CallbackGroup
from .clock import Clock


class Timer:
    """Calls back every period of its clock; periods that were missed are skipped, not made up."""

    def __init__(
        self,
        callback: Callable[[], object] | None,
        callback_group: CallbackGroup | None,
        timer_period_ns: int,
        clock: Clock,
        on_change: Callable[[], None],
        *,
        autostart: bool = True,
    ) -> None:
        """Start the first period now. ``on_change`` is told when the next call moves."""
        self.callback = callback
        self.callback_group = callback_group
        self.clock = clock
        self._period = int(timer_period_ns)
        self._on_change = on_change
        self._canceled = not autostart
        self._next = clock.nanoseconds() + self._period

    @property
    def timer_period_ns(self) -> int:
        """The period [ns]."""
        return self._period

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        self._period = int(value)
        self._on_change()

    def time_until_next_call(self) -> int | None:
        """How long until the next call [ns], negative when late; ``None`` if canceled."""
        return None if self._canceled else self._next - self.clock.nanoseconds()

    def is_ready(self) -> bool:
        """Whether the callback is due."""
        if self._canceled:
            return False
        now = self.clock.nanoseconds()
        if self._next - now > self._period:  # the clock was set back, as by a simulator's reset
            self._next = now + self._period
        return now >= self._next

    def call(self) -> None:
        """Begin the next period and call back."""
        if self._canceled:
            return
        self._next += self._period
        late = self.clock.nanoseconds() - self._next
        if late >= 0 and self._period:
            self._next += (late // self._period + 1) * self._period
        if self.callback is not None:
            self.callback()

    def reset(self) -> None:
        """Start a full period now, also when canceled."""
        self._canceled = False
        self._next = self.clock.nanoseconds() + self._period
        self._on_change()

    def cancel(self) -> None:
        """Call back no more until reset."""
        self._canceled = True

    def is_canceled(self) -> bool:
        """Whether the timer is canceled."""
        return self._canceled

    def destroy(self) -> None:
        """Call back no more."""
        self.cancel()
