# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The end effector, a second point of the hand and the tool's tilt stay within their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.evaluation.bench.guard_bounds import Delays, largest_excursion
from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import GuardedPoint, TiltCone, Workspace
from magma_ros.guard.fences import Fences
from magma_ros.guard.track import Estimate, matrix, rotation
from magma_ros.types import Mode

MILLIMETRE = 1e-3
TOOL_DOWN = (1.0, 0.0, 0.0, 0.0)  # x y z w
CONFIG = robot_config("sim")
BOX = Workspace(lower=(-1.0, -1.0, 0.0), upper=(1.0, 1.0, 1.0))
FENCES = Fences(CONFIG.limits, BOX, None, None, 0.04)


def at(*position):
    return Estimate(np.array([position]), np.eye(3)[None])


@examples(60)
@given(
    robot=st.sampled_from(["sim", "franka_fr3"]),
    latency=st.floats(0.0, 0.25),
    jitter=st.floats(0.0, 0.05),
    response=st.floats(0.0, 0.05),
    seed=st.integers(0, 2**32),
)
def test_arm_stays_in_its_box_however_late_and_out_of_order_its_poses_come(
    robot, latency, jitter, response, seed
):
    """The twists that were sent are carried out, at once or as late as is allowed."""
    config = robot_config(robot, state_timeout=0.4)
    delays = Delays(latency, jitter, response)
    worst = largest_excursion(config, delays, np.random.default_rng(seed), seconds=4.0)
    assert worst <= MILLIMETRE


@pytest.mark.parametrize("robot", ["sim", "franka_fr3"])
def test_arm_reaches_the_walls_though_its_poses_are_late(robot):
    """Being careful does not mean to stay away from where one may be."""
    delays = Delays(latency=0.1)
    worst = largest_excursion(robot_config(robot), delays, np.random.default_rng(1), seconds=30.0)
    assert -MILLIMETRE <= worst <= MILLIMETRE


def test_way_back_into_the_box_is_free():
    back = FENCES.approach(at(0.0, 0.0, -0.2), np.array([0.3, 0, 0.3, 0, 0, 0]))
    assert (back.scale, back.detail) == (1.0, "")
    further = FENCES.approach(at(0.0, 0.0, -0.2), np.array([0.3, 0, -0.1, 0, 0, 0]))
    assert further.scale == 0.0
    assert "0.200 m beyond the -z workspace face" in further.detail


def test_negligible_component_outwards_does_not_hold_the_rest():
    asked = np.array([0.2, 0, -1e-4, 0, 0, 0])
    kept = FENCES.approach(at(0.0, 0.0, -0.001), asked)
    assert kept.scale == 1.0
    np.testing.assert_allclose(kept.twist, [0.2, 0, 0, 0, 0, 0])
    assert "-z workspace face" in kept.detail


def test_arm_just_outside_its_box_moves_along_the_wall_and_does_not_drift_out(make_cell):
    cell = make_cell(position=(0.0, 0.0, -0.001), workspace=BOX)
    cell.run(2.0, policy=np.array([0.2, 0, -1e-4, 0, 0, 0]))
    assert cell.position[0] > 0.35
    assert cell.position[2] >= -0.001 - 1e-5


def test_arm_that_is_held_says_why(make_cell):
    cell = make_cell(position=(0.0, 0.0, -0.001), workspace=BOX)
    cell.run(1.0, policy=np.array([0.1, 0, -0.1, 0, 0, 0]))
    assert not cell.out.twist.any()
    assert cell.out.mode is Mode.AUTO
    assert cell.out.blocked
    assert "beyond the -z workspace face" in cell.out.detail


def test_box_slows_smoothly_towards_a_face():
    twist = np.array([0.0, 0.35, 0, 0, 0, 0])
    scales = [FENCES.approach(at(0, y, 0.5), twist).scale for y in np.linspace(0.5, 1.0, 200)]
    assert scales[0] == 1.0
    assert scales[-1] == 0.0
    steps = -np.diff(scales)
    assert (steps >= 0.0).all()
    assert steps.max() < 0.1


# A second point


@examples(25)
@given(seed=st.integers(0, 2**32), offset=st.tuples(*[st.floats(-0.15, 0.15)] * 3))
def test_second_point_stays_in_its_box_while_the_hand_turns(make_cell, seed, offset):
    rng = np.random.default_rng(seed)
    box = Workspace((-0.25, -0.25, -0.25), (0.25, 0.25, 0.25))
    cell = make_cell(point=GuardedPoint(offset, box))
    for _ in range(12):
        twist = rng.normal(size=6) * [0.3, 0.3, 0.3, 3.0, 3.0, 3.0]
        for _ in range(20):
            cell.run(0.02, policy=twist)
            point = cell.position + cell.arm.rotation @ np.array(offset)
            assert np.abs(point).max() <= 0.25 + MILLIMETRE
    assert cell.out.mode is Mode.AUTO


def test_second_point_is_named_when_it_holds_the_arm(make_cell):
    box = Workspace((-1, -1, -1), (0.2, 1, 1))
    cell = make_cell(point=GuardedPoint((0.1, 0.0, 0.0), box))
    cell.run(2.0, policy=np.array([0.2, 0, 0, 0, 0, 0]))
    assert cell.position[0] == pytest.approx(0.1, abs=MILLIMETRE)
    assert "guarded point's +x face" in cell.out.detail
    turned = make_cell(position=(0.15, 0, 0), point=GuardedPoint((0.0, 0.1, 0.0), box))
    turned.run(3.0, policy=np.array([0, 0, 0, 0, 0, -1.0]))
    point = turned.position + turned.arm.rotation @ np.array([0.0, 0.1, 0.0])
    assert point[0] == pytest.approx(0.2, abs=MILLIMETRE)


# Tilt


def lean(cell):
    return math.acos(min(1.0, float(-(cell.arm.rotation @ [0.0, 0.0, 1.0])[2])))


@examples(25)
@given(seed=st.integers(0, 2**32), angle=st.floats(0.1, 1.5))
def test_tool_never_leans_further_than_its_cone(make_cell, seed, angle):
    rng = np.random.default_rng(seed)
    cone = TiltCone(approach=(0, 0, -1), axis=(0, 0, 1), angle=angle)
    cell = make_cell(quaternion=TOOL_DOWN, tilt=cone)
    for _ in range(12):
        twist = np.concatenate([np.zeros(3), 3.0 * rng.normal(size=3)])
        for _ in range(20):
            cell.run(0.02, policy=twist)
            assert lean(cell) <= angle + MILLIMETRE
    assert cell.out.mode is Mode.AUTO


def test_tool_reaches_its_greatest_lean_says_so_and_comes_back(make_cell):
    cone = TiltCone(approach=(0, 0, -1), axis=(0, 0, 1), angle=0.5)
    cell = make_cell(quaternion=TOOL_DOWN, tilt=cone)
    roll = np.array([0, 0, 0, 1.0, 0, 0])
    cell.run(2.0, policy=roll)
    assert lean(cell) == pytest.approx(0.5, abs=MILLIMETRE)
    assert "greatest tilt" in cell.out.detail
    cell.run(0.5, policy=-roll)
    assert lean(cell) < 0.2


def test_turning_about_the_approach_direction_is_free(make_cell):
    cone = TiltCone(approach=(0, 0, -1), axis=(0, 0, 1), angle=0.3)
    cell = make_cell(quaternion=TOOL_DOWN, tilt=cone)
    yaw = np.array([0, 0, 0, 0, 0, 2.0])
    cell.run(1.0, policy=yaw)
    np.testing.assert_allclose(cell.out.twist, yaw)


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3))
def test_rotations_of_vectors_and_quaternions_agree(vector):
    angle = math.hypot(*vector)
    axis = np.array(vector) / (angle or 1.0)
    quaternion = np.array([*(math.sin(angle / 2) * axis), math.cos(angle / 2)])
    np.testing.assert_allclose(rotation(np.array(vector)), matrix(quaternion), atol=1e-9)
