# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How probable is it that thinking to the end would not change the action, and is that enough?

One logistic model per exit turns a few figures into P(this exit deviates from full depth by no
more than epsilon). It is fitted offline on recorded episodes (``evaluation.calibrate``). How much
doubt an exit may leave depends on what going on to the next one costs: a cheap stage is worth
running for a little doubt, an expensive one only for a lot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import TypeVar

import numpy as np

from magma_ros.types import ActionChunk, ExitReading, FloatArray

FEATURES = ("disagreement", "deviation", "entropy", "margin", "change", "overlap")
"""What an exit is judged by, in the order of a feature vector.

- ``disagreement``: log10 of ``Confidence.disagreement``, the root mean square difference to the
  previous exit over the whole chunk; 0 at the first exit, which has no previous one.
- ``deviation``: log10 of the :class:`Yardstick`'s deviation from the previous exit; likewise.
- ``entropy``, ``margin``: those of ``Confidence``.
- ``change``: log10 of the deviation from the chunk acted on before, over the steps that both
  cover; 0 if there are none.
- ``overlap``: 1 if there are such steps, else 0.
"""

LEAST = 1e-4
"""Deviations below this count as equal: their logarithm is clipped there."""

REST = 0.03
"""Movement in a step below which an arm is at rest, in shares of the action range."""

LEAST_PROBABILITY = 0.5
"""An exit that more probably deviates than agrees is never good enough."""

Probability = TypeVar("Probability", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How far two chunks lie apart: the measure of epsilon, in shares of the action range.

    Attributes:
        ranges: Of each column of an action, as wide as it goes: q99 - q01 of the training actions,
            and between the ends of a gripper.
        steps: First steps of a chunk that count: those executed before the next observation.
    """

    ranges: tuple[float, ...]
    steps: int

    def deviation(self, one: FloatArray, other: FloatArray) -> float:
        """Largest difference of any dimension in any step that counts, in shares of its range.

        Args:
            one: (K, D) actions in the units of their space.
            other: (K, D) likewise, of the same steps and space.
        """
        differences = np.abs(one[: self.steps] - other[: self.steps])
        return float((differences / self.ranges).max())

    def rests(self, chunk: ActionChunk) -> bool:
        """Whether the chunk moves the arm by less than :data:`REST` in every step that counts.

        A plan of places moves it from one to the next; the way to the first is not known here.
        """
        moving = list(chunk.space.moving)
        arm = chunk.actions[: self.steps, moving]
        if chunk.space.kind.absolute:
            arm = np.diff(arm, axis=0)
        shares = np.abs(arm) / np.array(self.ranges)[moving]
        return float(shares.max(initial=0.0)) < REST

    def change(self, now: ActionChunk, before: ActionChunk) -> float | None:
        """Deviation of two successive chunks over the steps both cover, or None without any."""
        passed = round((now.stamp - before.stamp) / now.step_period)
        if not 0 < passed < len(before):
            return None
        common = len(before) - passed
        return self.deviation(now.actions[:common], before.actions[passed:])


def exit_features(
    reading: ExitReading,
    previous: ActionChunk | None,
    acted: ActionChunk | None,
    yardstick: Yardstick,
) -> tuple[float, ...]:
    """The figures named in :data:`FEATURES`.

    Args:
        reading: The exit to judge.
        previous: What the exit before it proposed, or None at the first one.
        acted: What was acted on after the last observation, or None.
        yardstick: Measures deviations.
    """
    chunk, confidence = reading.chunk, reading.confidence
    first = previous is None
    change = None if acted is None else yardstick.change(chunk, acted)
    return (
        0.0 if first else _log(confidence.disagreement),
        0.0 if previous is None else _log(yardstick.deviation(chunk.actions, previous.actions)),
        confidence.entropy,
        confidence.margin,
        0.0 if change is None else _log(change),
        0.0 if change is None else 1.0,
    )


@dataclass(frozen=True, slots=True)
class ExitModel:
    """Logistic regression: P = 1 / (1 + exp(-(bias + weights . features))).

    Attributes:
        bias: See above.
        weights: One for each of :data:`FEATURES`.
        price: What going on from this exit to the next costs, relative to the mean over all exits.
    """

    bias: float
    weights: tuple[float, ...]
    price: float = 1.0

    def probability(self, features: tuple[float, ...]) -> float:
        """The modelled probability that this exit agrees with full depth."""
        logit = self.bias + sum(map(mul, self.weights, features))
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, logit))))


@dataclass(frozen=True, slots=True)
class AgreementModel:
    """Everything needed to judge the exits of one policy.

    Attributes:
        yardstick: Measures deviations.
        exits: One model for each exit but the deepest, which agrees with itself.
    """

    yardstick: Yardstick
    exits: tuple[ExitModel, ...]

    def probability(
        self, reading: ExitReading, previous: ActionChunk | None, acted: ActionChunk | None
    ) -> float:
        """P(``reading`` deviates from full depth by at most epsilon); 1 at the deepest exit."""
        if reading.depth > len(self.exits):
            return 1.0
        features = exit_features(reading, previous, acted, self.yardstick)
        return self.exits[reading.depth - 1].probability(features)


def strictest_passed(probability: Probability, price: Probability) -> Probability:
    """The highest threshold at which an exit is good enough: 1 - (1 - probability) / price.

    Stopping leaves the doubt 1 - probability, going on costs the price; a threshold t accepts a
    doubt of 1 - t for the mean price, and in proportion for any other.
    """
    return 1.0 - (1.0 - probability) / price


def _log(value: float) -> float:
    return math.log10(max(value, LEAST))
