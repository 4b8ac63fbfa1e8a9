# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate that judges by what acting early costs in success, not by how far a plan deviates.

A plan may lie far from full depth's and do as well, or near it and miss. So the loss is learnt
from what becomes of whole episodes in which the exit of each decision was drawn at random
(``evaluation.calibrate.regret``): a linear model an exit of the figures in
:data:`magma_ros.gate.confidence.FEATURES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import mul
from typing import ClassVar

from magma_ros.gate.confidence import Yardstick, exit_features
from magma_ros.gate.interface import require_share, tightened
from magma_ros.types import ActionChunk, Budget, ExitReading


@dataclass(frozen=True, slots=True)
class ExitRegret:
    """What acting at one exit costs: bias + weights . features.

    Attributes:
        bias: See above.
        weights: One for each of :data:`magma_ros.gate.confidence.FEATURES`.
        saving: Operations that acting here saves, as a share of full depth.
    """

    bias: float
    weights: tuple[float, ...]
    saving: float

    def of(self, features: tuple[float, ...]) -> float:
        """Loss of the episode's success by one decision, against acting on the deepest exit.

        Negative where acting here did better.
        """
        loss: float = self.bias + sum(map(mul, self.weights, features))
        return loss


@dataclass(frozen=True, slots=True)
class RegretModel:
    """Everything needed to judge the exits of one policy by their regret.

    Attributes:
        yardstick: Measures deviations.
        exits: One model for each exit but the deepest.
    """

    yardstick: Yardstick
    exits: tuple[ExitRegret, ...]


@dataclass(slots=True)
class RegretGate:
    """Acts where thinking to the end would gain less success than its operations are worth.

    That is where the regret is at most ``price`` times the operations saved. At the deepest exit
    there is nothing to be judged.

    Attributes:
        regret: The models.
        price: Success that the operations of one decision at full depth are worth, without risk;
            risk lowers it to ``price * (1 - 0.75 * risk)``.
    """

    name: ClassVar[str] = "regret"
    regret: RegretModel
    price: float
    _previous: ActionChunk | None = field(default=None, init=False, repr=False, compare=False)
    _acted: ActionChunk | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_share("price", self.price)

    def reset(self) -> None:
        """Forget the last action."""
        self._previous = self._acted = None

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn what the robot follows since the last observation."""
        self._acted = chunk

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the success lost by acting now is worth the operations saved."""
        previous = None if reading.depth == 1 else self._previous
        self._previous = reading.chunk
        if reading.depth > len(self.regret.exits):
            return False
        model = self.regret.exits[reading.depth - 1]
        features = exit_features(reading, previous, self._acted, self.regret.yardstick)
        return model.of(features) <= tightened(self.price, budget.risk) * model.saving
