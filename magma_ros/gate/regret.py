# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate that judges by what acting early costs in success, not by how far a plan deviates.

A plan may lie far from full depth's and do as well, or near it and miss. So the loss is learnt
from what becomes of whole episodes in which the exit of each decision was drawn at random
(``evaluation.calibrate.regret``): a linear model an exit of the figures in
:data:`magma_ros.gate.confidence.FEATURES`. Where it is known which words stand for tasks that need
depth (``evaluation.calibrate.need``), the instruction is weighed as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import mul
from typing import ClassVar

from magma_ros.gate.confidence import Yardstick, exit_features
from magma_ros.gate.interface import require_share, tightened
from magma_ros.types import ActionChunk, Budget, ExitReading


def words_of(instruction: str) -> frozenset[str]:
    """The words of an instruction, in lower case and without their order."""
    return frozenset(re.findall(r"\w+", instruction.lower()))


@dataclass(frozen=True, slots=True)
class ExitRegret:
    """What acting at one exit costs: bias + weights . features + loss * (need - 1).

    Attributes:
        bias: See above.
        weights: One for each of :data:`magma_ros.gate.confidence.FEATURES`.
        saving: Operations that acting here saves, as a share of full depth.
        loss: What acting here costs on average over all tasks; 0 where tasks were not told apart.
    """

    bias: float
    weights: tuple[float, ...]
    saving: float
    loss: float = 0.0

    def of(self, features: tuple[float, ...], need: float = 1.0) -> float:
        """Loss of the episode's success by one decision, against acting on the deepest exit.

        Negative where acting here did better.

        Args:
            features: Of the exit.
            need: How much the task needs depth; 1 on average.
        """
        of_features: float = self.bias + sum(map(mul, self.weights, features))
        return of_features + self.loss * (need - 1.0)


@dataclass(frozen=True, slots=True)
class RegretModel:
    """Everything needed to judge the exits of one policy by their regret.

    Attributes:
        yardstick: Measures deviations.
        exits: One model for each exit but the deepest.
        words: What each word adds to the need of depth.
    """

    yardstick: Yardstick
    exits: tuple[ExitRegret, ...]
    words: Mapping[str, float] = field(default_factory=dict)

    def need(self, instruction: str) -> float:
        """How much a task needs depth by what the policy is told: 0 or more, 1 on average.

        That of words which are not known is 1.
        """
        told = words_of(instruction)
        return max(0.0, 1.0 + sum(self.words.get(word, 0.0) for word in told))


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
        loss = model.of(features, self.regret.need(reading.instruction))
        return loss <= tightened(self.price, budget.risk) * model.saving
