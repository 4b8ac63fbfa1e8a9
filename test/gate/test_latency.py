# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forecasts come from real runs, are conservative while these are few, and follow the machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.gate.latency import LatencyModel, NominalRates

TIMES = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=60)


def observe(model, name, *seconds):
    for value in seconds:
        model.observe(name, value)


def test_before_the_first_run_the_roofline_stands_in(stages):
    rates = NominalRates(flops=1e6, bandwidth=1e3, overhead=0.5)
    assert LatencyModel(rates=rates).forecast(stages[:1]) == pytest.approx(0.5 + 100 / 1e3)
    rates = NominalRates(flops=1e3, bandwidth=1e6, overhead=0.5)
    assert LatencyModel(rates=rates).forecast(stages[:1]) == pytest.approx(0.5 + 1000 / 1e3)


def test_a_first_run_replaces_the_guess(stages):
    model = LatencyModel(margin=1.5)
    model.observe("look", 0.004)
    assert model.forecast(stages[:1]) == pytest.approx(0.006)


def test_few_runs_are_judged_by_the_slowest_with_a_margin(stages):
    model = LatencyModel(margin=1.25)
    observe(model, "look", 0.004, 0.008, 0.002)
    assert model.forecast(stages[:1]) == pytest.approx(0.010)


def test_enough_runs_are_judged_by_their_quantile(stages):
    model = LatencyModel(window=200, quantile=0.99)
    times = np.random.default_rng(0).permutation(np.arange(1, 201) / 1000)
    observe(model, "look", *times)
    assert model.forecast(stages[:1]) == pytest.approx(0.199)


def test_the_next_run_exceeds_the_forecast_no_more_often_than_promised(stages):
    rng = np.random.default_rng(3)
    model = LatencyModel(window=200, quantile=0.95)
    times = rng.lognormal(-6.0, 0.5, 10_000)
    late = 0
    for seconds in times:
        late += bool(seconds > model.forecast(stages[:1]))
        model.observe("look", seconds)
    assert late / len(times) < 0.06


def test_stages_add_up_and_are_kept_apart(stages):
    model = LatencyModel(margin=1.0)
    model.observe("look", 0.004)
    model.observe("think_1", 0.003)
    assert model.forecast(stages[:2]) == pytest.approx(0.007)
    assert model.forecast(stages[1:2]) == pytest.approx(0.003)
    assert model.forecast(()) == 0.0


def test_a_slowdown_is_followed_within_two_runs_and_forgotten_after_a_window(stages):
    model = LatencyModel(window=200)
    observe(model, "look", *[0.010] * 200)
    assert model.forecast(stages[:1]) == pytest.approx(0.010)
    observe(model, "look", 0.030, 0.030)
    assert model.forecast(stages[:1]) == pytest.approx(0.030)
    observe(model, "look", *[0.010] * 200)
    assert model.forecast(stages[:1]) == pytest.approx(0.010)


def test_a_hiccup_cannot_shut_a_stage_out_for_good(stages):
    model = LatencyModel(window=200, quantile=0.99)
    observe(model, "look", *[0.010] * 198, 0.5, 0.5)
    for _ in range(99):
        model.refuse(stages[:1])
    assert model.forecast(stages[:1]) == pytest.approx(0.5)
    model.refuse(stages[:1])
    assert model.forecast(stages[:1]) < 0.011


def test_a_run_resets_the_count_of_refusals(stages):
    model = LatencyModel(window=200, quantile=0.99)
    observe(model, "look", *[0.010] * 198, 0.5)
    for _ in range(99):
        model.refuse(stages[:1])
    model.observe("look", 0.5)
    model.refuse(stages[:1])
    assert model.forecast(stages[:1]) == pytest.approx(0.5)


def test_forgiving_forgets_the_slowest_run_at_once(stages):
    model = LatencyModel(margin=1.0)
    observe(model, "look", 0.5, 0.010)
    model.forgive(stages[:2])
    assert model.forecast(stages[:1]) == pytest.approx(0.010)
    model.forgive(stages[:2])
    model.forgive(stages[:2])
    assert model.forecast(stages[:1]) == pytest.approx(NominalRates().seconds(stages[0]))


@given(times=TIMES, window=st.integers(1, 20), quantile=st.floats(0.5, 0.99))
def test_the_window_forecasts_what_a_plain_sort_of_the_last_runs_does(times, window, quantile):
    class Only:
        name, flops, weight_bytes = "only", 0, 0

    model = LatencyModel(window=window, quantile=quantile, margin=2.0)
    observe(model, "only", *times)
    last = np.sort(times[-window:])
    rank = int(np.ceil((len(last) + 1) * quantile))
    expected = last[rank - 1] if rank <= len(last) else 2.0 * last[-1]
    assert model.forecast([Only]) == expected
