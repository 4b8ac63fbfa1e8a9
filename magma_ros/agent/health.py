# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the policy can be followed: how old its newest plan is, what failed, what it lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from magma_ros.types import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Health:
    """The policy's state at one moment.

    Attributes:
        plan_age: Time since the observation that the newest plan answers [s]; ``inf`` before the
            first plan.
        fault: Why the policy must not be followed, in one sentence, or empty.
        waiting_for: What keeps it from planning, in one sentence, or empty.
        lacking: Which input it must not do without is missing, in one sentence, or empty.
    """

    plan_age: float
    fault: str
    waiting_for: str
    lacking: str = ""

    @property
    def sentence(self) -> str:
        """The state as a sentence."""
        if self.fault or self.waiting_for:
            return self.fault or self.waiting_for
        if math.isinf(self.plan_age):
            return "No plan has been made yet."
        return f"The newest plan is {self.plan_age:.2f} s old."


class HealthMonitor:
    """Keeps account of plans and failures.

    A plan counts from the moment of what it answers, not from when it was made: a plan about an old
    picture is an old plan.

    Args:
        tolerated: Observations in a row on which the policy may fail before that is a fault.
        patience: Time with one observation beyond its deadline that is a fault [s].
    """

    def __init__(self, tolerated: int, patience: float) -> None:
        self._tolerated = tolerated
        self._patience = patience
        self.clear()

    def clear(self) -> None:
        """Forget all plans and failures, as work begins anew or the clock has jumped."""
        self._planned = -math.inf
        self._failures = 0
        self._failure = self._lack = ""

    def note(self, verdict: Verdict, observed: float) -> None:
        """Take in a decision about what was observed at ``observed`` [s]."""
        self._lack = "" if verdict.chunk is not None else verdict.reason.sentence
        if verdict.reason is Reason.FAULT:
            self._failures += 1
            self._failure = verdict.detail or verdict.reason.sentence
        elif verdict.chunk is not None:
            self._failures = 0
            self._planned = max(self._planned, observed)

    def judge(
        self,
        now: float,
        *,
        busy_for: float,
        deadline: float,
        alive: bool,
        waiting_for: str,
        lacking: str = "",
    ) -> Health:
        """The state at ``now`` [s], on the clock of the stamps.

        Args:
            now: Moment asked about.
            busy_for: How long the observation at hand has been thought about [s].
            deadline: Time a decision may take [s].
            alive: Whether the thread that thinks still runs.
            waiting_for: What is missing for the next observation, in one sentence, or empty.
            lacking: Likewise, if it is an input that has been silent or unusable for too long.
        """
        fault = ""
        if not alive:
            fault = "The thread that thinks has ended; restart the policy."
        elif busy_for > deadline + self._patience:
            fault = f"The policy has been thinking about one observation for {busy_for:.1f} s."
        elif self._failures > self._tolerated:
            count = f"{self._failures} observations in a row" if self._failures > 1 else "a plan"
            fault = f"The policy failed on {count}: {self._failure}"
        age = max(0.0, now - self._planned)
        return Health(age, fault, waiting_for or self._lack, lacking)
