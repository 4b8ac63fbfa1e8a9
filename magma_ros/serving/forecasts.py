# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long the ways take, and when that must be measured though nobody is answered."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from magma_ros.gate.latency import LatencyModel, Stage
from magma_ros.gate.loop import HEADROOM

SEEN = 100
"""Latest runs of a way that bound its forecast."""

BEYOND = 1.25
"""How far a forecast may exceed the slowest of them. The bound of :mod:`magma_ros.gate.latency` is
wider, for stages that may not have run under the present load; here the first way always has."""

RECENT = 20
"""Latest runs of a way that are averaged: enough that a stall is shared out over them."""

REMEASURE = 0.5
"""Time for which an idle engine measures itself anew after it refused somebody [s]."""

SHARE = 0.1
"""Of the time of one thread, how much that may take."""

RARER = 10.0
"""How much less it may take once :data:`SEEN` runs have changed nothing."""


class Way(NamedTuple):
    """The stages from one exit to the next as one stage, whose latency is forecast as a whole.

    Picking it, and for the first one reading the message, is part of it.
    """

    name: str
    flops: int
    weight_bytes: int

    @classmethod
    def of(cls, depth: int, stages: Sequence[Stage]) -> Way:
        """The way to exit ``depth``, which consists of ``stages``."""
        flops, weights = sum(s.flops for s in stages), sum(s.weight_bytes for s in stages)
        return cls(f"exit {depth}", flops, weights)


class _Times(NamedTuple):
    """What a way is forecast to take [s]."""

    tail: float
    typical: float
    average: float


class WayForecast:
    """What the schedule asks of the latency model, within what was seen of late.

    The model multiplies the present load by a tail. Where a machine stalls now and then, a stall
    counts in both, and the product is beyond anything that ever was.
    """

    def __init__(self, ways: Sequence[Way], latency: LatencyModel) -> None:
        self._ways, self._latency = ways, latency
        self._seen: list[deque[float]] = [deque(maxlen=SEEN) for _ in ways]
        # Asked for each robot at each turn, and the same until the next run.
        self._known: dict[int, _Times] = {}

    def observe(self, depth: int, seconds: float, passes: int) -> None:
        """Remember that the way to exit ``depth`` took ``seconds``."""
        self._latency.observe(self._ways[depth - 1], seconds, passes)
        self._seen[depth - 1].append(seconds)
        self._known.clear()  # of the others, too: the load is that of the machine

    def tail(self, depth: int) -> float:
        """Time that the way to exit ``depth`` will hardly exceed [s]."""
        return self._times(depth).tail

    def typical(self, depth: int) -> float:
        """Time that it mostly takes [s]."""
        return self._times(depth).typical

    def average(self, depth: int) -> float:
        """Mean time of its latest runs [s], by which many in a row are judged.

        The typical time is that under the present load, which two stalls among three runs raise.
        """
        return self._times(depth).average

    def admits(self, depth: int, left: float) -> bool:
        """Whether it may be started with ``left`` [s]."""
        if self.tail(depth) * (1.0 + HEADROOM) <= left:
            return True
        return self._latency.admits([self._ways[depth - 1]], left, HEADROOM)

    def _times(self, depth: int) -> _Times:
        if (known := self._known.get(depth)) is None:
            way = [self._ways[depth - 1]]
            typical = self._plausible(depth, self._latency.typical(way))
            latest = list(self._seen[depth - 1])[-RECENT:]
            known = self._known[depth] = _Times(
                tail=self._plausible(depth, self._latency.forecast(way)),
                typical=typical,
                average=sum(latest) / len(latest) if latest else typical,
            )
        return known

    def _plausible(self, depth: int, seconds: float) -> float:
        return min(seconds, BEYOND * max(self._seen[depth - 1], default=math.inf))


class Doubt:
    """When an idle engine measures its first way anew.

    Who is refused because the way is forecast to be slow leaves the forecast as slow as it was. So
    after a refusal the engine measures itself, unless it runs the way for others anyway. As long as
    nobody is admitted this takes at most :data:`SHARE` of the time, and once everything that the
    forecast remembers is new, :data:`RARER` times less.
    """

    def __init__(self) -> None:
        self._until = self._next = -math.inf
        self._measured = 0

    def refused(self, now: float) -> None:
        """Somebody who had time left was refused."""
        self._until = now + REMEASURE

    def ran(self, began: float, ended: float) -> None:
        """The first way has run for somebody who was admitted."""
        self._measured = 0
        self._pause(began, ended)

    def measured(self, began: float, ended: float) -> None:
        """The first way has run for nobody who was admitted."""
        self._measured += 1
        self._pause(began, ended)

    def due(self, now: float) -> float:
        """Time until the first way is to be measured if nobody asks [s]; ``inf`` for never."""
        when = max(self._next, now)
        return when - now if when < self._until else math.inf

    def _pause(self, began: float, ended: float) -> None:
        share = SHARE if self._measured < SEEN else SHARE / RARER
        self._next = ended + max(0.0, ended - began) * (1.0 / share - 1.0)
