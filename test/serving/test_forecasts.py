# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the schedule is told of a way's time, and when an idle engine measures it."""

import math

import pytest

from magma_ros.gate.latency import LatencyModel
from magma_ros.serving.forecasts import (
    BEYOND,
    RARER,
    REMEASURE,
    SEEN,
    SHARE,
    Doubt,
    Way,
    WayForecast,
)
from magma_ros.serving.schedule import Job, Schedule


def test_a_machine_that_stalls_now_and_then_is_not_taken_for_hundreds_of_times_slower():
    forecast = WayForecast([Way("exit 1", 1000, 1000)], LatencyModel())
    for run in range(40):
        forecast.observe(1, 0.02 if run % 4 in {0, 1} else 0.001, 1)
        assert forecast.tail(1) <= BEYOND * 0.02
        assert forecast.typical(1) <= forecast.tail(1)
    assert forecast.admits(1, 0.03)


def test_two_stalls_do_not_make_a_crowd_of_late_requests_hopeless():
    """Each of many ways in a row is not as long as the two that just stalled."""
    forecast = WayForecast([Way("exit 1", 1000, 1000)], LatencyModel())
    for seconds in [0.001] * 60 + [0.02, 0.02]:
        forecast.observe(1, seconds, 1)
    assert forecast.typical(1) > 0.01
    schedule = Schedule(forecast)
    refused = []
    for robot in range(64):
        refused += schedule.offer(Job(str(robot), 0.0, 0.05, 1, useful=0.3), 0.0)
    assert not refused


def test_a_forecast_follows_a_machine_that_has_become_slower():
    forecast = WayForecast([Way("exit 1", 1000, 1000)], LatencyModel())
    for _ in range(20):
        forecast.observe(1, 0.001, 1)
    for _ in range(5):
        forecast.observe(1, 0.004, 1)
    assert forecast.tail(1) == pytest.approx(0.005, rel=0.3)


class _Counted(LatencyModel):
    """Counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forecast(self, stages):
        self.asked += 1
        return super().forecast(stages)

    def typical(self, stages):
        self.asked += 1
        return super().typical(stages)


def test_a_turn_asks_the_model_once_a_way_however_many_robots_wait():
    """What picking costs must not grow with the robots times what a forecast costs."""
    latency = _Counted()
    forecast = WayForecast([Way("exit 1", 1000, 1000), Way("exit 2", 1000, 1000)], latency)
    for depth in (1, 2):
        forecast.observe(depth, 0.0001, 1)
    schedule = Schedule(forecast)
    for robot in range(64):
        schedule.offer(Job(str(robot), 0.0, 0.1, 2, useful=0.3), 0.0)
    latency.asked = 0
    schedule.ran(schedule.turn(0.0).job, 0.0001, enough=False)
    schedule.turn(0.0001)
    assert latency.asked <= 4


def test_what_is_known_of_a_way_is_renewed_when_another_ran_slowly():
    """The load is that of the machine, so the next forecast of every way follows it."""
    ways = [Way("exit 1", 1000, 1000), Way("exit 2", 1000, 1000)]
    latency = LatencyModel()
    forecast = WayForecast(ways, latency)
    for depth in (1, 2) * 40:
        forecast.observe(depth, 0.001, 1)
    assert forecast.typical(1) == 0.001
    for _ in range(5):
        forecast.observe(2, 0.0012, 1)
    assert forecast.typical(1) == latency.typical(ways[:1]) > 0.001


def refused_for(seconds, doubt, takes, now=0.0, every=0.05, other=0.0):
    """Refuse somebody again and again; how long the first way runs for nobody meanwhile [s]."""
    end, refusal, spent = now + seconds, now, 0.0
    while now < end:
        if refusal <= now:
            doubt.refused(now)
            refusal += every
        if doubt.due(now) <= 0.0:
            doubt.measured(now, now + takes)
            spent += takes
            now += takes
        now = min(now + doubt.due(now), max(refusal, now), end)
    return spent


@pytest.mark.parametrize("takes", [0.0005, 0.0025, 0.1])
def test_an_idle_engine_that_refuses_on_and_on_hardly_measures_itself(takes):
    doubt = Doubt()
    assert refused_for(10.0, doubt, takes) <= SHARE * 10.0 + takes
    refused_for(1000.0, doubt, takes, now=10.0)  # by now all that is remembered is new
    assert refused_for(100.0, doubt, takes, now=1010.0) <= SHARE / RARER * 100.0 + takes


def test_what_a_forecast_remembers_of_a_bad_moment_is_replaced_within_seconds():
    doubt, now, runs = Doubt(), 0.0, 0
    while runs < SEEN:
        doubt.refused(now)
        now += doubt.due(now)
        doubt.measured(now, now + 0.0025)
        now, runs = now + 0.0025, runs + 1
    assert now < 3.0


def test_who_is_in_no_doubt_or_runs_the_way_for_others_measures_nothing():
    doubt = Doubt()
    assert doubt.due(5.0) == math.inf
    doubt.refused(5.0)
    assert doubt.due(5.0) == 0.0
    for step in range(40):
        now = 5.0 + 0.01 * step
        doubt.ran(now, now + 0.002)
        assert doubt.due(now + 0.01) > 0.0
    assert doubt.due(5.0 + REMEASURE) == math.inf
