# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles slow the arm towards them, never trap it, and a silent sensor is no free space."""

from __future__ import annotations

import math

import numpy as np
import pytest

from magma_ros.guard import Clearance, OnSilence, Proximity
from magma_ros.types import Mode, Source, StopReason

FORWARD = np.array([0.2, 0, 0, 0, 0, 0])
AHEAD = Proximity(direction=(1.0, 0.0, 0.0))


def drive(cell, seconds, twist, distance, **fields):
    """Drive on while the sensor reports ``distance`` all the time."""
    for _ in range(round(seconds / 0.02)):
        if distance is not None:
            cell.guard.report_clearance(Clearance(cell.now, distance, **fields), cell.now)
        cell.run(0.02, policy=twist, teleop=twist)
    return cell.out


@pytest.mark.parametrize(
    ("clearance", "share"),
    [(math.inf, 1.0), (0.15, 1.0), (0.09, 0.5), (0.03, 0.0), (0.0, 0.0), (-math.inf, 0.0)],
)
def test_clearance_becomes_a_graded_share(clearance, share):
    assert Proximity().share(clearance) == pytest.approx(share)


def test_obstacle_on_an_unknown_side_slows_the_arm_without_bending_its_path(make_cell):
    cell, twist = make_cell(), np.array([0.2, 0.1, 0, 0, 0, 0.5])
    out = drive(cell, 0.5, twist, 0.09)
    np.testing.assert_allclose(out.twist, 0.5 * twist)
    assert out.scale == pytest.approx(0.5)
    assert "0.090 m away" in out.detail
    assert not drive(cell, 0.4, twist, 0.01).twist.any()
    np.testing.assert_allclose(drive(cell, 0.4, twist, math.inf).twist, twist)


@pytest.mark.parametrize("driver", [Source.POLICY, Source.TELEOP])
def test_arm_may_always_retreat_from_an_obstacle_whose_side_is_known(make_cell, driver):
    cell = make_cell(driver=driver, proximity=AHEAD)
    assert not drive(cell, 0.5, FORWARD, 0.02).twist.any()
    assert cell.out.blocked
    assert "obstacle" in cell.out.detail
    np.testing.assert_allclose(drive(cell, 0.5, -FORWARD, 0.02).twist, -FORWARD)


def test_motion_along_an_obstacle_is_not_slowed(make_cell):
    cell = make_cell(proximity=AHEAD)
    along = np.array([0.004, 0.2, 0, 0, 0, 0])
    out = drive(cell, 0.5, along, 0.02)
    np.testing.assert_allclose(out.twist, [0, 0.2, 0, 0, 0, 0], atol=1e-9)


def test_side_of_the_obstacle_can_be_fixed_to_the_tool(make_cell):
    """A sensor on a hand that points down: its forward is the base's down."""
    down = (1.0, 0.0, 0.0, 0.0)  # x y z w, half a turn about x
    tool = Proximity(direction=(0.0, 0.0, 1.0), in_tool=True)
    cell = make_cell(proximity=tool, quaternion=down)
    sink = np.array([0, 0, -0.2, 0, 0, 0])
    assert not drive(cell, 0.5, sink, 0.02).twist.any()
    np.testing.assert_allclose(drive(cell, 0.5, -sink, 0.02).twist, -sink)


def test_side_that_a_sensor_reports_counts(make_cell):
    cell = make_cell()
    side = np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(drive(cell, 0.5, FORWARD, 0.02, direction=side).twist, FORWARD)


def test_person_may_creep_out_though_the_side_is_not_known(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    for way in (FORWARD, -FORWARD):
        out = drive(cell, 0.5, way, 0.02)
        np.testing.assert_allclose(out.twist, 0.1 * way)


def test_required_sensor_must_be_alive_before_the_policy_drives(make_cell):
    cell = make_cell(driver=None, proximity=Proximity(required=True))
    cell.run(0.5, policy=FORWARD)
    refused = cell.guard.hand_back(cell.now)
    assert not refused.accepted
    assert "clearance" in refused.sentence
    drive(cell, 0.1, FORWARD, 1.0)
    assert cell.guard.hand_back(cell.now).accepted


def test_silent_sensor_holds_the_policy_and_lets_a_person_creep(make_cell):
    cell = make_cell()
    drive(cell, 0.5, FORWARD, 1.0)
    cell.run(0.4, policy=FORWARD)
    assert cell.out.twist.any()
    cell.run(0.4, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.CLEARANCE_SILENT)
    assert not cell.out.twist.any()
    assert not cell.guard.hand_back(cell.now).accepted
    assert cell.guard.take_over(cell.now).accepted
    cell.run(0.5, teleop=FORWARD)
    np.testing.assert_allclose(cell.out.twist, 0.1 * FORWARD)
    assert "silent" in cell.out.detail


@pytest.mark.parametrize(("choice", "speed"), [(OnSilence.SLOW, 0.02), (OnSilence.IGNORE, 0.2)])
def test_what_a_silent_sensor_means_can_be_chosen(make_cell, choice, speed):
    cell = make_cell(proximity=Proximity(required=True, on_silence=choice))
    cell.run(1.5, policy=FORWARD)
    assert cell.out.mode is Mode.AUTO
    assert cell.out.twist[0] == pytest.approx(speed)


@pytest.mark.parametrize(
    ("clearance", "says"),
    [
        (Clearance(100.0, math.nan), "not nan"),
        (Clearance(100.0, 0.05, lowest=0.1, highest=2.0), "outside"),
        (Clearance(100.0, 5.0, lowest=0.1, highest=2.0), "outside"),
        (Clearance(99.0, 1.0), "stale"),
        (Clearance(101.0, 1.0), "future"),
        (Clearance(math.nan, 1.0), "future"),
        (Clearance(100.0, 1.0, direction=np.full(3, np.nan)), "direction"),
    ],
)
def test_reading_that_is_none_does_not_count(make_cell, clearance, says):
    cell = make_cell(driver=None)
    cell.now = 100.0
    answer = cell.guard.report_clearance(clearance, cell.now)
    assert not answer.accepted
    assert says in answer.sentence


def test_readings_that_do_not_count_are_silence(make_cell):
    cell = make_cell()
    drive(cell, 0.2, FORWARD, 1.0)
    drive(cell, 0.7, FORWARD, math.nan)
    assert cell.out.reason is StopReason.CLEARANCE_SILENT
