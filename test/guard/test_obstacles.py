# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles on many sides slow what leads nearer to them, and nothing else."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from magma_ros.guard import ClearanceSource, Obstacles, OnSilence, Proximity
from magma_ros.guard.fences import NEGLIGIBLE
from magma_ros.guard.obstacles import DRIFT, kept, separating_speed, sides, way_out
from magma_ros.guard.track import Motion
from magma_ros.types import Mode, Source, StopReason

VECTORS = partial(Proximity, source=ClearanceSource.VECTORS)
FORWARD = np.array([0.2, 0, 0, 0, 0, 0])
STILL = Motion(np.zeros((1, 3)), np.eye(3)[None])

numbers = st.floats(-0.3, 0.3)
vector = st.tuples(numbers, numbers, numbers).filter(lambda v: math.hypot(*v) > 1e-3)
vectors = st.lists(vector, min_size=1, max_size=8).map(np.array)
twists = st.tuples(*[numbers] * 6).map(np.array)


def report(cell, points, age=0.0, **fields):
    obstacles = Obstacles(cell.now - age, "base_link", np.reshape(points, (-1, 3)), **fields)
    return cell.guard.report_clearance(obstacles, cell.now)


def drive(cell, seconds, twist, points, **fields):
    for _ in range(round(seconds / 0.02)):
        report(cell, points, **fields)
        cell.run(0.02, policy=twist, teleop=twist)
    return cell.out


def allowed(distances):
    return 0.3 * Proximity().share(np.asarray(distances))


def limited(twist, points, levers=None):
    fields = {} if levers is None else {"levers": levers}
    rows = sides(Obstacles(0.0, "b", points, **fields), STILL)
    return rows, *kept(twist, rows, allowed(rows.gaps))


@given(twists, vectors)
def test_what_leads_nearer_to_nothing_is_free(twist, points):
    units = points / np.linalg.norm(points, axis=1)[:, None]
    retreat = twist.copy()
    for _ in range(20):
        retreat[:3] -= (
            np.maximum(units @ retreat[:3], 0.0).max() * units[np.argmax(units @ retreat[:3])]
        )
    assume((units @ retreat[:3] <= 0.0).all())
    _, left, scale, index = limited(retreat, points)
    assert (scale, index) == (1.0, -1)
    assert left is retreat


@given(twists, vectors, vectors)
def test_the_path_is_never_bent_and_nothing_is_approached_faster_than_allowed(twist, points, arms):
    levers = np.resize(arms, points.shape)
    rows, left, scale, _ = limited(twist, points, levers)
    assert 0.0 <= scale <= 1.0
    change = np.linalg.norm(left[:3] - twist[:3])
    assert change <= NEGLIGIBLE * np.linalg.norm(twist[:3]) + 1e-12
    np.testing.assert_array_equal(left[3:], twist[3:])
    speeds = rows.towards @ (scale * left)
    along = speeds <= NEGLIGIBLE * scale * np.linalg.norm(twist[:3])
    most = np.where(along, np.maximum(allowed(rows.gaps), DRIFT), allowed(rows.gaps))
    assert (speeds <= most + 1e-8).all()


angles = st.lists(st.floats(0.0, math.pi), min_size=2, max_size=8).map(np.array)


@given(angles, st.floats(-0.01, 0.015), st.floats(0.02, 0.03))
def test_several_that_are_passed_at_a_right_angle_hold_nothing_up(around, lean, distance):
    # A wall beside the way, measured with some noise: every vector leans a little into the way.
    wall = np.stack([np.full(len(around), lean), np.cos(around) / 20, np.ones(len(around))], axis=1)
    _, _, scale, _ = limited(FORWARD, distance * wall / np.linalg.norm(wall, axis=1)[:, None])
    assert scale == 1.0


@given(angles, st.floats(0.0, 0.0024), st.floats(0.02, 0.03))
def test_the_way_out_is_free_though_all_around_leans_into_it(around, lean, distance):
    # As after letting go of a thing that stands between the fingers.
    turned = np.concatenate([around, around + math.pi])
    walls = np.stack([np.full(len(turned), lean), np.cos(turned), np.sin(turned)], axis=1)
    _, left, scale, _ = limited(FORWARD, distance * walls / np.linalg.norm(walls[0]))
    assert scale == 1.0
    assert np.linalg.norm(left - FORWARD) <= NEGLIGIBLE * 0.2


def test_who_slides_along_two_walls_that_close_in_is_slow():
    _, left, scale, _ = limited(FORWARD, 0.02 * np.array([[0.04, 1, 0], [0.04, -1, 0]]))
    assert scale * left[0] == pytest.approx(DRIFT / 0.04, rel=0.01)


@given(twists, vectors, vectors)
def test_who_creeps_out_leads_no_nearer_to_the_nearest_and_is_slow(twist, points, arms):
    levers = np.resize(arms, points.shape)
    rows, left, _, _ = limited(twist, points, levers)
    out = way_out(left, rows, 0.02) * left
    assert 0.0 <= np.linalg.norm(out[:3]) <= 0.02 + 1e-9
    assert (rows.towards @ out <= 0.02 + 1e-9).all()
    assert rows.towards[np.argmin(rows.gaps)] @ out <= NEGLIGIBLE * 0.02 + 1e-9


def test_person_leaves_the_nearest_of_obstacles_all_around_and_the_policy_waits(make_cell):
    around = [[0.022, 0, 0], [-0.029, 0, 0], [0, 0.029, 0], [0, -0.029, 0], [0, 0, 0.029]]
    for driver, sent in ((Source.TELEOP, 0.02), (Source.POLICY, 0.0)):
        cell = make_cell(driver=None, proximity=VECTORS())
        cell.run(0.1, policy=np.zeros(6), teleop=np.zeros(6))
        report(cell, [])
        start = cell.guard.take_over if driver is Source.TELEOP else cell.guard.hand_back
        assert start(cell.now).accepted
        out = drive(cell, 0.5, -FORWARD, around)
        np.testing.assert_allclose(-out.twist[0], sent, atol=1e-6)
        assert ("creeping out" in out.detail) == (driver is Source.TELEOP)
        assert not drive(cell, 0.5, FORWARD, around).twist.any()


@given(twists, vectors, st.floats(0.1, 1.0))
def test_the_nearer_an_obstacle_is_the_slower_the_arm(twist, points, share):
    _, left, far, _ = limited(twist, points)
    assume(left is twist)
    _, left, near, _ = limited(twist, points * share)
    assert left is not twist or near <= far + 1e-9


@pytest.mark.parametrize("driver", [Source.POLICY, Source.TELEOP])
def test_arm_stops_before_what_is_ahead_and_retreats_from_it(make_cell, driver):
    cell = make_cell(driver=None, proximity=VECTORS())
    cell.run(0.1, policy=np.zeros(6), teleop=np.zeros(6))
    report(cell, [])
    start = cell.guard.hand_back if driver is Source.POLICY else cell.guard.take_over
    assert start(cell.now).accepted
    out = drive(cell, 0.5, FORWARD, [[0.02, 0, 0], [0, 0.4, 0]])
    assert not out.twist.any()
    assert out.blocked
    assert "0.020 m away" in out.detail
    np.testing.assert_allclose(drive(cell, 0.5, -FORWARD, [[0.02, 0, 0]]).twist, -FORWARD)


@pytest.fixture
def driven(make_cell):
    def make(**settings):
        cell = make_cell(driver=None, proximity=VECTORS(**settings))
        cell.run(0.1, policy=np.zeros(6))
        report(cell, [])
        answer = cell.guard.hand_back(cell.now)
        assert answer.accepted, answer.sentence
        return cell

    return make


def test_of_several_obstacles_the_one_that_slows_most_counts(driven):
    full = driven().config.limits.linear_speed
    out = drive(driven(), 0.5, FORWARD, [[0.13, 0, 0], [0.09, 0, 0], [-0.01, 0, 0], [0, 0.01, 0]])
    assert 0.12 < out.twist[0] <= 0.5 * full  # what is sent but not yet done counts as well
    np.testing.assert_allclose(drive(driven(), 0.5, FORWARD, []).twist, FORWARD)


def test_no_obstacle_at_all_is_free_space_and_silence_is_not(driven):
    cell = driven()
    np.testing.assert_allclose(drive(cell, 0.5, FORWARD, []).twist, FORWARD)
    cell.run(0.7, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.CLEARANCE_SILENT)


@pytest.mark.parametrize(("choice", "speed"), [(OnSilence.SLOW, 0.02), (OnSilence.IGNORE, 0.2)])
def test_what_silent_vectors_mean_can_be_chosen(make_cell, choice, speed):
    cell = make_cell(proximity=VECTORS(on_silence=choice))
    cell.run(1.5, policy=FORWARD)
    assert cell.out.twist[0] == pytest.approx(speed)


def test_vectors_are_needed_before_the_policy_drives_and_a_distance_is_none(make_cell):
    from magma_ros.guard import Clearance

    cell = make_cell(driver=None, proximity=VECTORS())
    cell.run(0.3, policy=FORWARD)
    cell.guard.report_clearance(Clearance(cell.now, 1.0), cell.now)
    assert "clearance" in cell.guard.hand_back(cell.now).sentence
    report(cell, [])
    assert cell.guard.hand_back(cell.now).accepted


def test_what_the_arm_has_moved_since_a_measurement_counts():
    obstacles = Obstacles(0.0, "b", np.array([[0.1, 0, 0], [0, 0.1, 0]]))
    moved = Motion(np.array([[0.0, 0, 0], [0.03, 0.0, 0]]), np.array([np.eye(3)] * 2))
    assert sides(obstacles, moved).gaps == pytest.approx([0.07, 0.1])
    back = Motion(np.array([[-0.03, 0.0, 0]]), np.eye(3)[None])
    assert sides(obstacles, back).gaps == pytest.approx([0.1, 0.1])  # until it is seen


def test_late_measurements_stop_the_arm_where_prompt_ones_do(driven):
    """A wall 0.2 m ahead, seen every 0.06 s and 0.1 s late, is not come nearer than allowed."""
    cell = driven()
    wall, start = 0.2, cell.position[0]
    seen = []
    for step in range(150):
        seen.append((cell.now, wall - (cell.position[0] - start)))
        if step % 3 == 0 and step > 5:
            stamp, left = seen[-6]
            report(cell, [[left, 0, 0]], age=cell.now - stamp)
        elif step <= 5:
            report(cell, [])
        cell.run(0.02, policy=np.array([0.3, 0, 0, 0, 0, 0]))
    left = wall - (cell.position[0] - start)
    assert 0.028 <= left <= 0.04


def test_turning_the_hand_towards_an_obstacle_is_slowed(driven):
    turn = np.array([0, 0, 0, 0, 0, 1.0])
    beside, lever = [[0.0, 0.031, 0.0]], np.array([[0.1, 0.0, 0.0]])
    out = drive(driven(), 0.5, turn, beside, levers=lever)
    assert 0.1 * out.twist[5] < 0.004
    np.testing.assert_allclose(drive(driven(), 0.5, -turn, beside, levers=lever).twist, -turn)


def test_what_approaches_is_met_by_an_arm_that_stands(driven):
    """The arm goes towards a hand that comes at 0.25 m/s, and rests before the two meet."""
    cell = driven(approach_speed=0.25, slow_distance=0.3)
    start, hand, rested = cell.position[0], 0.6, None
    for step in range(200):
        gap = hand - (cell.position[0] - start)
        if step % 3 == 0:
            report(cell, [[gap, 0, 0]], age=0.06)
        cell.run(0.02, policy=np.array([0.3, 0, 0, 0, 0, 0]))
        hand -= 0.02 * 0.25
        if rested is None and step > 20 and not cell.out.twist.any():
            rested = hand - (cell.position[0] - start)
            break
    assert rested is not None
    assert rested > 0.03


@given(st.floats(0.001, 1.0), st.floats(0.0, 2.0), st.floats(0.0, 0.5), st.floats(0.1, 10.0))
def test_a_separating_speed_solves_its_formula(gap, approach, reaction, deceleration):
    v = float(separating_speed(np.array([gap]), approach, reaction, deceleration)[0])
    needed = approach * (reaction + v / deceleration) + v * reaction + v**2 / (2 * deceleration)
    assert v >= 0.0
    assert needed <= max(gap, approach * reaction) + 1e-9
    if v > 0.0:
        assert needed == pytest.approx(gap)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vectors": np.zeros((65, 3)) + 1.0}, "64"),
        ({"vectors": np.ones((2, 2))}, "N, 3"),
        ({"vectors": np.array([[math.nan, 0, 0]])}, "finite"),
        ({"vectors": np.array([[math.inf, 0, 0]])}, "finite"),
        ({"vectors": np.zeros((1, 3))}, "length"),
        ({"levers": np.ones((2, 3))}, "levers"),
        ({"levers": np.full((1, 3), math.nan)}, "finite"),
        ({"frame_id": "camera"}, "camera"),
        ({"stamp": 99.0}, "stale"),
        ({"stamp": 101.0}, "future"),
        ({"stamp": math.nan}, "future"),
    ],
)
def test_vectors_that_are_none_do_not_count(make_cell, fields, says):
    cell = make_cell(driver=None, proximity=VECTORS())
    cell.now = 100.0
    whole = {"stamp": 100.0, "frame_id": "base_link", "vectors": np.ones((1, 3))} | fields
    answer = cell.guard.report_clearance(Obstacles(**whole), cell.now)
    assert not answer.accepted
    assert says in answer.sentence
