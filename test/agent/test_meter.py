# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A meter tells rates and percentiles of the last seconds, and nothing before it can know."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.agent.meter import Meter


def test_nothing_is_known_before_the_first_event():
    meter = Meter()
    assert all(math.isnan(figure) for figure in (meter.rate(1.0), meter.p95(1.0), meter.mean(1.0)))
    meter.note(1.0)
    assert math.isnan(meter.rate(1.1))


@given(period=st.floats(0.01, 0.5), start=st.floats(0.0, 1e6))
def test_rate_and_intervals_of_a_steady_stream(period, start):
    meter = Meter(window=5.0)
    count = int(12.0 / period)
    for index in range(count + 1):
        meter.note(start + index * period)
    now = start + count * period
    assert meter.rate(now) == pytest.approx(1.0 / period, abs=1.0 / 5.0 + 1e-6)
    assert meter.p95(now) == pytest.approx(period, rel=1e-3)


def test_what_has_ended_is_forgotten():
    meter = Meter(window=2.0)
    for index in range(100):
        meter.note(0.1 * index, figure=7.0)
    assert meter.rate(13.0) == 0.0
    assert math.isnan(meter.p95(13.0))
    assert meter.last == pytest.approx(9.9)


def test_one_in_twenty_may_be_larger():
    meter = Meter()
    for index in range(100):
        meter.note(0.01 * index, figure=100.0 if index % 25 == 0 else 1.0)
    assert meter.p95(1.0) == 1.0
    assert meter.mean(1.0) == pytest.approx(4.96)
