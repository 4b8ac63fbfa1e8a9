# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy elsewhere as the stage behind the deepest exit: asked early, never waited for too long.

The question goes out before the first stage runs here, so that both sides think at once. An answer
from elsewhere counts as that of the deepest exit, unless the policy there is the very one here and
has not thought deeper than what is in hand:

- in time, it is taken, and thinking here ends at the next exit, if it leads no deeper;
- late, it is taken for the next observation, unless a newer one has come or it is too old; the
  command stream then enters it at the step that is now;
- not at all, what was decided here is acted on, within the same deadline.

Whatever is in hand is handed over before anything is waited for, so a line that hangs makes no
decision late. A policy that fails here is a fault whatever comes from elsewhere, because then there
is nothing in hand should the line be cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from magma_ros.gate.gates import Gate
from magma_ros.gate.handover import Provisional
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import HEADROOM, Inference, think
from magma_ros.types import (
    ActionChunk,
    Budget,
    Clock,
    Confidence,
    ExitReading,
    FloatArray,
    Observation,
    Origin,
    Pose,
    Reason,
    Verdict,
)

LEAST_LEFT = 2
"""Steps of a late plan that must still be to come: one for the next decision, one for its delay."""


@dataclass(frozen=True, slots=True, eq=False)
class FarPlan:
    """A checked plan from elsewhere.

    Attributes:
        chunk: The plan; its stamp is that of the observation that it answers, and its depth one
            more than that of the deepest exit here.
        confidence: How sure the policy there says it is; not finite where it says nothing.
        anchor: Where the robot was at that observation; see :attr:`Observation.anchor`.
        exit: Exit that it came from where the policy there is the very one here; None of another
            policy, whose exits cannot be compared with those here.
    """

    chunk: ActionChunk
    confidence: Confidence
    anchor: Pose | FloatArray | None = None
    exit: int | None = None

    @property
    def deepest(self) -> bool:
        """Whether thinking on here leads to nothing deeper."""
        return self.exit is None or self.exit >= self.chunk.depth - 1


class FarLine(Protocol):
    """The line to a policy elsewhere. No call waits, but for :meth:`wait`."""

    @property
    def newest(self) -> FarPlan | None:
        """The answer to the newest observation that has been answered, or None."""
        ...

    def ask(self, observation: Observation, now: float, deadline: float) -> None:
        """Ask about ``observation`` if that is worth it.

        Args:
            observation: What the robot sees.
            now: The present on the monotonic clock [s].
            deadline: Until when the answer would be in time, on that clock [s].
        """
        ...

    def forget(self) -> None:
        """Drop all answers, and those still to come: something else is asked for now."""
        ...

    def hope(self, stamp: float) -> float:
        """Until when an answer about what was seen at ``stamp`` may be hoped for [s].

        It is on the monotonic clock; ``-inf`` if it was not asked for, or the line is cut.
        """
        ...

    def wait(self, stamp: float, until: float) -> None:
        """Return once that answer has come or cannot come any more, at ``until`` [s] at latest."""
        ...


@dataclass(frozen=True, slots=True)
class FarRules:
    """When a plan from elsewhere is taken.

    Attributes:
        always: Whether it is waited for even if the gate is confident of an exit here. The gate's
            confidence is about the deepest exit here, and says nothing about a policy elsewhere.
        longest_age: How much older than the newest observation the one that a late plan answers
            may be [s].
    """

    always: bool = True
    longest_age: float = 0.3


def think_near_and_far(
    observation: Observation,
    budget: Budget,
    clock: Clock,
    line: FarLine,
    rules: FarRules,
    *,
    start: Callable[[Observation], Inference],
    gate: Gate,
    latency: LatencyModel,
    headroom: float = HEADROOM,
    provisional: Provisional | None = None,
) -> Verdict:
    """Think here as deep as is worth it and fits, and take the plan from elsewhere if it comes.

    Caps of the budget are about stages here.

    Args:
        observation: What the robot sees.
        budget: As for :func:`magma_ros.gate.loop.think`.
        clock: Likewise.
        line: Leads to the policy elsewhere.
        rules: When its plan is taken.
        start: Begins the inference here.
        gate: As for :func:`magma_ros.gate.loop.think`.
        latency: Likewise.
        headroom: Likewise.
        provisional: Given whatever is in hand before a stage runs here, and before the answer is
            waited for.

    Raises:
        MagmaError: The policy here does not take the observation.
    """
    choice = _Choice(observation, budget, clock, line, rules, provisional=provisional)
    choice.ask()
    inference = start(observation)
    verdict = think(
        inference,
        _Hurried(gate, choice),
        latency,
        budget,
        clock,
        headroom=headroom,
        provisional=None if provisional is None else lambda v: provisional(choice.best(v)),
    )
    return choice.settle(verdict)


def think_far(
    observation: Observation, budget: Budget, clock: Clock, line: FarLine, rules: FarRules
) -> Verdict:
    """Take the plan from elsewhere, of a robot without a policy of its own.

    Returns:
        Without a plan in time, nor one that may still be used, the verdict has no chunk
        (UNANSWERED): the command stream goes on as planned and comes to rest.
    """
    choice = _Choice(observation, budget, clock, line, rules)
    choice.ask()
    left = budget.deadline - clock.now()
    return choice.settle(Verdict(None, Reason.UNANSWERED, 0, (), left))


class _Choice:
    """What to act on for one observation: the plan made here, or one from elsewhere."""

    def __init__(
        self,
        observation: Observation,
        budget: Budget,
        clock: Clock,
        line: FarLine,
        rules: FarRules,
        *,
        provisional: Provisional | None = None,
    ) -> None:
        self._observation, self._line, self._rules = observation, line, rules
        self._budget, self._clock, self._provisional = budget, clock, provisional
        self.confident = False  # whether the gate is, of the exit here

    def ask(self) -> None:
        """Ask elsewhere."""
        self._line.ask(self._observation, self._clock.now(), self._budget.deadline)

    def plan(self, depth: int) -> FarPlan | None:
        """The plan from elsewhere that is to be acted on now rather than one of exit ``depth``."""
        plan = self._line.newest
        if plan is None or (plan.exit is not None and plan.exit <= depth):
            return None
        age = self._observation.stamp - plan.chunk.stamp
        left = len(plan.chunk) - age / plan.chunk.step_period
        # A plan about a later observation is one of a clock that has jumped back.
        usable = age == 0.0 or (0.0 < age <= self._rules.longest_age and left >= LEAST_LEFT)
        return plan if usable else None

    def best(self, verdict: Verdict) -> Verdict:
        """``verdict``, or what it becomes with the plan from elsewhere."""
        if verdict.reason is Reason.FAULT or (plan := self.plan(verdict.depth)) is None:
            return verdict
        if self.confident and not self._rules.always:
            return verdict
        late = plan.chunk.stamp != self._observation.stamp
        return replace(
            verdict,
            chunk=plan.chunk,
            reason=Reason.DEEPEST,
            depth=plan.chunk.depth,
            confidence=plan.confidence,
            origin=Origin.FAR_LATE if late else Origin.FAR,
            anchor=plan.anchor if late else None,
        )

    def settle(self, verdict: Verdict) -> Verdict:
        """The final verdict; waits for the answer as long as it may still come in time."""
        if self._worth_waiting(verdict):
            if self._provisional is not None:
                self._provisional(self.best(verdict))
            stamp = self._observation.stamp
            self._line.wait(stamp, min(self._budget.deadline, self._line.hope(stamp)))
        best = self.best(verdict)
        return replace(best, slack=self._budget.deadline - self._clock.now())

    def _worth_waiting(self, verdict: Verdict) -> bool:
        if verdict.reason in (Reason.FAULT, Reason.NO_TIME):
            return False
        return self._rules.always or not self.confident


class _Hurried:
    """A gate that is content with any exit once as deep a plan from elsewhere is in hand."""

    def __init__(self, gate: Gate, choice: _Choice) -> None:
        self._gate, self._choice = gate, choice

    @property
    def name(self) -> str:
        return self._gate.name

    def reset(self) -> None:
        self._gate.reset()

    def acted(self, chunk: ActionChunk | None) -> None:
        self._gate.acted(chunk)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        confident = self._gate.confident(reading, budget)  # it must see every exit
        self._choice.confident = confident
        plan = self._choice.plan(reading.depth)
        return confident or (plan is not None and plan.deepest)
