# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A jump is measured in what the limits allow from one command to the next."""

import numpy as np
import pytest

from magma_ros.evaluation.bench.handovers import (
    HandOver,
    handovers_grid,
    handovers_json,
    largest_jump,
)

ACCELERATION, BRAKING, PERIOD = 4.0, 8.0, 0.02  # of config/robots/sim.yaml, at 50 Hz


def stream(*speeds, period=PERIOD):
    return [
        (period * index, np.array([speed, 0.0, 0.0, 0.0, 0.0, 0.0]))
        for index, speed in enumerate(speeds)
    ]


@pytest.mark.parametrize(
    ("twists", "jump"),
    [
        (stream(0.0, ACCELERATION * PERIOD), 1.0),
        (stream(0.0, 0.5 * ACCELERATION * PERIOD), 0.5),
        (stream(0.2, 0.2 - BRAKING * PERIOD), 1.0),
        (stream(0.1, -0.1), 0.2 / (ACCELERATION * PERIOD)),
        (stream(0.0, 2 * ACCELERATION * PERIOD, period=2 * PERIOD), 1.0),
        (stream(0.0, 0.1, period=10.0), 0.1 / (ACCELERATION * 2 * PERIOD)),
        (stream(0.3), 0.0),
    ],
)
def test_largest_change_counts_against_what_was_allowed(twists, jump):
    assert largest_jump(twists) == pytest.approx(jump)


def test_turning_counts_by_its_own_limits():
    still, turning = np.zeros(6), np.array([0, 0, 0, 0.4, 0, 0.0])
    assert largest_jump([(0.0, still), (PERIOD, turning)]) == pytest.approx(0.5)


def test_both_ways_are_counted_apart():
    handed = [HandOver("take_over", 0.1, 0.5, 0.2), HandOver("hand_back", 0.0, 0.9, 0.4)]
    grid = handovers_grid(handed)
    assert [row[:4] for row in grid.rows] == [
        ("take_over", "1", "1", "0.50"),
        ("hand_back", "1", "0", "0.90"),
    ]
    assert handovers_json(handed)["largest"] == 0.9
