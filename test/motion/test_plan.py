# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk becomes a continuous velocity that moves the arm as far as the chunk says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from properties import examples
from scipy.integrate import trapezoid
from scipy.spatial.transform import Rotation

from magma_ros.motion import ChunkError, Plan
from magma_ros.motion.steps import displacements, joint_targets, openings
from magma_ros.spaces import (
    MAGMA,
    POSE_UNITS,
    ROTATION_VECTOR,
    ActionSpace,
    Dimension,
    SpaceKind,
    ee_delta,
    gripper,
)
from magma_ros.types import ActionChunk, Pose

PERIOD = 0.1
actions = arrays(
    np.float64, st.tuples(st.integers(1, 8), st.just(7)), elements=st.floats(-0.3, 0.3)
)


def plan_of(rows: object, period: float = PERIOD) -> Plan:
    return Plan(ActionChunk(0.0, period, np.asarray(rows, dtype=float), 1, MAGMA))


@examples(50)
@given(actions)
def test_total_displacement_is_the_sum_of_the_actions(rows):
    plan = plan_of(rows)
    np.testing.assert_allclose(plan.displacement(plan.duration), rows[:, :6].sum(axis=0), atol=1e-9)


@examples(50)
@given(actions, st.floats(0.0, 0.8), st.floats(0.0, 0.8))
def test_displacement_is_the_integral_of_velocity(rows, start, end):
    plan = plan_of(rows)
    start, end = sorted((min(start, plan.duration), min(end, plan.duration)))
    times = np.linspace(start, end, 2001)
    velocities = np.array([plan.velocity(t) for t in times])
    integral = trapezoid(velocities, times, axis=0)
    travelled = plan.displacement(end) - plan.displacement(start)
    np.testing.assert_allclose(integral, travelled, atol=1e-4)


@examples(50)
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
        Plan(ActionChunk(stamp, period, rows, 1, MAGMA))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


POSES = ActionSpace(
    SpaceKind.EE_POSE,
    tuple(
        Dimension(name, unit) for name, unit in POSE_UNITS.items() if name not in ROTATION_VECTOR
    ),
)


def test_poses_are_reached_at_the_ends_of_their_steps():
    turned = Rotation.from_euler("z", [[0.4], [0.9]])
    start = Pose(0.0, np.array([0.4, 0.0, 0.2]), Rotation.from_euler("z", 0.1).as_quat())
    rows = np.hstack([[[0.5, 0.0, 0.2], [0.5, 0.1, 0.2]], turned.as_quat()])
    moved = displacements(ActionChunk(0.0, PERIOD, rows, 1, POSES), start)
    np.testing.assert_allclose(moved[:, :3], [[0.1, 0, 0], [0, 0.1, 0]], atol=1e-12)
    np.testing.assert_allclose(moved[:, 3:], [[0, 0, 0.3], [0, 0, 0.5]], atol=1e-12)


def test_poses_lead_nowhere_from_an_unknown_place():
    with pytest.raises(ChunkError, match="is its pose published"):
        Plan(ActionChunk(0.0, PERIOD, np.zeros((1, 7)), 1, POSES))
    with pytest.raises(ChunkError, match="no orientation"):
        Plan(ActionChunk(0.0, PERIOD, np.zeros((1, 7)), 1, POSES), Pose(0.0, np.zeros(3)))


def test_a_part_of_the_columns_moves_a_part_of_the_arm():
    plan = Plan(ActionChunk(0.0, PERIOD, np.full((2, 3), 0.01), 1, ee_delta(("dz", "dx", "dyaw"))))
    np.testing.assert_allclose(plan.velocity(0.1), [0.1, 0.0, 0.1, 0.0, 0.0, 0.1])
    assert plan.gripper(0.0) is None


def test_joints_and_end_effectors_are_not_taken_for_each_other():
    arm = tuple(Dimension(f"j{n}", "rad") for n in range(2))
    joints = ActionSpace(SpaceKind.JOINT_DELTA, (arm[0], gripper(), arm[1]))
    chunk = ActionChunk(0.0, PERIOD, np.array([[0.1, 1.0, 0.2], [0.1, 0.0, -0.2]]), 1, joints)
    np.testing.assert_allclose(joint_targets(chunk, np.ones(2)), [[1.1, 1.2], [1.2, 1.0]])
    np.testing.assert_allclose(openings(chunk), [[1.0], [0.0]])
    with pytest.raises(ChunkError, match="leads joints"):
        Plan(chunk)
    with pytest.raises(ChunkError, match="leads an end effector"):
        joint_targets(ActionChunk(0.0, PERIOD, np.zeros((1, 7)), 1, MAGMA), np.ones(2))
