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
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from magma_ros.types import FloatArray

WINDOW = 100
"""Round trips remembered."""

QUANTILE = 0.95
"""Share of the answers that come within the forecast tail."""

PUNCTUAL = 0.9
"""Of the answers that can be in time at all, the share that is meant to be."""

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
        shallowest: Time that its first exit takes [s]; ``inf`` where it has but one answer.
    """

    queue: float = 0.0
    compute: float = 0.0
    next_wait: float = 0.0
    shallowest: float = math.inf

    @classmethod
    def by(cls, answer: Mapping[str, Any]) -> Told:
        """What an answer tells; whatever a stranger tells otherwise counts as nothing."""

        def seconds(part: str, name: str) -> float:
            told = answer.get(part)
            value = told.get(name) if isinstance(told, Mapping) else None
            if isinstance(value, list):
                value = value[0] if value else None
            return 1e-3 * float(value) if isinstance(value, int | float) else 0.0

        return cls(
            queue=seconds("server_timing", "queue_ms"),
            compute=seconds("server_timing", "infer_ms"),
            next_wait=seconds("queue", "wait_ms"),
            shallowest=seconds("queue", "exits_ms") or math.inf,
        )


class Grant(NamedTuple):
    """What time a server is given for an answer, from when it receives the question.

    Attributes:
        time_left: For an answer that is in time, or, where the line mostly takes too long for one,
            for one that is of use for a later observation [s].
        useful: For one of the latter kind in any case [s].
    """

    time_left: float
    useful: float


class RoundTrips:
    """The latest round trips to one server; false before the first."""

    def __init__(self) -> None:
        self._ways: deque[tuple[float, int]] = deque(maxlen=WINDOW)  # [s], bytes sent
        self._computes: deque[float] = deque(maxlen=WINDOW)
        self._totals: deque[float] = deque(maxlen=WINDOW)
        self._queues: deque[float] = deque(maxlen=RECENT)
        self._shallowest = math.inf
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
        self._shallowest = told.shallowest if told.shallowest > 0.0 else math.inf
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

    def grant(self, left: float, longest_age: float) -> Grant:
        """What time to give the server for an answer that is due in ``left`` [s].

        Args:
            left: Until the deadline [s].
            longest_age: Until an answer is of no use for any observation [s].
        """
        late = max(left, longest_age)
        useful = self._spared(late)
        if useful is None:
            useful = late - self.way()
        time_left = self._spared(left)
        if time_left is None:
            time_left = useful
        return Grant(time_left, max(time_left, useful))

    def _spared(self, within: float) -> float | None:
        """Time [s] that the server may take so that answers come within ``within`` [s].

        What a lost packet or a cut holds up for so long that the answer comes too late however soon
        the server gives it, is left out of account: no haste helps there. Of the other ways the
        :data:`PUNCTUAL` quantile is taken off.

        Returns:
            None if most ways are too long.
        """
        if not self:
            return within
        least = min(*self._computes, self._shallowest)
        ways = self._scaled(None)
        short = ways[ways <= within - least]
        if 2 * len(short) < len(ways):
            return None
        return within - float(np.quantile(short, PUNCTUAL, method="higher"))

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
