# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The self-test replaces guesses by measurements, in the time it is given."""

import pytest

from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.selftest import self_test
from magma_ros.types import MagmaError


def test_every_stage_is_measured(scripted, stages, clock):
    latency = LatencyModel(margin=1.0)
    passes = self_test(scripted, latency, clock, seconds=1.0)
    assert passes == 19  # of 50 ms each, after the warm-up
    assert clock.now() == pytest.approx(101.0)
    assert latency.forecast(stages) == pytest.approx(0.050)


def test_the_warm_up_teaches_nothing(scripted, stages, clock):
    latency = LatencyModel(margin=1.0)
    slow_then_fast = iter([0.5, 0.010])

    def start():
        return scripted(durations=dict.fromkeys((s.name for s in stages), next(slow_then_fast)))

    assert self_test(start, latency, clock, seconds=0.0) == 1
    assert latency.forecast(stages) == pytest.approx(0.050)


def test_a_slow_policy_is_measured_once_all_the_same(scripted, stages, clock):
    latency = LatencyModel(margin=1.0)
    slow = dict.fromkeys((s.name for s in stages), 2.0)
    assert self_test(lambda: scripted(durations=slow), latency, clock, seconds=1.0) == 1
    assert latency.forecast(stages) == pytest.approx(10.0)


def test_a_failing_policy_is_an_error(scripted, clock):
    with pytest.raises(MagmaError, match="the stage broke"):
        self_test(lambda: scripted(broken="think_2"), LatencyModel(), clock)
