# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Solved thresholds spend what they were solved for."""

import numpy as np
import pytest

from magma_ros.evaluation.calibrate.budget import consistency_thresholds, entropy_threshold
from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError
from magma_ros.gate.confidence import FEATURES
from magma_ros.gate.gates import ConsistencyGate, EntropyGate
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading

COSTS = (0.13, 0.3, 0.5, 0.75, 1.0)


@pytest.fixture
def episodes():
    """Ten episodes of 100 decisions with five exits; deeper exits agree more and doubt less."""
    rng = np.random.default_rng(5)
    made = []
    for _ in range(10):
        features = np.zeros((100, 4, len(FEATURES)))
        features[:, 1:, 0] = rng.normal([-1.0, -1.3, -1.6], 0.5, (100, 3))
        features[:, :, 2] = rng.uniform(0.1, [0.9, 0.8, 0.7, 0.6], (100, 4))
        made.append(EpisodeReadings(features, np.zeros((100, 4)), np.full(100, 5), success=True))
    return made


def spent(gate, episodes):
    """Mean cost when the real gate judges the recorded exits."""
    chunk = ActionChunk(0.0, 0.1, np.zeros((4, 7)), 1, MAGMA)
    costs = []
    for episode in episodes:
        for row in episode.features:
            for depth, values in enumerate(row, start=1):
                named = dict(zip(FEATURES, values, strict=True))
                disagreement = 10 ** named["disagreement"]
                confidence = Confidence(disagreement, named["entropy"], 0.0)
                reading = ExitReading(chunk, confidence, depth, 0, 0)
                if gate.confident(reading, Budget(0.0)):
                    break
            else:
                depth = 5
            costs.append(COSTS[depth - 1])
    return np.mean(costs)


@pytest.mark.parametrize("budget", [0.35, 0.5, 0.7, 0.9])
def test_the_consistency_gate_spends_its_budget(episodes, budget):
    thresholds = consistency_thresholds(episodes, COSTS, budget)
    assert len(thresholds) == 4
    assert spent(ConsistencyGate(thresholds), episodes) == pytest.approx(budget, abs=0.01)


@pytest.mark.parametrize("budget", [0.2, 0.35, 0.5, 0.9])
def test_the_entropy_gate_spends_its_budget(episodes, budget):
    threshold = entropy_threshold(episodes, COSTS, budget)
    assert spent(EntropyGate(threshold), episodes) == pytest.approx(budget, abs=0.02)


@pytest.mark.parametrize(
    ("solve", "least"), [(consistency_thresholds, 0.3), (entropy_threshold, 0.13)]
)
@pytest.mark.parametrize("budget", [0.1, 1.0, 2.0, -1.0, float("nan")])
def test_a_budget_that_no_threshold_meets_is_refused(episodes, solve, least, budget):
    with pytest.raises(CalibrationError, match=f"it must lie between {least:g} .* and 1 "):
        solve(episodes, COSTS, budget)
