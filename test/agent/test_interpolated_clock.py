# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between two messages on /clock time goes on, and never further than the clock will."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.agent.interpolated_clock import InterpolatedClock


def read_often(rate, *, pace=1.0, seconds=3.0, period=0.02, offset=0.0):
    """Read every ``period``; pairs of (what it tells, the time the simulation really has)."""
    clock, told = InterpolatedClock(), []
    for now in np.arange(0.0, seconds, period):
        ticked = np.floor(now * rate + 1e-9) / rate  # when the last message came
        told.append((clock.read(offset + pace * ticked, 100.0 + now), offset + pace * now))
    return np.array(told)


@pytest.mark.parametrize("rate", [10.0, 20.0, 60.0])
@pytest.mark.parametrize("pace", [0.5, 1.0, 2.0])
def test_a_coarse_clock_becomes_a_fine_one(rate, pace):
    told, true = read_often(rate, pace=pace)[50:].T
    steps = np.diff(told)
    assert (steps > 0.0).all()
    assert steps.max() < 2.5 * 0.02 * pace
    assert np.abs(told - true).max() < pace * (0.02 + 0.5 / rate)


def test_a_clock_that_is_fine_already_is_told_as_it_is():
    told, true = read_often(1e6).T
    np.testing.assert_allclose(told, true, atol=1e-5)


def test_where_time_stops_it_stops():
    clock = InterpolatedClock()
    for tick in range(20):
        clock.read(0.05 * tick, 0.05 * tick)
    paused = [clock.read(0.95, 0.95 + 0.02 * turn) for turn in range(100)]
    assert paused[-1] == paused[10] <= 1.0 + 1e-9


def test_a_clock_that_jumps_back_is_followed_at_once():
    clock = InterpolatedClock()
    for tick in range(20):
        clock.read(100.0 + 0.05 * tick, 0.05 * tick)
    assert clock.read(0.1, 1.01) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.2)), max_size=40))
def test_it_never_runs_back_and_never_far_ahead(steps):
    clock, simulated, monotonic, last, longest = InterpolatedClock(), 5.0, 0.0, 0.0, 0.0
    for tick, passed in steps:
        simulated, monotonic, longest = simulated + tick, monotonic + passed, max(longest, tick)
        now = clock.read(simulated, monotonic)
        assert now >= last
        assert simulated <= now <= simulated + longest + 1e-9
        last = now
