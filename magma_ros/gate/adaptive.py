# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate that judges by calibrated probability, or by agreement where there is none yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from magma_ros.gate.confidence import LEAST_PROBABILITY, AgreementModel, strictest_passed
from magma_ros.gate.interface import require_share, tightened
from magma_ros.types import ActionChunk, Budget, ExitReading


@dataclass(slots=True)
class AdaptiveGate:
    """Confident once thinking on is no longer worth what it costs.

    With a model, an exit is taken if it probably agrees with full depth: the doubt that is left
    must not exceed ``1 - threshold``, times the price of going on to the next exit. Risk leaves
    ``1 - 0.75 * risk`` of that. At the deepest exit there is nothing to be judged, so it is never
    *confident* there. Nor is it where the arm would be left at rest: every exit finds that
    probable because nothing changes, and it goes on until something deeper disagrees. Thinking on
    costs an arm at rest no time. Rest is accepted only right after a rest of the deepest exit was
    acted on.

    Without a model, an exit is taken if it agrees with the one before (DeeR-VLA's criterion,
    arXiv 2411.02359); the first exit has nothing to agree with.

    Attributes:
        tolerance: Without a model: largest disagreement accepted without risk, in units of the
            normalised action range [-1, 1]; risk lowers it to ``tolerance * (1 - 0.75 * risk)``.
        threshold: With a model: probability demanded without risk, at the mean price.
        model: Gives the probability, or None.
        probability: With a model: that of the reading judged last; None before the first one.
    """

    name: ClassVar[str] = "adaptive"
    tolerance: float = 0.05
    threshold: float = 1.0
    model: AgreementModel | None = None
    probability: float | None = field(default=None, init=False, compare=False)
    _previous: ActionChunk | None = field(default=None, init=False, repr=False, compare=False)
    _acted: ActionChunk | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_share("tolerance", self.tolerance)
        require_share("threshold", self.threshold)

    def reset(self) -> None:
        """Forget the last action."""
        self.probability = self._previous = self._acted = None

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn what the robot follows since the last observation."""
        self._acted = chunk

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit probably, or apparently, agrees with full depth."""
        model = self.model
        if model is None:
            return reading.confidence.disagreement <= tightened(self.tolerance, budget.risk)
        previous = None if reading.depth == 1 else self._previous
        self._previous = reading.chunk
        self.probability = model.probability(reading, previous, self._acted)
        if reading.depth > len(model.exits) or self.probability < LEAST_PROBABILITY:
            return False
        if model.yardstick.rests(reading.chunk) and not self._has_deeply_rested(model):
            return False
        passed = strictest_passed(self.probability, model.exits[reading.depth - 1].price)
        return passed >= 1.0 - tightened(1.0 - self.threshold, budget.risk)

    def _has_deeply_rested(self, model: AgreementModel) -> bool:
        """Whether what was acted on last came from the deepest exit and left the arm at rest."""
        acted = self._acted
        return acted is not None and acted.depth > len(model.exits) and model.yardstick.rests(acted)
