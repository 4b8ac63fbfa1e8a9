# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long will the next stages take, at worst that is still plausible?

Each stage keeps a sliding window of its real runs. Of n runs, the forecast is the
``ceil((n + 1) q)``-th fastest: the next run exceeds it with probability at most ``1 - q`` as long
as runs are exchangeable (split conformal prediction, Lei et al. 2018, arXiv 1604.04173). While n
is too small for that rank to exist, the slowest run times a margin stands in; before the first
run, nominal rates do.

At q = 0.99 two slow runs in a window of 200 raise the forecast at once, and leave it only after
200 more runs. A stage that is no longer run because of them would be shut out for good, so being
turned away makes a bad memory fade: see :meth:`LatencyModel.refuse` and
:meth:`LatencyModel.forgive`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Stage(Protocol):
    """What the gate must know about a stage of the policy."""

    @property
    def name(self) -> str:
        """Unique name, under which latencies are kept."""
        ...

    @property
    def flops(self) -> int:
        """Floating-point operations of one run."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one run reads."""
        ...


@dataclass(frozen=True, slots=True)
class NominalRates:
    """A roofline guess of a machine's speed, used only until a stage has run.

    The defaults are those of one core of a small computer, so that the first guess is too slow
    rather than too fast.

    Attributes:
        flops: Floating-point operations a second.
        bandwidth: Bytes of weights read a second.
        overhead: Fixed cost of a stage [s].
    """

    flops: float = 5e9
    bandwidth: float = 2e9
    overhead: float = 5e-4

    def seconds(self, stage: Stage) -> float:
        """Time of one run [s]: whichever of arithmetic and memory is slower, plus overhead."""
        return max(stage.flops / self.flops, stage.weight_bytes / self.bandwidth) + self.overhead


class LatencyModel:
    """Online forecast of stage latencies from the runs of this machine.

    The caller decides what to observe; warm-up runs should stay out.

    Args:
        window: Runs remembered for each stage.
        quantile: Share of runs that must finish within the forecast, between 0 and 1.
        margin: Factor on the slowest run while runs are too few for the quantile.
        rates: Stand in for a stage that has not run yet.
    """

    def __init__(
        self,
        *,
        window: int = 200,
        quantile: float = 0.99,
        margin: float = 1.25,
        rates: NominalRates | None = None,
    ) -> None:
        self._quantile = quantile
        self._margin = margin
        self._rates = rates or NominalRates()
        # One refused decision in this many may turn out late: no more than the quantile allows.
        self._patience = math.ceil(1.0 / (1.0 - quantile))
        self._runs: defaultdict[str, _Window] = defaultdict(lambda: _Window(window))
        self._refusals: defaultdict[str, int] = defaultdict(int)

    def observe(self, stage: str, seconds: float) -> None:
        """Remember that ``stage`` took ``seconds``."""
        self._runs[stage].add(seconds)
        self._refusals[stage] = 0

    def forecast(self, stages: Iterable[Stage]) -> float:
        """Time [s] that all of ``stages`` together will hardly exceed.

        This is the sum of the stages' quantiles: by the union bound, n stages exceed it with
        probability at most n (1 - quantile), however their times depend on each other.
        """
        return sum(self._forecast(stage) for stage in stages)

    def refuse(self, stages: Iterable[Stage]) -> None:
        """Note that ``stages`` were not run because their forecast did not fit.

        After ``1 / (1 - quantile)`` refusals in a row a stage's slowest run is forgotten, so that
        a passing hiccup cannot shut out a stage for good, and yet trying again causes no more
        late decisions than the quantile admits.
        """
        for stage in stages:
            self._refusals[stage.name] += 1
            if self._refusals[stage.name] % self._patience == 0:
                self._runs[stage.name].forget_slowest()

    def forgive(self, stages: Iterable[Stage]) -> None:
        """Forget the slowest run of ``stages``, because without them there is no action at all.

        A decision that is late costs no more than one that is never made, so there is no reason
        to be patient.
        """
        for stage in stages:
            self._runs[stage.name].forget_slowest()

    def _forecast(self, stage: Stage) -> float:
        runs = self._runs[stage.name].ascending
        if not runs:
            return self._rates.seconds(stage)
        rank = math.ceil((len(runs) + 1) * self._quantile)
        return runs[rank - 1] if rank <= len(runs) else runs[-1] * self._margin


class _Window:
    """The last runs of one stage, kept both in order of time and sorted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: deque[float] = deque()
        self.ascending: list[float] = []

    def add(self, seconds: float) -> None:
        if len(self._recent) == self._size:
            del self.ascending[bisect_left(self.ascending, self._recent.popleft())]
        self._recent.append(seconds)
        insort(self.ascending, seconds)

    def forget_slowest(self) -> None:
        if self.ascending:
            self._recent.remove(self.ascending.pop())
