# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop is never late while forecasts hold, and always says why it stopped."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.gate.gates import AdaptiveGate, FixedDepth
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import deepest_allowed, think
from magma_ros.types import Budget, Reason

NEVER = AdaptiveGate(tolerance=0.01)


@pytest.fixture
def latency(stages):
    """Every stage is known to take 10 ms."""
    return trained({stage.name: 0.010 for stage in stages})


def trained(forecasts):
    model = LatencyModel(margin=1.0)
    for name, seconds in forecasts.items():
        model.observe(SimpleNamespace(name=name, flops=0, weight_bytes=0), seconds)
    return model


def within(clock, seconds, **budget):
    return Budget(deadline=clock.now() + seconds, **budget)


def test_with_time_and_doubt_it_goes_to_the_deepest_exit(scripted, latency, clock):
    verdict = think(scripted(), NEVER, latency, within(clock, 1.0), clock)
    assert verdict.reason is Reason.DEEPEST
    assert verdict.depth == verdict.chunk.depth == 3
    assert verdict.stage_times == pytest.approx([0.010] * 5)
    assert verdict.slack == pytest.approx(0.950)
    assert (verdict.flops, verdict.weight_bytes) == (5000, 500)


def test_it_stops_as_soon_as_two_exits_agree(scripted, latency, clock):
    inference = scripted(disagreements=(float("inf"), 0.005, 0.0))
    verdict = think(inference, NEVER, latency, within(clock, 1.0), clock)
    assert verdict.reason is Reason.CONFIDENT
    assert verdict.depth == 2
    assert verdict.confidence.disagreement == 0.005
    assert len(inference.started) == 3


def test_agreement_at_the_deepest_exit_counts_as_confidence(scripted, latency, clock):
    inference = scripted(disagreements=(float("inf"), 0.5, 0.0))
    verdict = think(inference, NEVER, latency, within(clock, 1.0), clock)
    assert (verdict.reason, verdict.depth) == (Reason.CONFIDENT, 3)


def test_it_stops_when_the_way_to_the_next_exit_does_not_fit(scripted, latency, clock):
    """After exit 2, 15 ms are left: the detailed look would fit, its exit would not."""
    inference = scripted()
    verdict = think(inference, NEVER, latency, within(clock, 0.045), clock)
    assert (verdict.reason, verdict.depth) == (Reason.DEADLINE, 2)
    assert verdict.slack == pytest.approx(0.015)
    assert [name for _, name in inference.started] == ["look", "think_1", "think_2"]


def test_a_stage_that_overruns_stops_the_way_to_the_next_exit(scripted, latency, clock):
    inference = scripted(durations={"detail": 0.018})
    verdict = think(inference, NEVER, latency, within(clock, 0.055), clock)
    assert (verdict.reason, verdict.depth) == (Reason.DEADLINE, 2)
    assert [name for _, name in inference.started][-1] == "detail"
    assert verdict.slack >= 0.0


@pytest.mark.parametrize("allowance", [0.001, 0.015, 0.019])
def test_without_time_for_the_first_exit_there_is_a_late_action_rather_than_none(
    scripted, latency, clock, allowance
):
    inference = scripted()
    verdict = think(inference, NEVER, latency, within(clock, allowance), clock)
    assert (verdict.reason, verdict.depth) == (Reason.DEADLINE, 1)
    assert verdict.slack == pytest.approx(allowance - 0.020)
    assert [name for _, name in inference.started] == ["look", "think_1"]


def test_a_deadline_in_the_past_is_a_verdict(scripted, latency, clock):
    inference = scripted()
    verdict = think(inference, NEVER, latency, within(clock, -1.0), clock)
    assert verdict.reason is Reason.NO_TIME
    assert (verdict.chunk, verdict.depth, verdict.confidence) == (None, 0, None)
    assert verdict.slack == pytest.approx(-1.0)
    assert verdict.stage_times == ()
    assert inference.started == []


def test_hiccups_do_not_end_all_thinking(scripted, stages, clock):
    latency = trained({stage.name: 0.010 for stage in stages})
    for _ in range(2):
        latency.observe(stages[0], 5.0)
    reasons = [
        think(scripted(), NEVER, latency, within(clock, 0.1), clock).reason for _ in range(20)
    ]
    assert Reason.NO_TIME not in reasons
    assert reasons[-10:] == [Reason.DEEPEST] * 10


def test_a_missed_deadline_is_no_reason_to_forget_a_slow_run(scripted, stages, clock):
    latency = trained({stage.name: 5.0 for stage in stages})
    think(scripted(), NEVER, latency, within(clock, -1.0), clock)
    assert latency.forecast(stages) == pytest.approx(25.0)


def test_before_each_further_stage_it_holds_out_what_it_would_act_on(scripted, latency, clock):
    held = []
    think(scripted(), NEVER, latency, within(clock, 1.0), clock, provisional=held.append)
    assert [(verdict.reason, verdict.depth) for verdict in held] == [
        (Reason.OVERRUN, 1),
        (Reason.OVERRUN, 2),
        (Reason.OVERRUN, 2),
    ]
    assert [verdict.chunk.depth for verdict in held] == [1, 2, 2]
    # What the running stage costs is spent, whether it is waited for or not.
    assert [verdict.flops for verdict in held] == [3000, 4000, 5000]


def test_headroom_is_left_over_besides_the_forecast(scripted, latency, clock):
    """After exit 2, 21 ms are left for 20 ms of work."""
    verdict = think(scripted(), NEVER, latency, within(clock, 0.051), clock, headroom=0.1)
    assert (verdict.reason, verdict.depth) == (Reason.DEADLINE, 2)
    verdict = think(scripted(), NEVER, latency, within(clock, 0.051), clock, headroom=0.0)
    assert (verdict.reason, verdict.depth) == (Reason.DEEPEST, 3)


@pytest.mark.parametrize(
    ("budget", "depth", "reason"),
    [
        ({"deepest": 2}, 2, Reason.CAPPED),
        ({"deepest": 0}, 1, Reason.CAPPED),
        ({"deepest": 3}, 3, Reason.DEEPEST),
        ({"deepest": 9}, 3, Reason.DEEPEST),
        ({"energy": 0.0}, 1, Reason.CAPPED),
        ({"energy": 0.3}, 2, Reason.CAPPED),
        ({"energy": 0.5}, 3, Reason.DEEPEST),
        ({"energy": 0.3, "deepest": 1}, 1, Reason.CAPPED),
    ],
)
def test_the_budget_caps_depth(scripted, latency, clock, budget, depth, reason):
    verdict = think(scripted(), NEVER, latency, within(clock, 1.0, **budget), clock)
    assert (verdict.depth, verdict.reason) == (depth, reason)


def test_less_energy_never_allows_more_depth():
    caps = [deepest_allowed(Budget(0.0, energy=e), exits=6) for e in np.linspace(0.0, 1.0, 101)]
    assert caps == sorted(caps)
    assert (caps[0], caps[25], caps[50], caps[100]) == (1, 3, 6, 6)


@pytest.mark.parametrize(("broken", "ran"), [("look", 0), ("think_3", 4)])
def test_a_failing_policy_is_a_verdict_without_a_chunk(scripted, latency, clock, broken, ran):
    verdict = think(scripted(broken=broken), NEVER, latency, within(clock, 1.0), clock)
    assert verdict.reason is Reason.FAULT
    assert verdict.detail == "the stage broke"
    assert (verdict.chunk, verdict.depth) == (None, 0)
    assert len(verdict.stage_times) == ran


def test_every_run_teaches_the_latency_model(scripted, stages, clock):
    latency = trained({})
    think(scripted(durations={"detail": 0.020}), NEVER, latency, within(clock, 1.0), clock)
    assert latency.forecast(stages) == pytest.approx(0.060)


def test_a_machine_three_times_slower_gets_shallower_verdicts_in_time(scripted, stages, clock):
    latency = LatencyModel(window=200)
    depths = []
    for decision in range(400):
        seconds = 0.010 if decision < 200 else 0.030
        inference = scripted(durations={stage.name: seconds for stage in stages})
        verdict = think(inference, NEVER, latency, within(clock, 0.1), clock)
        depths.append(verdict.depth)
        if decision >= 201:
            assert verdict.slack >= 0.0
    assert depths[199] == 3
    assert depths[-1] == 2


class JumpingClock:
    """Goes back by an hour at each reading but the first."""

    def __init__(self):
        self.time = 1e6

    def now(self):
        self.time -= 3600.0
        return self.time + 3600.0

    def sleep_until(self, when):
        raise AssertionError("thinking never sleeps")


def test_a_clock_that_jumps_back_makes_no_duration_negative(scripted, latency, stages):
    clock = JumpingClock()
    verdict = think(scripted(), NEVER, latency, Budget(deadline=1e6 + 1.0), clock)
    assert verdict.reason is Reason.DEEPEST
    assert verdict.stage_times == (0.0,) * 5
    assert verdict.slack == pytest.approx(1.0)
    assert latency.forecast(stages) >= 0.0


NAMES = ("look", "think_1", "think_2", "detail", "think_3")
FIRST = 2  # of them lead to the first exit
SECONDS = st.floats(0.0, 0.1)


@given(
    forecasts=st.tuples(*[SECONDS] * 5),
    shares=st.tuples(*[st.floats(0.0, 1.0)] * 5),
    allowance=st.floats(-0.1, 0.6),
    depth=st.integers(1, 4),
    energy=st.floats(0.0, 1.0),
)
def test_while_forecasts_hold_no_verdict_is_late(
    make_scripted, forecasts, shares, allowance, depth, energy
):
    """But for that of a first exit that does not fit, which is no later than it must be; and behind
    it no stage starts unless the whole way to its exit fits. Each forecast is of one run."""
    scripted, clock = make_scripted()
    known = dict(zip(NAMES, forecasts, strict=True))
    inference = scripted(
        durations={n: known[n] * share for n, share in zip(NAMES, shares, strict=True)}
    )
    budget, began = within(clock, allowance, energy=energy), clock.now()
    verdict = think(inference, FixedDepth(depth), trained(known), budget, clock)
    tiny = 1e-9  # additions of floats near 100 s
    assert verdict.slack >= min(0.0, allowance - sum(forecasts[:FIRST])) - tiny
    assert (verdict.chunk is None) == (verdict.reason is Reason.NO_TIME)
    assert (verdict.reason is Reason.NO_TIME) == (budget.deadline <= began)
    for position, (when, _) in list(enumerate(inference.started))[FIRST:]:
        way = [NAMES[i] for i in range(position, 5)]
        way = way[: next(i for i, n in enumerate(way, 1) if n.startswith("think"))]
        assert when + sum(known[name] for name in way) <= budget.deadline + tiny


def test_deciding_about_a_deep_policy_costs_microseconds(benchmark, make_scripted, stages):
    """Everything but the stages themselves, which take no time here."""
    scripted, clock = make_scripted()
    latency = LatencyModel()
    for stage in stages:
        for seconds in np.random.default_rng(0).lognormal(-5.0, 0.3, 200):
            latency.observe(stage, float(seconds))
    instant = {stage.name: 0.0 for stage in stages}
    verdict = benchmark(
        lambda: think(scripted(durations=instant), NEVER, latency, within(clock, 9.0), clock)
    )
    assert len(verdict.stage_times) == len(stages)
