# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the stream has really played, so that a late chunk is entered at the right step."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from magma_ros.types import FloatArray


class Progress(NamedTuple):
    """How far the stream has come since it began.

    Attributes:
        played: Plan time consumed [s]; idle and decelerating time does not count.
        travelled: (6,) displacement that was commanded [m, rad], less what is known to have been
            withheld from the robot.
    """

    played: float
    travelled: FloatArray


class History:
    """Progress over time, interpolated between the moments at which it was recorded.

    A stretch without progress keeps only its two ends, so waiting costs no memory.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._entries: list[Progress] = []

    def __len__(self) -> int:
        """The number of notes kept."""
        return len(self._times)

    def record(self, now: float, progress: Progress) -> None:
        """Note ``progress`` at ``now`` [s], no earlier than the last note."""
        if len(self._entries) >= 2 and all(_same(progress, e) for e in self._entries[-2:]):
            self._times[-1] = now
            return
        self._times.append(now)
        self._entries.append(progress)

    def at(self, when: float) -> Progress:
        """Progress at ``when`` [s]; before the first note it is that of the first."""
        after = bisect_right(self._times, when)
        if after in (0, len(self._times)):
            return self._entries[min(after, len(self._times) - 1)]
        start, end = self._entries[after - 1], self._entries[after]
        span = self._times[after] - self._times[after - 1]
        part = (when - self._times[after - 1]) / span
        return Progress(
            start.played + part * (end.played - start.played),
            start.travelled + part * (end.travelled - start.travelled),
        )

    def forget_before(self, when: float) -> None:
        """Drop what is not needed to answer :meth:`at` from ``when`` [s] on."""
        keep = max(bisect_right(self._times, when) - 1, 0)
        del self._times[:keep], self._entries[:keep]


def _same(one: Progress, other: Progress) -> bool:
    return one.played == other.played and np.array_equal(one.travelled, other.travelled)
