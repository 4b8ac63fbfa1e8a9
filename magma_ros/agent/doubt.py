# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When to ask a person for help: once the deepest exit has stayed unsure for a while."""

from __future__ import annotations

import math

from magma_ros.types import Reason, Verdict


class Doubt:
    """How long the policy has been unsure.

    It is unsure when the deepest exit was reached, no exit satisfied the gate, and the deepest one
    still disagrees with the one before it by more than a tolerance: thinking has not settled the
    matter. One decision that is sure ends the doubt. One that was cut short, by a deadline or a
    cap, neither begins nor ends it, because nobody knows what the deepest exit would have said; nor
    does a policy with a single exit, which has nothing to disagree with.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def clear(self) -> None:
        """Start anew, as when the task changes or a person drives."""
        self._since = None

    def lasts(self, verdict: Verdict, tolerance: float, now: float) -> float:
        """How long the policy has been unsure after ``verdict`` [s]; 0 if it is not.

        Args:
            verdict: The newest decision.
            tolerance: Disagreement that counts as agreement, as in
                :attr:`magma_ros.types.Confidence.disagreement`.
            now: On a clock that never runs back [s].
        """
        settled = self._settled(verdict, tolerance)
        if settled:
            self._since = None
        elif settled is False and self._since is None:
            self._since = now
        return 0.0 if self._since is None else now - self._since

    @staticmethod
    def _settled(verdict: Verdict, tolerance: float) -> bool | None:
        """Whether the decision is sure; None if nobody knows."""
        if verdict.reason is Reason.CONFIDENT:
            return True
        if verdict.reason is not Reason.DEEPEST or verdict.confidence is None:
            return None
        disagreement = verdict.confidence.disagreement
        return disagreement <= tolerance if math.isfinite(disagreement) else None
