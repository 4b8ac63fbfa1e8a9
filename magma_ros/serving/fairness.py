# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How evenly robots are served."""

from __future__ import annotations

import math
from collections.abc import Iterable

MEMORY = 2.0
"""Time in which what was counted fades to 1/e of it [s]."""

ACTIVE = 1.0
"""Time after its last request for which a robot counts as active [s]."""


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness, from 1/n (one has all) to 1 (all have the same).

    ``(sum x)^2 / (n sum x^2)``: Jain, Chiu and Hawe, DEC-TR-301, 1984. 1 of nobody, and where
    nobody has anything.
    """
    found = list(shares)
    squares = sum(x * x for x in found)
    return sum(found) ** 2 / (len(found) * squares) if squares > 0.0 else 1.0


class Served:
    """What each robot asked and was given lately; older counts for less, by :data:`MEMORY`."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, float]] = {}
        self._asked: dict[str, tuple[float, float]] = {}
        self._last: dict[str, float] = {}
        self._swept = -math.inf

    def ask(self, robot: str, now: float) -> None:
        """A robot asked."""
        self._asked[robot] = (_faded(self._asked, robot, now) + 1.0, now)
        self._last[robot] = now
        if now - self._swept > ACTIVE:
            self._sweep(now)

    def give(self, robot: str, now: float) -> None:
        """A robot was answered."""
        self._given[robot] = (_faded(self._given, robot, now) + 1.0, now)

    def given(self, robot: str, now: float) -> float:
        """Answers that a robot was given lately."""
        return _faded(self._given, robot, now)

    def active(self, now: float) -> int:
        """Robots that asked lately."""
        return sum(now - last <= ACTIVE for last in self._last.values())

    def index(self, now: float) -> float:
        """Jain's index of the share of its requests that each active robot had answered."""
        robots = [robot for robot, last in self._last.items() if now - last <= ACTIVE]
        return jain(self.given(r, now) / _faded(self._asked, r, now) for r in robots)

    def _sweep(self, now: float) -> None:
        """Forget robots that have been gone for so long that nothing is left of their counts."""
        self._swept = now
        for robot in [r for r, last in self._last.items() if now - last > 10.0 * MEMORY]:
            for counts in (self._given, self._asked, self._last):
                counts.pop(robot, None)


def _faded(counts: dict[str, tuple[float, float]], robot: str, now: float) -> float:
    count, when = counts.get(robot, (0.0, now))
    return count * math.exp(-max(0.0, now - when) / MEMORY)
