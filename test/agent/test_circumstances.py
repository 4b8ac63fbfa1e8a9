# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Risk grows as contact comes nearer in time; what is not known costs nothing."""

import math

import pytest

from magma_ros.agent.circumstances import (
    CLEARANCE_TIMEOUT,
    CircumstanceError,
    Circumstances,
    collision_risk,
)


@pytest.mark.parametrize(
    ("clearance", "speed", "risk"),
    [
        (0.3, 0.1, 0.0),  # contact is three seconds off
        (0.05, 0.1, 0.5),
        (0.05, 0.2, 0.75),
        (0.05, 0.0, 0.0),
        (0.0, 0.0, 1.0),
        (math.inf, 0.3, 0.0),  # REP 117: nothing in range
        (-math.inf, 0.3, 1.0),  # REP 117: too close to measure
    ],
)
def test_risk_is_how_soon_contact_could_come(clearance, speed, risk):
    assert collision_risk(clearance, speed, horizon=1.0) == pytest.approx(risk)


def test_without_sensors_there_is_no_risk_and_full_energy():
    circumstances = Circumstances()
    circumstances.speed = 1.0
    assert (circumstances.risk(100.0, 1.0), circumstances.energy) == (0.0, 1.0)


def test_a_clearance_sensor_that_falls_silent_is_full_risk():
    circumstances = Circumstances()
    circumstances.report_clearance(math.inf, 100.0)
    assert circumstances.risk(100.0 + 0.9 * CLEARANCE_TIMEOUT, 1.0) == 0.0
    assert circumstances.risk(100.0 + 1.1 * CLEARANCE_TIMEOUT, 1.0) == 1.0


def test_a_clearance_sensor_that_is_required_is_full_risk_until_it_is_heard():
    circumstances = Circumstances(clearance_required=True)
    assert circumstances.clearance_silent(100.0)
    assert circumstances.risk(100.0, 1.0) == 1.0
    circumstances.report_clearance(math.inf, 100.0)
    assert circumstances.risk(100.0, 1.0) == 0.0


def test_energy_is_the_charge_of_the_battery_if_it_is_measured():
    circumstances = Circumstances()
    circumstances.report_battery(0.25)
    assert circumstances.energy == 0.25
    circumstances.report_battery(math.nan)
    assert circumstances.energy == 1.0


@pytest.mark.parametrize("percentage", [87.0, -0.1, math.inf])
def test_a_percentage_out_of_range_is_refused_and_changes_nothing(percentage):
    circumstances = Circumstances()
    circumstances.report_battery(0.25)
    with pytest.raises(CircumstanceError, match="between 0 and 1"):
        circumstances.report_battery(percentage)
    assert circumstances.energy == 0.25


def test_a_clearance_that_is_no_number_is_refused():
    with pytest.raises(CircumstanceError, match="nan"):
        Circumstances().report_clearance(math.nan, 0.0)
