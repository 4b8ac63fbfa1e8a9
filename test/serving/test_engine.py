# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the schedule is told of a way's time."""

import pytest

from magma_ros.gate.latency import LatencyModel
from magma_ros.serving.engine import BEYOND, Way, WayForecast


def test_a_machine_that_stalls_now_and_then_is_not_taken_for_hundreds_of_times_slower():
    forecast = WayForecast([Way("exit 1", 1000, 1000)], LatencyModel())
    for run in range(40):
        forecast.observe(1, 0.02 if run % 4 in {0, 1} else 0.001, 1)
        assert forecast.tail(1) <= BEYOND * 0.02
        assert forecast.typical(1) <= forecast.tail(1)
    assert forecast.admits(1, 0.03)


def test_a_forecast_follows_a_machine_that_has_become_slower():
    forecast = WayForecast([Way("exit 1", 1000, 1000)], LatencyModel())
    for _ in range(20):
        forecast.observe(1, 0.001, 1)
    for _ in range(5):
        forecast.observe(1, 0.004, 1)
    assert forecast.tail(1) == pytest.approx(0.005, rel=0.3)
