# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk becomes a continuous velocity that moves the arm as far as the chunk says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import trapezoid

from magma_ros.motion import ChunkError, Plan
from magma_ros.types import ActionChunk

PERIOD = 0.1
actions = arrays(
    np.float64, st.tuples(st.integers(1, 8), st.just(7)), elements=st.floats(-0.3, 0.3)
)


def plan_of(rows: object, period: float = PERIOD) -> Plan:
    return Plan(ActionChunk(0.0, period, np.asarray(rows, dtype=float), 1))


@settings(max_examples=50, deadline=None)
@given(actions)
def test_total_displacement_is_the_sum_of_the_actions(rows):
    plan = plan_of(rows)
    np.testing.assert_allclose(plan.displacement(plan.duration), rows[:, :6].sum(axis=0), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(actions, st.floats(0.0, 0.8), st.floats(0.0, 0.8))
def test_displacement_is_the_integral_of_velocity(rows, start, end):
    plan = plan_of(rows)
    start, end = sorted((min(start, plan.duration), min(end, plan.duration)))
    times = np.linspace(start, end, 2001)
    velocities = np.array([plan.velocity(t) for t in times])
    integral = trapezoid(velocities, times, axis=0)
    travelled = plan.displacement(end) - plan.displacement(start)
    np.testing.assert_allclose(integral, travelled, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(actions)
def test_velocity_never_jumps(rows):
    plan = plan_of(rows)
    times = np.arange(-0.05, plan.duration + 0.05, 1e-3)
    velocities = np.array([plan.velocity(t) for t in times])
    steepest = 0.6 / PERIOD / PERIOD  # from -0.3 to 0.3 within one step
    assert np.abs(np.diff(velocities, axis=0)).max() <= steepest * 1e-3 + 1e-9


def test_constant_chunk_is_played_exactly():
    plan = plan_of([[0.02, 0, 0, 0, 0, 0.1, 1]] * 4)
    for when in np.linspace(0.0, 0.4, 9):
        np.testing.assert_allclose(plan.velocity(when), [0.2, 0, 0, 0, 0, 1.0], atol=1e-12)
        np.testing.assert_allclose(
            plan.displacement(when), np.multiply(when, [0.2, 0, 0, 0, 0, 1.0]), atol=1e-12
        )


def test_gripper_holds_for_its_step_and_stays_in_range():
    plan = plan_of([[0] * 6 + [1.2], [0] * 6 + [0.4], [0] * 6 + [-0.1]])
    assert [plan.gripper(t) for t in (0.0, 0.05, 0.15, 0.25, 9.0)] == [1.0, 1.0, 0.4, 0.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "period", "stamp", "says"),
    [
        (np.zeros((0, 7)), 0.1, 0.0, "at least one action"),
        (np.zeros((3, 6)), 0.1, 0.0, "its shape is (3, 6)"),
        (np.zeros(7), 0.1, 0.0, "its shape is (7,)"),
        (np.full((2, 7), np.nan), 0.1, 0.0, "dx of step 0 is nan"),
        (np.array([[0.0] * 6 + [np.inf]]), 0.1, 0.0, "gripper of step 0 is inf"),
        (np.zeros((1, 7)), 0.0, 0.0, "step period must be a positive time"),
        (np.zeros((1, 7)), np.nan, 0.0, "step period must be a positive time"),
        (np.zeros((1, 7)), 0.1, np.inf, "stamp must be a finite time"),
    ],
)
def test_malformed_chunk_is_refused_with_one_sentence(rows, period, stamp, says):
    with pytest.raises(ChunkError) as error:
        Plan(ActionChunk(stamp, period, rows, 1))
    assert says in str(error.value)
    assert "\n" not in str(error.value)
