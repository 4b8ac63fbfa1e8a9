# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The clock of the messages, read finely where it ticks coarsely.

A simulator's ``/clock`` may come 20 times a second or less, and between two of its messages ROS
time stands still. A command stream that is sampled by it moves in jerks, and stamps compared with
it seem to jump. Read against the monotonic clock, it goes on between two ticks, at the pace of the
last ones and by no more than the last one's length; where time stops, it stops too.
"""

from __future__ import annotations

import math

_KEPT = 0.8
"""Share of the earlier ticks in the estimate of the pace."""


class InterpolatedClock:
    """Never runs back, unless the clock of the messages does."""

    def __init__(self) -> None:
        self._told = -math.inf
        self._tick = -math.inf  # newest time of the messages [s]
        self._ticked = 0.0  # when it was first read, on the monotonic clock [s]
        self._length = 0.0  # of the last tick [s]
        self._simulated = self._passed = 0.0  # over the last ticks [s]

    def read(self, message_time: float, monotonic: float) -> float:
        """The time of the messages [s], interpolated.

        Args:
            message_time: Reading of the clock of the messages [s].
            monotonic: Reading of the monotonic clock at the same moment [s].
        """
        if message_time != self._tick:
            self._note_tick(message_time, monotonic)
        # Not the pace first: two ticks at almost the same moment would make it infinite.
        passed = self._simulated * (monotonic - self._ticked)
        ahead = min(passed / self._passed, self._length) if self._passed > 0.0 else 0.0
        self._told = max(self._told, self._tick + ahead)
        return self._told

    def _note_tick(self, message_time: float, monotonic: float) -> None:
        if message_time < self._tick or math.isinf(self._tick):
            self._told = -math.inf
            self._length = self._simulated = self._passed = 0.0
        else:
            self._length = message_time - self._tick
            self._simulated = _KEPT * self._simulated + self._length
            self._passed = _KEPT * self._passed + monotonic - self._ticked
        self._tick, self._ticked = message_time, monotonic
