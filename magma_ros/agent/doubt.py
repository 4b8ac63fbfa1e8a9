# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When to ask a person for help: once the deepest exit has been unsure for long enough."""

from __future__ import annotations

import math

from magma_ros.types import Reason, Verdict

EXPIRY = 2.0
"""Time without an unsure decision after which earlier doubt no longer counts [s]."""


class Doubt:
    """How long the policy has been seen to be unsure.

    It is unsure when the deepest exit was reached, no exit satisfied the gate, and the deepest one
    still disagrees with the one before it by more than a tolerance: thinking has not settled the
    matter. One decision that is sure ends the doubt.

    Only evidence counts: the time between two successive decisions that are both unsure. A decision
    that was cut short, by a deadline or a cap, pauses the count, because nobody knows what the
    deepest exit would have given; so does a gap in which nothing was decided. Doubt that is not
    renewed within :data:`EXPIRY` is over. A policy with a single exit, which has nothing to
    disagree with, is never in doubt.
    """

    def __init__(self) -> None:
        self._total = 0.0
        self._unsure_at = -math.inf  # the last unsure decision [s]
        self._paused = True  # whether anything but an unsure decision came after it

    def clear(self) -> None:
        """Start anew, as when the task or the mode changes, or work begins again."""
        self._total, self._unsure_at, self._paused = 0.0, -math.inf, True

    def lasts(self, verdict: Verdict, tolerance: float, now: float, longest_gap: float) -> float:
        """How long the policy has been unsure after ``verdict`` [s]; 0 if it is not.

        Args:
            verdict: The newest decision.
            tolerance: Disagreement that counts as agreement, as in
                :attr:`magma_ros.types.Confidence.disagreement`.
            now: On a clock that never runs back [s].
            longest_gap: Time between two decisions up to which they count as successive [s].
        """
        unsure = _unsure(verdict, tolerance)
        since = now - self._unsure_at
        if unsure is False or since > max(EXPIRY, longest_gap):
            self.clear()
        if unsure is None:
            self._paused = True
        elif unsure:
            if not self._paused and since <= longest_gap:
                self._total += since
            self._unsure_at, self._paused = now, False
        return self._total


def _unsure(verdict: Verdict, tolerance: float) -> bool | None:
    """Whether the decision is unsure; None if nobody knows."""
    if verdict.reason is Reason.CONFIDENT:
        return False
    if verdict.reason is not Reason.DEEPEST or verdict.confidence is None:
        return None
    disagreement = verdict.confidence.disagreement
    return disagreement > tolerance if math.isfinite(disagreement) else None
