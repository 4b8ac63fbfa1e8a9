# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is certified holds as often as promised, and what cannot be promised is refused."""

import numpy as np
import pytest

from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import (
    TRIALS,
    CalibrationError,
    Evidence,
    choose_sequence,
    fewest_episodes,
    first_exits,
    p_value,
    require_certified,
    require_possible,
    risk_interval,
    run_sequence,
)
from magma_ros.gate.confidence import AgreementModel, ExitModel, Yardstick

DELTA, ALPHA, EPSILON = 0.1, 0.1, 0.2


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def episode(violating):
    """Every decision acts on exit 1; those that violate deviate by more than epsilon."""
    deviations = np.where(violating, 2 * EPSILON, 0.0)[:, None]
    count = len(violating)
    return EpisodeReadings(np.zeros((count, 1, 6)), deviations, np.ones(count, int), success=True)


def played(rng, episodes, rate):
    """Episodes whose decisions depend on each other: each has a violation rate of its own."""
    rates = rng.beta(2.0, 2.0 / rate - 2.0, episodes)
    return [episode(rng.random(30) < rate) for rate in rates]


def test_losses_around_delta_prove_nothing():
    assert p_value(np.full(100, 0.1), 0.1, alpha=ALPHA) == 1.0
    assert p_value(np.full(100, 0.3), 0.1, alpha=ALPHA) > 0.9
    assert p_value(np.ones(5), 0.1, alpha=ALPHA) == 1.0


def test_more_episodes_and_smaller_losses_prove_more():
    def p(loss, episodes):
        return p_value(np.full(episodes, loss), 0.1, alpha=ALPHA)

    assert p(0.05, 200) < p(0.05, 100)
    assert p(0.03, 100) < p(0.05, 100)


def test_losses_that_vary_less_prove_more(rng):
    wild = np.where(rng.random(200) < 0.05, 1.0, 0.0)
    assert p_value(np.full(200, wild.mean()), 0.1, alpha=ALPHA) < p_value(wild, 0.1, alpha=ALPHA)


@pytest.mark.parametrize("kind", ["all or nothing", "spread"])
def test_a_bad_threshold_passes_no_more_often_than_alpha(rng, kind):
    """The expected loss is just above delta, so every certificate is wrong."""
    rate = DELTA + 1e-3
    losses = (
        (rng.random((4000, 60)) < rate).astype(float)
        if kind == "all or nothing"
        else rng.beta(0.5, 0.5 / rate - 0.5, (4000, 60))
    )
    wrong = np.mean([p_value(episodes, DELTA, alpha=ALPHA) <= ALPHA for episodes in losses])
    assert wrong <= ALPHA


def test_a_good_threshold_passes(rng):
    """Three quarters of delta, over as many episodes as a calibration plays."""
    losses = rng.beta(1.2, 1.2 / (0.75 * DELTA) - 1.2, (300, 200))
    passed = np.mean([p_value(episodes, DELTA, alpha=0.05) <= 0.05 for episodes in losses])
    assert passed >= 0.9


@pytest.mark.parametrize(("delta", "alpha"), [(0.1, 0.1), (0.1, 0.05), (0.05, 0.05), (0.5, 0.5)])
def test_the_fewest_episodes_are_just_enough(delta, alpha):
    needed = fewest_episodes(delta, alpha)
    assert p_value(np.zeros(needed), delta, alpha=alpha) <= alpha
    assert needed == 1 or p_value(np.zeros(needed - 1), delta, alpha=alpha) > alpha


def test_too_few_episodes_are_refused_with_the_number_needed():
    needed = fewest_episodes(0.1, 0.05)
    require_possible(epsilon=0.1, delta=0.1, alpha=0.05, episodes=needed)
    sentence = f"{needed - 1} episodes are too few .* at least {needed} are needed"
    with pytest.raises(CalibrationError, match=sentence):
        require_possible(epsilon=0.1, delta=0.1, alpha=0.05, episodes=needed - 1)


@pytest.mark.parametrize("name", ["epsilon", "delta", "alpha"])
@pytest.mark.parametrize("value", [0.0, -0.1, 1.0, 7.0, float("nan")])
def test_levels_must_lie_between_0_and_1(name, value):
    levels = {"epsilon": 0.1, "delta": 0.1, "alpha": 0.1} | {name: value}
    with pytest.raises(CalibrationError, match=f"{name} must lie between 0 and 1"):
        require_possible(**levels, episodes=1000)


def test_the_test_stops_at_the_first_threshold_that_fails(rng):
    rates = {0.9: 0.02, 0.8: 0.04, 0.7: 0.2, 0.6: 0.01}
    driven = []

    def drive(threshold):
        driven.append(threshold)
        return played(rng, 200, rates[threshold])

    tested = run_sequence(tuple(rates), drive, epsilon=EPSILON, delta=DELTA, alpha=ALPHA)
    assert driven == [0.9, 0.8, 0.7]
    assert [trial.p_value <= ALPHA for trial in tested] == [True, True, False]
    assert tested[0].losses.mean() == pytest.approx(0.02, abs=0.01)


def test_what_is_certified_is_wrong_no_more_often_than_alpha(rng):
    """Of many calibrations, few certify a threshold whose true loss exceeds delta."""
    rates = {0.9: 0.04, 0.8: 0.07, 0.7: 0.105, 0.6: 0.12}
    wrong = 0
    for _ in range(60):
        tested = run_sequence(
            tuple(rates),
            lambda threshold: played(rng, 40, rates[threshold]),
            epsilon=EPSILON,
            delta=DELTA,
            alpha=ALPHA,
        )
        wrong += any(t.p_value <= ALPHA and rates[t.threshold] > DELTA for t in tested)
    assert wrong / 60 <= ALPHA


def test_the_interval_holds_the_truth(rng):
    rate, held = 0.15, 0
    for _ in range(200):
        losses = rng.beta(1.0, 1.0 / rate - 1.0, 80)
        low, high = risk_interval(losses)
        assert 0.0 <= low <= losses.mean() <= high <= 1.0
        held += low <= rate <= high
    assert held >= 0.95 * 200


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_an_interval_at_the_edge_stays_inside(mean):
    low, high = risk_interval(np.full(50, mean))
    assert (low, high)[int(mean)] == pytest.approx(mean)
    assert 0.02 < high - low < 0.2


def test_the_first_accepted_exit_is_taken_or_the_deepest():
    accepted = np.array([[True, True], [False, True], [False, False]])
    assert first_exits(accepted).tolist() == [1, 2, 3]


def test_the_sequence_goes_from_cautious_to_bold(rng):
    """One exit whose feature tells exactly how probable agreement is."""
    logit = rng.normal(2.0, 2.0, (100, 30))
    agrees = rng.random((100, 30)) < 1.0 / (1.0 + np.exp(-logit))
    features = np.zeros((100, 30, 1, 6))
    features[..., 0, 2] = logit
    episodes = [
        EpisodeReadings(f, np.where(a, 0.0, 1.0)[:, None], np.full(30, 2), success=True)
        for f, a in zip(features, agrees, strict=True)
    ]
    model = AgreementModel(Yardstick((1.0,) * 7, 2), (ExitModel(0.0, (0, 0, 1.0, 0, 0, 0)),))
    sequence = choose_sequence(model, episodes, EPSILON, DELTA)
    assert 2 <= len(sequence) <= TRIALS
    assert list(sequence) == sorted(sequence, reverse=True)
    boldest = np.mean(
        [
            e.violations(
                EPSILON, first_exits(1 / (1 + np.exp(-e.feature("entropy"))) >= sequence[-1])
            )
            for e in episodes
        ]
    )
    assert 0.5 * DELTA < boldest <= DELTA


def test_thresholds_to_test_are_those_at_which_exits_of_any_price_are_taken():
    """One exit at twice the mean price, which agrees with probability 0.9 and never deviates."""
    episodes = [episode(np.zeros(20, bool))]
    dear = ExitModel(np.log(9.0), (0.0,) * 6, price=2.0)
    model = AgreementModel(Yardstick((1.0,) * 7, 2), (dear,))
    assert choose_sequence(model, episodes, EPSILON, DELTA) == (pytest.approx(0.95),)


def test_where_no_exit_is_trusted_only_full_depth_is_tested():
    """The model gives every exit a chance of one in ten."""
    episodes = [episode(np.ones(20, bool))]
    model = AgreementModel(Yardstick((1.0,) * 7, 2), (ExitModel(-np.log(9.0), (0.0,) * 6),))
    assert choose_sequence(model, episodes, EPSILON, DELTA) == (1.0,)


def evidence_at(loss, p):
    return Evidence(0.9, np.array([loss]), p, [])


def test_the_most_liberal_certified_threshold_is_taken():
    trials = [evidence_at(0.01, 0.001), evidence_at(0.03, 0.09), evidence_at(0.05, 0.2)]
    assert require_certified(trials, epsilon=0.1, delta=DELTA, alpha=ALPHA) is trials[1]


@pytest.mark.parametrize(
    ("loss", "remedy"),
    [(0.05, "play [0-9]+ episodes, or ask for a larger"), (0.2, "0.1; ask for a larger epsilon")],
)
def test_a_promise_that_cannot_be_made_comes_with_a_remedy(loss, remedy):
    with pytest.raises(CalibrationError, match=remedy):
        require_certified([evidence_at(loss, 0.3)], epsilon=0.1, delta=DELTA, alpha=ALPHA)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.09])
def test_the_episodes_named_suffice(loss):
    episodes = fewest_episodes(DELTA, ALPHA, loss)
    assert p_value(np.full(episodes, loss), DELTA, alpha=ALPHA) <= ALPHA
