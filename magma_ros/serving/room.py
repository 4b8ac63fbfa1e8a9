# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a way may last that is not interrupted while other robots may ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import accumulate


class Room:
    """What robots that may ask at any moment leave for a way that has begun.

    If all of them asked as the way begins, each with as much time as last time, the earliest
    deadline first, all would have their first answers in time.

    Args:
        lefts: Of each robot, the time that it has for an answer [s].
        first_ways: Time that so many first ways in a row will hardly exceed [s].
    """

    def __init__(self, lefts: Mapping[str, float], first_ways: Callable[[int], float]) -> None:
        order = sorted(lefts, key=lambda robot: lefts[robot])
        ends = [first_ways(number) for number in range(len(order) + 1)]
        self._places = {robot: place for place, robot in enumerate(order)}
        # Of the first so many, the least time that is left over; and of those from a place on, if
        # one before them does not ask.
        least = (lefts[robot] - ends[place + 1] for place, robot in enumerate(order))
        self._first = list(accumulate(least, min, initial=math.inf))
        least = (lefts[robot] - ends[place] for place, robot in reversed([*enumerate(order)]))
        self._rest = [*reversed([*accumulate(least, min, initial=math.inf)]), math.inf]

    def beside(self, robot: str) -> float:
        """How long a way of this robot may last [s]; ``inf`` if there is no other."""
        place = self._places.get(robot, len(self._places))
        return min(self._first[place], self._rest[place + 1])
