# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of a camera's images to plan on, so that a rate is kept and not exceeded."""

from __future__ import annotations

import math

JITTER = 0.25
"""How far an image may come before its time, as a share of the period."""


class Pace:
    """Admits moments no more often, on average, than once a period.

    The next moment is due a period after the last one was *due*, not after it came: an image that
    comes a little early or late moves none of those that follow. What was missed is not made up.

    Attributes:
        last: The last moment used [s]; ``-inf`` before the first.
    """

    def __init__(self) -> None:
        self._due = -math.inf
        self.last = -math.inf

    def restart(self, after: float) -> None:
        """Admit nothing up to ``after`` [s], and then the first moment there is."""
        self._due = self.last = after

    def admits(self, stamp: float, period: float) -> bool:
        """Whether ``stamp`` [s] is new and due."""
        return stamp > self.last and stamp >= self._due - JITTER * period

    def take(self, stamp: float, period: float) -> None:
        """Note that ``stamp`` [s] is used; the next is due a ``period`` [s] later."""
        self.last = stamp
        self._due = max(self._due, stamp - JITTER * period) + period
