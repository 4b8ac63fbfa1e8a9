# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long will the next stages take, at worst that is still plausible?

A run of a stage is taken to last ``load x reference x noise``. The *load* is what the whole
machine suffers from at the moment (another process, a throttled clock) and is shared by all
stages, so the stages that run tell how slow those have become that do not. Reference and noise
are a stage's own: it keeps a sliding window of its runs, each divided by the load it ran under.

- *Window*: of n runs, the forecast is the ``ceil((n + 1) q)``-th fastest. The next run exceeds it
  with probability at most ``1 - q`` as long as runs are exchangeable (split conformal prediction,
  Lei et al. 2018, arXiv 1604.04173). While n is too small for that rank to exist, the slowest run
  but one times a margin stands in: one slow run, the first above all, is little evidence.
- *Load*: the median of the last nine runs of any stage, each relative to its stage's reference,
  or that of the last three if it is larger. Two slow runs raise it at once; it falls after five
  fast ones; one hiccup does not move it. Windows are filled with a delay of four runs, because
  only then the load at a run is known from both of its sides: so a step of the load does not
  leave its first runs behind as if they had been noise.
- *Bound*: where a machine stalls now and then, a few stalls in a row count as load while others are
  noise in the windows, and the product of both is far beyond anything that ever was. So a forecast
  is at most :data:`BEYOND` times the slowest run remembered, or the median under the present load
  if that is more.
- *Passes*: a stage that decodes goes through its graphs as often as its answer needs. How often is
  its own, and part of the window; the load is judged by the time of one pass.
- *Cold start*: before its first run a stage is judged by a roofline guess.

Two slow runs in a window raise its forecast for as long as they stay in it. A stage that is no
longer run because of them would never run again, so now and then one is tried although its
forecast does not fit: see :meth:`LatencyModel.admits`. Windows forget nothing else.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

SHORTEST = 1e-6
"""Least duration that a run is credited with [s], so that ratios of durations exist."""

SPAN = 9
"""Latest runs, of any stage, from which the load is estimated."""

ALARM = 3
"""Latest runs that suffice to detect that the load has risen."""

BEYOND = 2.0
"""How far a forecast may exceed what is plausible by the runs remembered: so far that no bound is
met but where a stall counts twice."""

RARELY = 100
"""How many times rarer than at first trials become while they keep failing."""

UNLIKELY = 10
"""How many times longer a trial waits that would not end in time even if it ran as usual."""

JUDGED = 1000
"""Runs over which the forecasts' accuracy is measured."""


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


@dataclass(frozen=True, slots=True)
class ForecastAccuracy:
    """How good the forecasts of the latest runs were; of each, the one made just before it.

    Attributes:
        runs: How many runs were judged.
        coverage: Share of them that kept within their forecast tail; it should be the quantile.
        error_low: 5th percentile of ``duration / typical forecast - 1``; negative is faster.
        error_mid: Median of that.
        error_high: 95th percentile of that.
    """

    runs: int
    coverage: float
    error_low: float
    error_mid: float
    error_high: float


class LatencyModel:
    """Online forecast of stage latencies from the runs of this machine.

    The caller decides what to observe; warm-up runs must stay out.

    Args:
        window: Runs remembered for each stage.
        quantile: Share of runs that must finish within the forecast, between 0 and 1.
        margin: Factor on the slowest run but one while runs are too few for the quantile.
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
        # One refused decision in this many may overrun: no more than the quantile allows.
        self._patience = math.ceil(1.0 / (1.0 - quantile) - 1e-9)
        self._runs: defaultdict[str, RunWindow] = defaultdict(lambda: RunWindow(window))
        self._passes: defaultdict[str, RunWindow] = defaultdict(lambda: RunWindow(window))
        self._seen: defaultdict[str, RunWindow] = defaultdict(lambda: RunWindow(window))
        self._load = Load()
        self._waiting: deque[tuple[RunWindow, float]] = deque()
        self._refused: defaultdict[str, Refusals] = defaultdict(lambda: Refusals(self._patience))
        self._trial: Trial | None = None
        self._errors: deque[float] = deque(maxlen=JUDGED)
        self._kept: deque[bool] = deque(maxlen=JUDGED)

    def observe(self, stage: Stage, seconds: float, passes: int = 1) -> None:
        """Remember that ``stage`` took ``seconds``, in so many passes if it decodes."""
        seconds = max(seconds, SHORTEST)
        runs, single = self._runs[stage.name], self._passes[stage.name]
        self._judge_trial(stage, seconds)
        kept = not runs or seconds <= self._tail(stage)
        self._seen[stage.name].add(seconds)
        if not runs:  # its first run is all that is known of it
            runs.add(seconds / self._load.now)
            single.add(seconds / passes / self._load.now)
            return
        self._errors.append(seconds / (runs.median() * self._load.now) - 1.0)
        self._kept.append(kept)
        self._load.see(seconds / passes / single.median())
        self._waiting.append((runs, seconds))
        self._waiting.append((single, seconds / passes))
        if len(self._waiting) > 2 * (SPAN // 2):
            for _ in range(2):
                settled, duration = self._waiting.popleft()
                settled.add(duration / self._load.settled)

    def forecast(self, stages: Iterable[Stage]) -> float:
        """Time [s] that all of ``stages`` together will hardly exceed.

        This is the sum of the stages' quantiles: by the union bound, n stages exceed it with
        probability at most n (1 - quantile), however their times depend on each other.
        """
        return sum(self._tail(stage) for stage in stages)

    def typical(self, stages: Iterable[Stage]) -> float:
        """Time [s] that all of ``stages`` together mostly take: the sum of their medians."""
        return sum(self._median(stage) for stage in stages)

    def accuracy(self) -> ForecastAccuracy | None:
        """How good the latest forecasts were; None before there was one to judge."""
        if not self._kept:
            return None
        errors = sorted(self._errors)
        low, mid, high = (errors[round(share * (len(errors) - 1))] for share in (0.05, 0.5, 0.95))
        coverage = sum(self._kept) / len(self._kept)
        return ForecastAccuracy(len(errors), coverage, low, mid, high)

    def admits(self, stages: Sequence[Stage], left: float, headroom: float) -> bool:
        """Whether all of ``stages``, up to the next exit, may be started with ``left`` [s].

        They may if their forecast fits, with ``headroom`` as a share of it besides. If not, that is
        a refusal. After ``1 / (1 - quantile)`` refusals in a row they are tried all the same, so
        that a passing hiccup cannot shut a stage out for good; after :data:`UNLIKELY` times as many
        if even their medians do not fit, which says more than a hiccup could.

        A trial that ends in time halves the refusals before the next one. One that does not doubles
        them, to at least as many as at first: so at most a share of ``1 - quantile`` of the
        decisions that were refused or tried overruns.
        """
        way = stages[-1].name
        if self._trial is not None and self._trial.way == way:
            return True
        refused = self._refused[way]
        if self.forecast(stages) * (1.0 + headroom) <= left:
            refused.in_a_row = 0
            return True
        wait = refused.before_trial
        if wait >= self._patience and self.typical(stages) > left:  # no trial has succeeded
            wait *= UNLIKELY
        if refused.in_a_row < wait:
            refused.in_a_row += 1
            return False
        refused.in_a_row = 0
        self._trial = Trial(way, left)
        return True

    def _judge_trial(self, stage: Stage, seconds: float) -> None:
        """Learn from the stages of a trial once the last of them has run."""
        if (trial := self._trial) is None:
            return
        trial.left -= seconds
        if stage.name == trial.way:
            self._trial = None
            refused = self._refused[trial.way]
            if trial.left >= 0.0:
                refused.before_trial //= 2
            else:
                longer = max(self._patience, 2 * refused.before_trial)
                refused.before_trial = min(longer, RARELY * self._patience)

    def _tail(self, stage: Stage) -> float:
        runs = self._runs[stage.name]
        if not runs:
            return self._rates.seconds(stage) * self._load.now
        plausible = max(self._seen[stage.name].slowest(), self._median(stage))
        tail = runs.tail(self._quantile, self._margin) * self._load.now
        return min(tail, BEYOND * plausible)

    def _median(self, stage: Stage) -> float:
        runs = self._runs[stage.name]
        return (runs.median() if runs else self._rates.seconds(stage)) * self._load.now


@dataclass(slots=True)
class Refusals:
    """How often in a row the way to an exit did not fit.

    Attributes:
        before_trial: Refusals in a row after which it is tried all the same.
        in_a_row: Refusals since it was last run.
    """

    before_trial: int
    in_a_row: int = 0


@dataclass(slots=True)
class Trial:
    """The way to an exit that is run although its forecast does not fit.

    Attributes:
        way: Name of its last stage.
        left: Time left to run it in time [s].
    """

    way: str
    left: float


class Load:
    """How much slower than its reference the machine runs at the moment.

    Attributes:
        now: The factor to forecast with; quick to rise, slower to fall, 1 before any run.
        settled: The factor at the run that lies in the middle of the span.
    """

    def __init__(self) -> None:
        self.now = self.settled = 1.0
        self._ratios = deque([1.0] * SPAN, maxlen=SPAN)

    def see(self, ratio: float) -> None:
        """Take in a run that took ``ratio`` times its stage's reference."""
        self._ratios.append(ratio)
        latest = list(self._ratios)
        self.settled = _median(sorted(latest))
        self.now = max(self.settled, _median(sorted(latest[-ALARM:])))


class RunWindow:
    """The last runs of one stage, kept both in order of time and sorted; false while empty.

    Args:
        size: Runs remembered.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: deque[float] = deque()
        self._ascending: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, seconds: float) -> None:
        """Remember a run, and forget the oldest one if there is no room."""
        if len(self._recent) == self._size:
            del self._ascending[bisect_left(self._ascending, self._recent.popleft())]
        self._recent.append(seconds)
        insort(self._ascending, seconds)

    def median(self) -> float:
        """The middle run; of two, the slower one."""
        return _median(self._ascending)

    def slowest(self) -> float:
        """The slowest run."""
        return self._ascending[-1]

    def tail(self, quantile: float, margin: float) -> float:
        """What the next run exceeds with probability at most ``1 - quantile``.

        Of fewer than ``quantile / (1 - quantile)`` runs no rank can promise that: then it is
        ``margin`` times the slowest run but one, or the slowest of two.
        """
        count = len(self._ascending)
        rank = math.ceil((count + 1) * quantile)
        if rank <= count:
            return self._ascending[rank - 1]
        return margin * self._ascending[-2 if count > 2 else -1]


def _median(ascending: Sequence[float]) -> float:
    return ascending[len(ascending) // 2]
