# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in waits, takes over, gives up, and holds no more than a console allows."""

import numpy as np
import pytest

from magma_ros.evaluation.bench.corrections import Move, Patience, shares


@pytest.mark.parametrize(
    ("task", "watched", "driven", "move"),
    [
        ("RUNNING", 0.0, 0.0, Move.WATCH),
        ("RUNNING", 4.9, 0.0, Move.WATCH),
        ("RUNNING", 5.0, 0.0, Move.DRIVE),
        ("RUNNING", 5.0, 9.9, Move.DRIVE),
        ("RUNNING", 5.0, 10.0, Move.END),
        ("SUCCEEDED", 3.0, 0.0, Move.END),
        ("SUCCEEDED", 5.0, 2.0, Move.END),
        ("TIMED_OUT", 5.0, 2.0, Move.END),
    ],
)
def test_the_policy_is_given_its_time_and_then_the_person(task, watched, driven, move):
    assert Patience(policy=5.0, person=10.0).move(task, watched, driven) is move


def test_a_slow_twist_is_held_as_shares_of_the_top_speeds():
    held = shares(np.array([0.1, -0.05, 0.0, 0.0, 0.0, 0.3]), 0.25, 0.6)
    assert held == pytest.approx([0.4, -0.2, 0.0, 0.0, 0.0, 0.5])


def test_a_twist_that_is_too_fast_keeps_its_direction():
    twist = np.array([0.3, 0.0, -0.4, 0.0, 0.0, -3.0])
    assert shares(twist, 0.25, 0.6) == pytest.approx([0.6, 0.0, -0.8, 0.0, 0.0, -1.0])
