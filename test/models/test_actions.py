# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Magma's action format: what is encoded comes back."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.models.network.actions import (
    BINS,
    bin_centres,
    decode,
    soft_labels,
)
from magma_ros.models.network.normalisation import denormalise, normalise

HALF_A_BIN = 1.0 / BINS

units = st.floats(-1.0, 1.0, width=32)


@given(st.lists(units, min_size=6, max_size=6), st.floats(0.0, 1.0, width=32))
def test_an_action_survives_its_bins_within_half_a_bin(arm: list[float], gripper: float) -> None:
    action = torch.tensor([*arm, gripper])
    decoded = decode(torch.log(soft_labels(action, sigma=0.25) + 1e-12)).action
    assert (decoded - action).abs().max() <= HALF_A_BIN + 1e-5


@given(st.floats(-0.92, 0.92))
def test_soft_labels_do_not_bias_an_action_away_from_the_ends(value: float) -> None:
    action = torch.full((7,), abs(value))
    decoded = decode(torch.log(soft_labels(action, sigma=2.5) + 1e-12)).action
    assert (decoded - action).abs().max() <= HALF_A_BIN + 1e-5


@given(st.lists(units, min_size=7, max_size=7))
def test_normalisation_can_be_undone(values: list[float]) -> None:
    q01 = np.array([-0.02, -0.03, -0.01, -0.1, -0.1, -0.2, 0.0])
    q99 = np.array([0.03, 0.02, 0.02, 0.1, 0.1, 0.3, 1.0])
    back = normalise(denormalise(np.array(values), q01, q99), q01, q99)
    np.testing.assert_allclose(back, values, atol=1e-9)


def test_a_column_that_never_varies_becomes_zero() -> None:
    flat = np.zeros(7)
    assert np.all(normalise(np.zeros((5, 7)), flat, flat) == 0.0)


def test_two_equally_likely_actions_are_not_averaged() -> None:
    logits = torch.full((1, 7, BINS), -20.0)
    logits[..., 20] = logits[..., 230] = 5.0
    action = decode(logits).action[0, 0]
    assert min((action - bin_centres()[k]).abs() for k in (20, 230)) < 1e-4


def test_certainty_is_told_from_ignorance() -> None:
    sure = torch.log(soft_labels(torch.zeros(1, 7), sigma=2.5) + 1e-12)
    ignorant = torch.zeros(1, 7, BINS)
    assert decode(sure).margin.min() > 0.99
    assert decode(ignorant).margin.max() == 0.0
    assert decode(ignorant).entropy.min() > 0.999
    assert decode(sure).entropy.max() < 0.5


def test_the_gripper_stays_between_closed_and_open() -> None:
    logits = torch.zeros(3, 7, BINS)
    logits[0, :, 0] = logits[1, :, -1] = 50.0
    gripper = decode(logits).action[:, -1]
    assert gripper.min() >= 0.0
    assert gripper.max() <= 1.0
