# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fitted probabilities mean what they say, and are told apart from those that do not."""

import numpy as np
import pytest

from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.fitting import (
    fit_agreement,
    fit_exit,
    probabilities,
    reliability,
)
from magma_ros.gate.confidence import FEATURES, Yardstick
from magma_ros.gate.interface import GateError

YARDSTICK = Yardstick((1.0,) * 7, steps=2)
TRUE_WEIGHTS = np.array([-1.5, 0.0, -4.0, 0.0, 0.8, 0.0])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def draw(rng, count):
    """Features of an exit, and whether it agreed, by a logistic law."""
    features = rng.normal([-1.5, -1.5, 0.3, 0.6, -1.0, 0.0], [1, 1, 0.2, 0.2, 1, 0], (count, 6))
    logits = 0.5 + features @ TRUE_WEIGHTS
    return features, rng.random(count) < 1.0 / (1.0 + np.exp(-logits))


def test_the_law_behind_the_data_is_found(rng):
    features, agrees = draw(rng, 20_000)
    model = fit_exit(features, agrees)
    np.testing.assert_allclose(model.weights, TRUE_WEIGHTS, atol=0.3)
    assert model.bias == pytest.approx(0.5, abs=0.3)


def test_a_feature_that_never_varies_gets_no_weight(rng):
    features, agrees = draw(rng, 1000)
    assert fit_exit(features, agrees).weights[5] == 0.0


@pytest.mark.parametrize(("always", "low", "high"), [(True, 0.99, 1.0), (False, 0.0, 0.01)])
def test_an_exit_without_exception_stays_fallible(rng, always, low, high):
    features, _ = draw(rng, 500)
    model = fit_exit(features, np.full(500, always))
    found = [model.probability(tuple(row)) for row in features]
    assert low < min(found) <= max(found) < high


def test_fitted_probabilities_are_calibrated_on_fresh_data(rng):
    model = fit_exit(*draw(rng, 5000))
    features, agrees = draw(rng, 5000)
    diagram = reliability(np.array([model.probability(tuple(row)) for row in features]), agrees)
    assert diagram.error < 0.03
    assert diagram.counts.sum() == 5000


def test_overconfidence_shows_in_the_reliability(rng):
    agrees = rng.random(2000) < 0.6
    diagram = reliability(np.full(2000, 0.95), agrees)
    assert diagram.error == pytest.approx(0.35, abs=0.04)
    assert (len(diagram.counts), diagram.predicted[0]) == (1, pytest.approx(0.95))


def test_certainty_has_a_bin_too():
    diagram = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert diagram.error == 0.0
    assert diagram.counts.tolist() == [1, 1]


def test_each_exit_has_a_model_of_its_own(rng):
    often, seldom = rng.random((400, 1)) < 0.9, rng.random((400, 1)) < 0.2
    agrees = np.hstack([seldom, often])
    features = rng.normal(size=(400, 2, len(FEATURES)))
    episode = EpisodeReadings(features, np.where(agrees, 0.01, 0.5), np.full(400, 3), success=True)
    model = fit_agreement([episode, episode], 0.1, YARDSTICK, (0.5, 1.5))
    given = probabilities(model, episode)
    np.testing.assert_allclose(given.mean(axis=0), [0.2, 0.9], atol=0.05)
    row = tuple(features[3, 1])
    assert given[3, 1] == pytest.approx(model.exits[1].probability(row))
    assert [exit_model.price for exit_model in model.exits] == [0.5, 1.5]


def test_nothing_is_learnt_from_nothing():
    empty = EpisodeReadings(np.zeros((0, 2, 6)), np.zeros((0, 2)), np.zeros(0, int), success=True)
    with pytest.raises(GateError, match="no decision"):
        fit_agreement([empty], 0.1, YARDSTICK, (1.0, 1.0))
