# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds of the baselines that spend a given compute budget on recorded episodes.

DeeR-VLA (arXiv 2411.02359, section 3.3) fixes how many samples shall leave at each exit, in a
geometric series, tunes its ratio until the mean cost meets the budget, and then walks the exits in
order, setting each threshold to the value that lets just that share of the remaining samples go.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from magma_ros.evaluation.calibrate.episode_readings import Array, EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError, first_exits


def consistency_thresholds(
    episodes: Sequence[EpisodeReadings], costs: Sequence[float], budget: float
) -> tuple[float, ...]:
    """Thresholds of :class:`magma_ros.gate.baselines.ConsistencyGate` for a budget.

    Args:
        episodes: Recorded episodes.
        costs: (E + 1,) cost of acting at each exit, the deepest last.
        budget: Mean cost of a decision, in the unit of ``costs``.

    Returns:
        (E,) thresholds; the first is 0, because the first exit has nothing to agree with.

    Raises:
        CalibrationError: No thresholds meet the budget.
    """
    price = np.asarray(costs, float)[1:]
    _require_within(budget, float(price[0]), float(price[-1]))
    shares = _geometric(_ratio(price, budget), len(price))
    left = np.concatenate([10.0 ** episode.feature("disagreement") for episode in episodes])
    everyone = len(left)
    thresholds = [0.0]
    for column, share in enumerate(shares[:-1], start=1):
        ascending = np.sort(left[:, column])
        leaving = min(round(share * everyone), len(ascending))
        threshold = float(ascending[leaving - 1]) if leaving else 0.0
        thresholds.append(threshold)
        left = left[left[:, column] > threshold]
    return tuple(thresholds)


def entropy_threshold(
    episodes: Sequence[EpisodeReadings], costs: Sequence[float], budget: float
) -> float:
    """The threshold of :class:`magma_ros.gate.baselines.EntropyGate` for a budget.

    Args:
        episodes: Recorded episodes.
        costs: (E + 1,) cost of acting at each exit, the deepest last.
        budget: Mean cost of a decision, in the unit of ``costs``.

    Raises:
        CalibrationError: No threshold meets the budget.
    """
    price = np.asarray(costs, float)
    _require_within(budget, float(price[0]), float(price[-1]))
    entropies = np.concatenate([episode.feature("entropy") for episode in episodes])
    candidates = np.quantile(entropies, np.linspace(0.0, 1.0, 201))
    spent = [price[first_exits(entropies <= value) - 1].mean() for value in candidates]
    return float(candidates[np.argmin(np.abs(np.array(spent) - budget))])


def _geometric(ratio: float, count: int) -> Array:
    series = ratio ** np.arange(count, dtype=float)
    return np.asarray(series / series.sum())


def _ratio(price: Array, budget: float) -> float:
    """Ratio of the series of shares whose mean cost is the budget."""

    def excess(log_ratio: float) -> float:
        return float(_geometric(float(np.exp(log_ratio)), len(price)) @ price) - budget

    return float(np.exp(brentq(excess, -20.0, 20.0)))


def _require_within(budget: float, least: float, most: float) -> None:
    if not least < budget < most:
        raise CalibrationError(
            f"a budget of {budget:g} cannot be met: it must lie between {least:g} (always the "
            f"first usable exit) and {most:g} (always the deepest)"
        )
