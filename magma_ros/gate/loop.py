# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop that spends the remaining time inside the model, and no more than that.

Once there is an action in hand, it asks before each stage whether everything up to the next exit
fits in what is left; after each exit it asks whether going on is worth it. Whatever happens, the
answer is a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from magma_ros.gate.gates import Gate
from magma_ros.gate.handover import Provisional
from magma_ros.gate.latency import LatencyModel, Stage
from magma_ros.types import Budget, Clock, ExitReading, MagmaError, Reason, Trace, Verdict

FULL_DEPTH_ENERGY = 0.5
"""Energy above which the battery does not limit depth."""

HEADROOM = 0.1
"""Share of a forecast that must be left over besides, for what no forecast foresees."""


class Inference(Protocol):
    """An observation on its way through the stages of a policy."""

    @property
    def exits(self) -> int:
        """Number of exits, which is the depth of the deepest."""
        ...

    @property
    def upcoming(self) -> Sequence[Stage]:
        """The stages still to run up to and including the next exit; empty after the last."""
        ...

    def advance(self) -> ExitReading | None:
        """Run the next stage; return its reading if it has an exit."""
        ...


def deepest_allowed(budget: Budget, exits: int) -> int:
    """The deepest exit that ``budget`` allows, at least the first.

    Down to half of the energy nothing changes; below, the cap falls in proportion:
    ``ceil(exits * energy / 0.5)``. ``budget.deepest`` caps it further.
    """
    by_energy = math.ceil(exits * min(1.0, budget.energy / FULL_DEPTH_ENERGY))
    by_order = exits if budget.deepest is None else budget.deepest
    return max(1, min(by_energy, by_order, exits))


def think(
    inference: Inference,
    gate: Gate,
    latency: LatencyModel,
    budget: Budget,
    clock: Clock,
    *,
    headroom: float = HEADROOM,
    provisional: Provisional | None = None,
) -> Verdict:
    """Think as deep as is worth it and fits before ``budget.deadline``.

    After the first exit no stage starts unless the forecast of all stages up to the next exit fits
    in the time left, with ``headroom``; now and then one that does not is tried all the same, see
    :meth:`magma_ros.gate.latency.LatencyModel.admits`. Before the first exit
    there is nothing to lose: a late action is worth more than none, so it is tried unless the
    deadline has passed already. Every stage that runs is timed and observed by ``latency``.

    Args:
        inference: A fresh inference.
        gate: Judges each exit's reading.
        latency: Forecasts stages; learns from the ones that run.
        budget: What the decision may cost.
        clock: The clock on which the deadline lies; should it jump back, it counts as stopped.
        headroom: Share of each forecast that must be left over besides, 0 or more.
        provisional: Given, before each stage after the first exit, the verdict to act on should the
            deadline strike while that stage runs (OVERRUN); see :mod:`magma_ros.gate.handover`.

    Returns:
        The deepest reading's chunk and why thinking stopped there. The verdict has no chunk if
        the deadline had passed at the start (NO_TIME) or the policy failed (FAULT).
    """
    record = _DecisionRecord(budget.deadline, clock)
    deepest = deepest_allowed(budget, inference.exits)
    if record.left() <= 0.0:
        return record.verdict(Reason.NO_TIME)
    while stages := inference.upcoming:
        if record.reading is not None:
            if not latency.admits(stages, record.left(), headroom):
                return record.verdict(Reason.DEADLINE)
            if provisional is not None:
                provisional(record.overrun(stages[0]))
        try:
            reading = inference.advance()
        except MagmaError as error:
            return record.verdict(Reason.FAULT, str(error))
        passes = 1 if reading is None else reading.passes
        latency.observe(stages[0], record.ran(stages[0]), passes)
        if reading is None:
            continue
        record.enter(reading)
        if gate.confident(reading, budget):
            return record.verdict(Reason.CONFIDENT)
        if reading.depth >= deepest < inference.exits:
            return record.verdict(Reason.CAPPED)
    return record.verdict(Reason.DEEPEST)


class _DecisionRecord:
    """Durations and costs of the stages of one decision, and its verdict."""

    def __init__(self, deadline: float, clock: Clock) -> None:
        self.reading: ExitReading | None = None
        self._trace: Trace | None = None
        self._deadline = deadline
        self._clock = clock
        self._now = clock.now()
        self._times: list[float] = []
        self._flops = 0
        self._weight_bytes = 0

    def left(self) -> float:
        """Time left to the deadline [s]."""
        return self._deadline - self._tick()

    def ran(self, stage: Stage) -> float:
        """Record a stage that has just run; return how long it took [s]."""
        started = self._now
        seconds = self._tick() - started
        self._times.append(seconds)
        self._flops += stage.flops
        self._weight_bytes += stage.weight_bytes
        return seconds

    def enter(self, reading: ExitReading) -> None:
        """Replace the last reading; an exit without a trace keeps the one of the exit before."""
        self.reading = reading
        self._trace = reading.trace or self._trace

    def _tick(self) -> float:
        # A clock that jumps back counts as stopped, so that no duration is negative.
        self._now = max(self._now, self._clock.now())
        return self._now

    def overrun(self, stage: Stage) -> Verdict:
        """The answer in hand, ``stage`` paid for but not waited for."""
        verdict = self.verdict(Reason.OVERRUN)
        flops, weight_bytes = self._flops + stage.flops, self._weight_bytes + stage.weight_bytes
        return replace(verdict, flops=flops, weight_bytes=weight_bytes)

    def verdict(self, reason: Reason, detail: str = "") -> Verdict:
        """The answer, with the deepest reading's chunk unless the policy failed."""
        reading = None if reason is Reason.FAULT else self.reading
        return Verdict(
            chunk=reading.chunk if reading else None,
            reason=reason,
            depth=reading.depth if reading else 0,
            stage_times=tuple(self._times),
            slack=self.left(),
            flops=self._flops,
            weight_bytes=self._weight_bytes,
            confidence=reading.confidence if reading else None,
            detail=detail,
            trace=self._trace if reading else None,
            passes=reading.passes if reading else 1,
        )
