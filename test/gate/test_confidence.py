# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deviations are measured where they are executed, and features say what they are named for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.gate.confidence import (
    FEATURES,
    AgreementModel,
    ExitModel,
    Yardstick,
    exit_features,
)
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Confidence, ExitReading

YARDSTICK = Yardstick(ranges=(0.1, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0), steps=2)


def chunk(stamp=0.0, depth=1, **changes):
    """Zeros, but for ``d<step>=(column, value)``."""
    actions = np.zeros((4, 7))
    for name, (column, value) in changes.items():
        actions[int(name[1:]), column] = value
    return ActionChunk(stamp, 0.1, actions, depth, MAGMA)


def reading(chunk, disagreement=0.5):
    return ExitReading(chunk, Confidence(disagreement, 0.3, 0.7), chunk.depth, 0, 0)


def features(*args):
    return dict(zip(FEATURES, exit_features(*args, YARDSTICK), strict=True))


def test_the_largest_share_of_a_range_counts():
    found = YARDSTICK.deviation(
        chunk(d0=(0, 0.02), d1=(5, 0.3)).actions, chunk(d0=(0, -0.02)).actions
    )
    assert found == pytest.approx(0.4)


def test_a_gripper_that_does_the_opposite_deviates_by_its_whole_range():
    assert YARDSTICK.deviation(chunk(d1=(6, 1.0)).actions, chunk().actions) == pytest.approx(1.0)


def test_steps_that_are_not_executed_do_not_count():
    assert YARDSTICK.deviation(chunk(d2=(0, 9.0)).actions, chunk().actions) == 0.0


def test_change_compares_the_same_moments():
    """Step 1 of the new chunk is step 2 of one that is a step older."""
    before, now = chunk(0.0, d2=(0, 0.05)), chunk(0.1, d1=(0, 0.05))
    assert YARDSTICK.change(now, before) == pytest.approx(0.0)
    assert YARDSTICK.change(chunk(0.1), before) == pytest.approx(0.5)


@pytest.mark.parametrize("stamp", [0.0, -0.2, 0.4, 1e6])
def test_chunks_that_share_no_step_have_no_change(stamp):
    assert YARDSTICK.change(chunk(stamp), chunk(0.0)) is None


def test_only_the_step_both_cover_is_compared():
    assert YARDSTICK.change(chunk(0.3, d0=(0, 0.05), d1=(0, 0.09)), chunk(0.0)) == pytest.approx(
        0.5
    )


def test_the_first_exit_after_nothing_has_no_agreement_and_no_change():
    found = features(reading(chunk(), math.inf), None, None)
    assert found == {
        "disagreement": 0.0,
        "deviation": 0.0,
        "entropy": 0.3,
        "margin": 0.7,
        "change": 0.0,
        "overlap": 0.0,
    }


def test_agreement_and_change_are_logarithms():
    found = features(reading(chunk(0.1, 2, d0=(0, 0.01)), 0.01), chunk(0.1), chunk(0.0))
    assert found["disagreement"] == pytest.approx(-2.0)
    assert found["deviation"] == pytest.approx(-1.0)
    assert found["change"] == pytest.approx(-1.0)
    assert found["overlap"] == 1.0


def test_equal_chunks_have_finite_features():
    found = features(reading(chunk(0.1, 2), 0.0), chunk(0.1), chunk(0.0))
    assert found["disagreement"] == found["deviation"] == found["change"] == -4.0


def test_the_deepest_exit_agrees_with_itself():
    model = AgreementModel(YARDSTICK, (ExitModel(-9.0, (0.0,) * 6),))
    assert model.probability(reading(chunk(depth=1)), None, None) < 0.001
    assert model.probability(reading(chunk(depth=2)), chunk(), None) == 1.0


@given(bias=st.floats(-1e6, 1e6), weight=st.floats(-1e6, 1e6), feature=st.floats(-4.0, 4.0))
def test_a_probability_is_one_whatever_the_coefficients(bias, weight, feature):
    probability = ExitModel(bias, (weight,)).probability((feature,))
    assert 0.0 <= probability <= 1.0
