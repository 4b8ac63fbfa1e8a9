# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What acting early costs in success, learnt from episodes whose exits were drawn at random.

Every draw is a randomised experiment, so no exit need be tried from saved states, and nothing is
assumed about how plans that deviate turn out. The loss is a regression of what the rest of the
episode came to on the exit drawn, both less what was to be expected before the draw (R-learner, Nie
& Wager, arXiv 1712.04912, with known probabilities of treatment). What is compared is an episode in
which one decision differs and the rest goes on as drawn.

Shapes: D decisions, N draws, E exits below the deepest, F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from magma_ros.evaluation.calibrate.episode_readings import Array, EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError, first_exits
from magma_ros.evaluation.calibrate.ridge import FOLDS, ridge, told_elsewhere
from magma_ros.evaluation.world import Scene
from magma_ros.gate.confidence import LEAST, Yardstick
from magma_ros.gate.interface import Gate, Memoryless
from magma_ros.gate.regret import ExitRegret, RegretModel
from magma_ros.types import Budget, ExitReading, FloatArray

LONGEST = 8
"""Decisions that one draw may govern, at most."""

COUNTED = 4
"""Decisions of one draw that count: an effect does not grow with their number for ever."""

PENALTIES = (100.0, 1000.0, 10_000.0)
"""Those tried: weight of the squared coefficients of standardised features."""

SURE = 2.0
"""Standard errors by which features must tell more about other episodes than none of them do."""

LEAST_PRICE = 1e-6
"""Price at which only exits are taken that cost no success."""


@dataclass(slots=True)
class RandomisedDepth(Memoryless):
    """Acts on exits drawn by a distribution that the episode has for itself.

    So some episodes are mostly shallow and some mostly deep. In half of them a draw governs one
    decision, in the others some number up to :data:`LONGEST`, the same throughout.

    Attributes:
        exits: How many there are.
        seed: Of the choices.
        shares: (E + 1,) probability of each exit.
        window: Decisions that one draw governs.
    """

    name = "randomised"
    exits: int
    seed: int
    shares: Array = field(init=False, repr=False, compare=False)
    window: int = field(init=False, compare=False)
    _rng: np.random.Generator = field(init=False, repr=False, compare=False)
    _depth: int = field(default=1, init=False, repr=False, compare=False)
    _decisions: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self.shares = self._rng.dirichlet(np.ones(self.exits))
        self.window = 1 if self._rng.random() < 0.5 else int(self._rng.integers(2, LONGEST + 1))

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit drawn for this observation is reached."""
        del budget
        if reading.depth == 1:
            if self._decisions % self.window == 0:
                self._depth = 1 + int(self._rng.choice(self.exits, p=self.shares))
            self._decisions += 1
        return reading.depth >= self._depth


def randomised(exits: int, scene: Scene) -> Gate:
    """Random exits, other ones in every episode."""
    return RandomisedDepth(exits, scene.seed)


def fit_regret(
    scenes: Sequence[Scene],
    episodes: Sequence[EpisodeReadings],
    yardstick: Yardstick,
    costs: Sequence[float],
) -> RegretModel:
    """Fit one model per exit to the success lost by acting there instead of at the deepest.

    Args:
        scenes: What was played.
        episodes: What :func:`randomised` gates did there.
        yardstick: What deviations were measured by.
        costs: (E + 1,) operations up to each exit, as a share of full depth.

    Raises:
        CalibrationError: There are fewer episodes than parts, no exits to choose from, or all
            episodes ended alike.
    """
    if len(costs) < 2:
        raise CalibrationError("a policy of one exit leaves a gate nothing to decide")
    if len(episodes) < FOLDS or len({episode.success for episode in episodes}) < 2:
        raise CalibrationError(
            f"{len(episodes)} episodes, all done or all failed, do not tell what depth is worth; "
            "play more of them, or harder tasks"
        )
    draws = _Draws.of(scenes, episodes, len(costs))
    part = np.random.default_rng(0).integers(0, FOLDS, int(draws.episode.max()) + 1)[draws.episode]
    outcomes = draws.success - _expected(draws, part)
    drawn = np.eye(len(costs))[draws.exits] - draws.shares
    treatment = (drawn * np.minimum(draws.governed, COUNTED)[:, None])[:, :-1]
    centre, scale = _spread(draws.features)
    standard = (draws.features - centre) / scale
    count, exits = treatment.shape
    design = np.concatenate(
        [treatment, (treatment[:, :, None] * standard).reshape(count, -1)], axis=1
    )
    penalty = _penalty(design, outcomes, part, draws.episode, exits)
    found = ridge(design, outcomes, penalty, free=exits)
    weights = found[exits:].reshape(exits, -1) / scale
    biases = found[:exits] - (weights * centre).sum(axis=1)
    return RegretModel(
        yardstick,
        tuple(
            ExitRegret(-float(bias), tuple(map(float, 0.0 - row)), 1.0 - cost)
            for bias, row, cost in zip(biases, weights, costs, strict=False)
        ),
    )


def price_for(
    model: RegretModel, episodes: Sequence[EpisodeReadings], costs: Sequence[float], budget: float
) -> float:
    """The lowest price at which a decision costs no more than the budget, in recorded states.

    Args:
        model: Judges the exits.
        episodes: Recorded episodes.
        costs: (E + 1,) operations up to each exit, as a share of full depth.
        budget: Mean operations of a decision, likewise.

    Raises:
        CalibrationError: The budget lies below what the first exit costs.
    """
    if budget < costs[0]:
        raise CalibrationError(
            f"a budget of {budget:g} cannot be met: the first exit alone costs {costs[0]:.3f}"
        )
    weights = np.array([each.weights for each in model.exits])
    bias, saving, loss = np.array([(e.bias, e.saving, e.loss) for e in model.exits]).T
    lowest = np.concatenate(
        [
            (episode.features * weights).sum(axis=2)
            + bias
            + loss * (model.need(episode.instruction) - 1.0)
            for episode in episodes
        ]
    )
    lowest /= saving
    candidates = np.append(np.quantile(lowest, np.linspace(0.0, 1.0, 401)), lowest.max())
    price = np.asarray(costs)
    for candidate in np.maximum(candidates, LEAST_PRICE):
        if price[first_exits(lowest <= candidate) - 1].mean() <= budget:
            return float(min(candidate, 1.0))
    return 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Every draw of an exit, and what was known before it.

    Attributes:
        known: (N, B) task, progress, shares, and the readings of every exit.
        features: (N, E, F) of the exits.
        shares: (N, E + 1) probability of each exit.
        exits: (N,) the exit drawn, 0 for the shallowest.
        governed: (N,) decisions that the draw governed.
        success: (N,) 1 where the episode's task was done, else 0.
        episode: (N,) which episode it belongs to.
    """

    known: Array
    features: Array
    shares: Array
    exits: npt.NDArray[np.int64]
    governed: npt.NDArray[np.int64]
    success: Array
    episode: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scenes: Sequence[Scene], episodes: Sequence[EpisodeReadings], exits: int) -> _Draws:
        kinds = sorted({(scene.suite, scene.task) for scene in scenes})
        typical = float(np.mean([len(episode.depths) for episode in episodes]))
        columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in cls.__slots__}
        for number, (scene, played) in enumerate(zip(scenes, episodes, strict=True)):
            gate = RandomisedDepth(exits, scene.seed)
            first = np.arange(0, len(played.depths), gate.window)
            count = len(first)
            task = np.zeros(len(kinds))
            task[kinds.index((scene.suite, scene.task))] = 1.0
            progress = first[:, None] / typical
            shares = np.tile(gate.shares, (count, 1))
            features = played.features[first]
            told = np.concatenate([task * progress**power for power in (0, 1, 2)], axis=1)
            deviations = np.log10(np.maximum(played.deviations[first], LEAST))
            readings = features.reshape(count, -1)
            known = np.concatenate([told, shares, shares * progress, deviations, readings], axis=1)
            row = (
                known,
                features,
                shares,
                played.depths[first] - 1,
                np.minimum(first + gate.window, len(played.depths)) - first,
                np.full(count, float(played.success)),
                np.full(count, number),
            )
            for name, part in zip(cls.__slots__, row, strict=True):
                columns[name].append(part)
        return cls(**{name: np.concatenate(parts) for name, parts in columns.items()})


def _penalty(
    design: Array,
    outcomes: Array,
    part: npt.NDArray[np.int64],
    episode: npt.NDArray[np.int64],
    free: int,
) -> float:
    """That of features by which most is told of other episodes; infinite where that may be chance.

    Else figures that tell nothing would move the regret as much as what an exit loses on average.
    """
    bare = (told_elsewhere(design[:, :free], outcomes, 0.0, part, free=free) - outcomes) ** 2
    best, most = math.inf, 0.0
    for penalty in PENALTIES:
        told = (told_elsewhere(design, outcomes, penalty, part, free=free) - outcomes) ** 2
        gains = np.bincount(episode, bare - told)
        if gains.sum() > max(most, SURE * float(gains.std()) * math.sqrt(len(gains))):
            best, most = penalty, float(gains.sum())
    return best


def _expected(draws: _Draws, part: npt.NDArray[np.int64]) -> FloatArray:
    """(N,) success to be expected before each draw, learnt from other episodes."""
    centre, scale = _spread(draws.known)
    design = np.column_stack([np.ones(len(part)), (draws.known - centre) / scale])
    return told_elsewhere(design, draws.success, 1.0, part, free=1)


def _spread(values: Array) -> tuple[Array, Array]:
    """Mean and deviation along the first axis; infinite where a value never varies."""
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-9, spread, np.inf)
