# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long until the answer of a server is here, by its latest answers.

A round trip is the way there and back, the wait in the server's queue, and its computing. The first
is what the robot measures less what the server tells of the others. Way and computing are each
forecast by a window of their own; the queue, which rises and falls within seconds, by the longest
of the last :data:`RECENT` waits told. A server that tells nothing has all of it counted as way.

What a byte more costs on the way is the slope of the ways over the sizes of their questions (least
squares, never negative), so that a higher picture quality is not forecast to be free.
"""

from __future__ import annotations

import math
from collections import deque
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from magma_ros.types import FloatArray

WINDOW = 100
"""Round trips remembered."""

QUANTILE = 0.95
"""Share of the answers that come within the forecast tail."""

LONGEST_WAIT = 60.0
"""Wait that a server may tell of and be believed [s]."""

RECENT = 3
"""Latest answers whose wait in the queue counts."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells of one answer.

    Attributes:
        queue: Time for which the question waited there [s].
        compute: Time that the answer took [s].
        next_wait: How long a question that came now would wait [s].
    """

    queue: float = 0.0
    compute: float = 0.0
    next_wait: float = 0.0


class RoundTrips:
    """The latest round trips to one server; false before the first."""

    def __init__(self) -> None:
        self._ways: deque[tuple[float, int]] = deque(maxlen=WINDOW)  # [s], bytes sent
        self._computes: deque[float] = deque(maxlen=WINDOW)
        self._totals: deque[float] = deque(maxlen=WINDOW)
        self._queues: deque[float] = deque(maxlen=RECENT)
        self.size = 0

    def __len__(self) -> int:
        return len(self._totals)

    def observe(self, seconds: float, size: int, told: Told | None = None) -> None:
        """Remember an answer that came after ``seconds``, to a question of ``size`` bytes."""
        told = told or Told()
        # Two clocks never agree entirely, and a server may tell what it likes.
        compute = _within(told.compute, seconds)
        queue = _within(told.queue, seconds - compute)
        self._ways.append((seconds - compute - queue, size))
        self._computes.append(compute)
        self._queues.append(max(queue, _within(told.next_wait, LONGEST_WAIT)))
        self._totals.append(seconds)
        self.size = size

    def copy(self) -> RoundTrips:
        """The same, to read while the line goes on."""
        return deepcopy(self)

    def tail(self, size: int | None = None) -> float:
        """Time [s] that the next answer will hardly exceed; ``inf`` before the first.

        Args:
            size: Of the question [bytes]; that of the last one by default.
        """
        if not self:
            return math.inf
        ways, computes = self._scaled(size), np.array(self._computes)
        return _high(ways) + _high(computes) + max(self._queues)

    def typical(self, size: int | None = None) -> float:
        """Time [s] that it mostly takes; ``inf`` before the first."""
        if not self:
            return math.inf
        computes = np.array(self._computes)
        return float(np.median(self._scaled(size)) + np.median(computes)) + max(self._queues)

    def way(self) -> float:
        """Time [s] that way and return mostly take; 0 before the first."""
        return float(np.median([way for way, _ in self._ways])) if self else 0.0

    def chance(self, left: float) -> float:
        """Share of the latest answers that came within ``left`` [s]; 1 before the first."""
        return float(np.mean(np.array(self._totals) <= left)) if self else 1.0

    def quantile(self, share: float) -> float:
        """Time [s] within which so many of the latest answers came; ``nan`` before the first."""
        return float(np.quantile(self._totals, share)) if self else math.nan

    def _scaled(self, size: int | None) -> FloatArray:
        """The ways as if every question had been of ``size`` bytes [s]."""
        ways, sizes = np.array(self._ways).T
        apart = sizes - sizes.mean()
        spread = float(apart @ apart)
        slope = max(0.0, float(apart @ ways) / spread) if spread > 0.0 else 0.0
        scaled: FloatArray = ways + slope * ((self.size if size is None else size) - sizes)
        return np.maximum(scaled, 0.0)


def _within(value: float, most: float) -> float:
    """``value`` between 0 and ``most``; 0 if it is no number."""
    return min(value, most) if value > 0.0 else 0.0


def _high(values: FloatArray) -> float:
    """The ``ceil((n + 1) q)``-th smallest, or the largest while there are too few for that."""
    rank = min(math.ceil((len(values) + 1) * QUANTILE), len(values))
    return float(np.sort(values)[rank - 1])
