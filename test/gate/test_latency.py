# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forecasts come from real runs, are conservative while these are few, and follow the machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.gate.latency import BEYOND, SHORTEST, LatencyModel, NominalRates, RunWindow

TIMES = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=60)
NOMINAL = (0.010, 0.004, 0.004, 0.020, 0.004)


def observe(model, stage, *seconds):
    for value in seconds:
        model.observe(stage, value)


def think_often(model, stages, runs, rng, *, load=1.0, jitter=0.05):
    """All stages in turn; returns how each run compares with what was forecast for it."""
    ratios = []
    for run in range(runs):
        stage, nominal = stages[run % len(stages)], NOMINAL[run % len(stages)]
        seconds = load * nominal * float(rng.lognormal(0.0, jitter))
        ratios.append(model.forecast([stage]) / seconds)
        model.observe(stage, seconds)
    return np.array(ratios)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_before_the_first_run_the_roofline_stands_in(stages):
    rates = NominalRates(flops=1e6, bandwidth=1e3, overhead=0.5)
    assert LatencyModel(rates=rates).forecast(stages[:1]) == pytest.approx(0.5 + 100 / 1e3)
    rates = NominalRates(flops=1e3, bandwidth=1e6, overhead=0.5)
    model = LatencyModel(rates=rates)
    assert model.forecast(stages[:1]) == model.typical(stages[:1]) == pytest.approx(0.5 + 1.0)


def test_a_first_run_replaces_the_guess(stages):
    model = LatencyModel(margin=1.5)
    model.observe(stages[0], 0.004)
    assert model.forecast(stages[:1]) == pytest.approx(0.006)
    assert model.typical(stages[:1]) == pytest.approx(0.004)


def test_enough_runs_are_judged_by_their_quantile(stages, rng):
    model = LatencyModel(window=200, quantile=0.9)
    observe(model, stages[0], *rng.uniform(0.9, 1.1, 2000))
    assert model.forecast(stages[:1]) == pytest.approx(1.08, rel=0.08)
    assert model.typical(stages[:1]) == pytest.approx(1.0, rel=0.08)


def test_the_next_run_exceeds_the_forecast_no_more_often_than_promised(stages, rng):
    model = LatencyModel(window=200, quantile=0.99)
    ratios = think_often(model, stages, 5_000, rng, jitter=0.2)
    assert np.mean(ratios[1000:] < 1.0) < 0.01
    assert np.median(ratios[1000:]) < 2.2


def test_stages_add_up_and_are_kept_apart(stages):
    model = LatencyModel(margin=1.0)
    model.observe(stages[0], 0.004)
    model.observe(stages[1], 0.003)
    assert model.forecast(stages[:2]) == pytest.approx(0.007)
    assert model.forecast(stages[1:2]) == pytest.approx(0.003)
    assert model.forecast(()) == model.typical(()) == 0.0


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_slow_first_run_is_soon_forgotten(stages, everywhere):
    """Whether all stages began slowly, or only one did."""
    model = LatencyModel()
    for stage, nominal in zip(stages, NOMINAL, strict=True):
        model.observe(stage, 20.0 * nominal if everywhere or stage is stages[0] else nominal)
    for _ in range(5):
        for stage, nominal in zip(stages, NOMINAL, strict=True):
            model.observe(stage, nominal)
    assert model.forecast(stages) <= 1.5 * sum(NOMINAL)
    assert model.forecast(stages) >= sum(NOMINAL)


def test_a_threefold_slowdown_is_followed_within_twenty_runs_and_left_again(stages, rng):
    model = LatencyModel()
    calm = think_often(model, stages, 1000, rng)
    slow = think_often(model, stages, 1000, rng, load=3.0)
    again = think_often(model, stages, 500, rng)
    assert np.mean(slow[20:] < 1.0) <= 0.02
    assert np.median(again[20:40]) < 1.1 * np.median(calm[500:])
    assert np.mean(again[20:] < 1.0) <= 0.02


def test_a_slowdown_does_not_make_later_forecasts_overcautious(stages, rng):
    """The first slow runs belong to the load, not to the noise that is multiplied with it."""
    model = LatencyModel()
    calm = think_often(model, stages, 1000, rng)
    slow = think_often(model, stages, 1000, rng, load=3.0)
    assert np.median(slow[20:]) < 1.2 * np.median(calm[500:])


def test_stages_that_run_tell_how_slow_the_others_have_become(stages):
    model = LatencyModel()
    for stage, nominal in zip(stages, NOMINAL, strict=True):
        observe(model, stage, *[nominal] * 10)
    before = model.forecast(stages[3:])
    for _ in range(10):
        observe(model, stages[0], 3.0 * NOMINAL[0])
        observe(model, stages[1], 3.0 * NOMINAL[1])
    assert model.forecast(stages[3:]) == pytest.approx(3.0 * before)
    for _ in range(10):
        observe(model, stages[0], NOMINAL[0])
        observe(model, stages[1], NOMINAL[1])
    assert model.forecast(stages[3:]) == pytest.approx(before)


def test_one_hiccup_moves_no_forecast(stages):
    model = LatencyModel(margin=1.0)
    observe(model, stages[0], *[0.010] * 50)
    for seconds in (0.5, *[0.010] * 20):
        model.observe(stages[0], seconds)
        assert model.forecast(stages[:1]) == pytest.approx(0.010)


def hiccup_twice(model, stage):
    observe(model, stage, *[0.010] * 20, 0.5, *[0.010] * 20, 0.5, *[0.010] * 20)


def decide(model, stage, left, seconds):
    """One decision about a way of one stage; whether it was run."""
    admitted = model.admits([stage], left, 0.0)
    if admitted:
        model.observe(stage, seconds)
    return admitted


def test_stalls_now_and_then_are_not_taken_for_load_and_for_noise_at_once(stages, rng):
    model = LatencyModel()
    think_often(model, stages, 300, rng)
    longest = dict.fromkeys([stage.name for stage in stages], 0.0)
    for run in range(500):
        stage, nominal = stages[run % len(stages)], NOMINAL[run % len(stages)]
        longest[stage.name] = max(longest[stage.name], 1.1 * nominal)
        # What a load of a whole stall would make of a usual run, or of the slowest seen without.
        allowed = BEYOND * max(longest[stage.name], 20 * 1.1 * nominal)
        assert model.forecast([stage]) <= allowed
        seconds = nominal * (20.0 if rng.random() < 0.3 else 1.0)
        longest[stage.name] = max(longest[stage.name], seconds)
        model.observe(stage, seconds)


def test_a_stalling_machine_does_not_keep_answers_shallow_that_fit(stages, rng):
    """Stalls of 20 times a run, in 3 of 10: all stages fit even if one stalls."""
    model, depths = LatencyModel(), []
    for decision in range(400):
        used = 0.0
        for depth, stage in enumerate(stages):
            if depth and not model.admits([stage], 0.8 - used, 0.1):
                break
            stalls = decision >= 300 and rng.random() < 0.3
            seconds = 0.004 * float(rng.lognormal(0.0, 0.1)) * (20.0 if stalls else 1.0)
            model.observe(stage, seconds)
            used += seconds
        depths.append(depth + (stage is stages[-1]))
    assert np.mean(depths[:300]) >= len(stages) - 0.1
    assert np.mean(depths[300:]) >= len(stages) - 0.5


def test_hiccups_cannot_shut_a_stage_out_for_good(stages):
    model = LatencyModel(margin=1.0)
    hiccup_twice(model, stages[0])
    ran = [decide(model, stages[0], 0.020, 0.010) for _ in range(1000)]
    assert ran[:101] == [False] * 100 + [True]
    assert all(ran[-500:])
    assert model.forecast(stages[:1]) == pytest.approx(0.010)


def test_a_fit_or_a_run_starts_the_count_of_refusals_anew(stages):
    model = LatencyModel(margin=1.0)
    hiccup_twice(model, stages[0])
    assert not any(decide(model, stages[0], 0.020, 0.010) for _ in range(99))
    assert decide(model, stages[0], 1.0, 0.010)
    assert not any(decide(model, stages[0], 0.020, 0.010) for _ in range(100))
    assert decide(model, stages[0], 0.020, 0.010)


def test_a_bad_first_run_is_no_lasting_verdict_on_a_stage(stages):
    model = LatencyModel()
    model.observe(stages[0], 5.0)
    ran = [decide(model, stages[0], 0.050, 0.010) for _ in range(2000)]
    assert all(ran[-500:])


def test_what_would_not_fit_even_as_usual_is_tried_more_rarely(stages):
    model = LatencyModel()
    observe(model, stages[0], *[0.100] * 50)
    ran = [decide(model, stages[0], 0.050, 0.100) for _ in range(20_000)]
    assert [turn for turn, tried in enumerate(ran) if tried][:3] == [1000, 3001, 7002]


def test_refusals_forget_nothing(stages, rng):
    """A stage that never fits stays known as what it is, however often it is turned away."""
    model = LatencyModel()
    for seconds in 0.050 * rng.lognormal(0.0, 0.15, 400):
        model.observe(stages[0], float(seconds))
    before = model.forecast(stages[:1])
    for _ in range(20_000):
        decide(model, stages[0], 0.030, float(0.050 * rng.lognormal(0.0, 0.15)))
    assert model.forecast(stages[:1]) == pytest.approx(before, rel=0.15)


@pytest.mark.parametrize("bad", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_trials_overrun_no_more_often_than_the_quantile_admits(stages, rng, bad):
    """Whatever share of its runs is too slow."""
    model = LatencyModel(window=50)
    observe(model, stages[0], *[0.100] * 50)
    overruns = decisions = 0
    for _ in range(20_000):
        seconds = 0.100 if rng.random() < bad else 0.030
        fits = model.forecast(stages[:1]) <= 0.050
        ran = decide(model, stages[0], 0.050, seconds)
        if not fits:
            decisions += 1
            overruns += ran and seconds > 0.050
    assert overruns <= 0.01 * decisions


def test_a_trial_leads_all_the_way_to_the_next_exit(stages):
    model = LatencyModel(margin=1.0)
    way = stages[3:]  # a look and the exit behind it
    for stage in way:
        model.observe(stage, 0.5)
    assert not any(model.admits(way, 0.050, 0.1) for _ in range(1000))
    assert model.admits(way, 0.050, 0.1)
    model.observe(way[0], 0.010)
    assert model.admits(way[1:], 0.040, 0.1)
    model.observe(way[1], 0.010)
    assert not model.admits(way, 0.001, 0.1)


def test_without_a_forecast_there_is_no_accuracy(stages):
    model = LatencyModel()
    assert model.accuracy() is None
    model.observe(stages[0], 0.010)
    assert model.accuracy() is None


def test_the_accuracy_tells_coverage_and_signed_errors(stages, rng):
    model = LatencyModel()
    think_often(model, stages, 3000, rng, jitter=0.1)
    calm = model.accuracy()
    assert calm.runs == 1000
    assert calm.coverage >= 0.97
    assert -0.3 < calm.error_low < calm.error_mid < calm.error_high < 0.3
    for load in (1.0, 4.0) * 50:  # too fast a change for anyone
        think_often(model, stages, 5, rng, load=load)
    restless = model.accuracy()
    assert restless.coverage < calm.coverage
    assert restless.error_high > 1.0


def test_a_run_that_took_no_time_is_no_division_by_nothing(stages):
    model = LatencyModel(margin=1.0)
    observe(model, stages[0], *[0.0] * 20)
    assert model.forecast(stages[:1]) == pytest.approx(SHORTEST)


@examples(50)
@given(times=TIMES, size=st.integers(1, 20), quantile=st.floats(0.5, 0.99))
def test_the_window_tells_what_a_plain_sort_of_the_last_runs_does(times, size, quantile):
    window = RunWindow(size)
    for seconds in times:
        window.add(seconds)
    last = np.sort(times[-size:])
    rank = int(np.ceil((len(last) + 1) * quantile))
    slow = last[-2] if len(last) > 2 else last[-1]
    assert window.tail(quantile, 2.0) == (last[rank - 1] if rank <= len(last) else 2.0 * slow)
    assert window.median() == last[len(last) // 2]
    assert len(window) == len(last)


def test_an_answer_that_takes_more_passes_is_no_slow_machine(stages):
    steady, decode = stages[0], stages[1]
    model = LatencyModel()
    for _ in range(30):
        for passes in (1, 2, 3):
            model.observe(decode, 0.004 * passes, passes)
            model.observe(steady, 0.010)
    for _ in range(5):
        model.observe(decode, 0.004 * 7, 7)
    assert model.typical([steady]) == pytest.approx(0.010)
    assert model.forecast([decode]) >= 0.004 * 3
    for _ in range(5):  # each pass twice as slow: now it is the machine
        model.observe(decode, 0.008, 1)
    assert model.typical([steady]) == pytest.approx(0.020)
