# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of a plan can be plotted: fixed names, units, numbers."""

import re
from dataclasses import dataclass

import pytest

from magma_ros.gate.latency import LatencyModel
from magma_ros.nodes import convert
from magma_ros.nodes.plan_report import Outlook, PlanReport, Tally
from magma_ros.types import Budget, Confidence, Reason, Verdict


@dataclass(frozen=True)
class Stage:
    name: str
    flops: int = 1000
    weight_bytes: int = 100


STAGES = (Stage("look"), Stage("think"))


@pytest.fixture
def outlook():
    latency = LatencyModel()
    for _ in range(300):
        latency.observe(STAGES[0], 0.010)
        latency.observe(STAGES[1], 0.020)
    return Outlook.of(latency, STAGES)


def report(outlook, **changes):
    verdict = Verdict(None, Reason.OVERRUN, 1, (0.011,), slack=0.002, flops=1000)
    fields = {
        "probability": float("nan"),
        "observed": 1.5e9,
        "commanded": 7,
        "age": 0.05,
        "unsure": 0.0,
        "exits": 3,
    } | changes
    return PlanReport(fields.pop("verdict", verdict), Budget(1.0), outlook, **fields)


def test_every_plan_has_the_same_names_and_only_the_reason_is_no_number(outlook):
    bare = report(outlook).values(Tally())
    sure = Verdict(
        None, Reason.CONFIDENT, 1, (0.01,), 0.1, confidence=Confidence(float("inf"), 0.1, 0.9)
    )
    assert list(bare) == list(report(outlook, verdict=sure, probability=0.9).values(Tally()))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in bare)
    printed = {pair.key: pair.value for pair in convert.key_values(bare)}
    assert printed.pop("reason") == "OVERRUN"
    assert all(isinstance(float(value), float) for value in printed.values())


def test_a_plan_is_told_with_the_whole_stamps_of_its_observation_and_of_its_first_command(outlook):
    stamp = 1795717645.123456
    printed = {
        pair.key: pair.value
        for pair in convert.key_values(
            report(outlook, observed=stamp, commanded=1795717645167890123).values(Tally())
        )
    }
    assert abs(int(printed["observation_ns"]) - 1795717645123456000) < 1000
    assert printed["command_ns"] == "1795717645167890123"


def test_the_forecast_of_a_plan_covers_the_stages_that_ran(outlook):
    values = report(outlook).values(Tally())
    assert values["model_ms"] == pytest.approx(11.0)
    assert values["forecast_ms"] == pytest.approx(10.0)
    assert values["typical_ms"] == pytest.approx(10.0)
    assert values["full_depth_forecast_ms"] == pytest.approx(30.0)
    assert values["flops_fraction"] == 0.5


def test_forecasts_are_told_per_stage_with_how_good_they_were(outlook):
    values = outlook.values()
    assert values["look_p50_ms"] == pytest.approx(10.0)
    assert values["think_p99_ms"] == pytest.approx(20.0)
    assert values["forecast_coverage"] == 1.0
    assert values["forecast_error_p95"] == pytest.approx(0.0)


def test_before_any_run_there_is_no_accuracy_to_tell():
    values = Outlook.of(LatencyModel(), STAGES).values()
    assert set(values) == {"look_p50_ms", "look_p99_ms", "think_p50_ms", "think_p99_ms"}


def test_late_plans_and_overruns_are_counted():
    tally = Tally()
    for reason, slack in ((Reason.DEEPEST, 0.1), (Reason.OVERRUN, 0.0), (Reason.DEADLINE, -0.1)):
        tally.count(Verdict(None, reason, 1, (), slack))
    assert (tally.plans, tally.late, tally.overruns) == (3, 1, 1)
    assert tally.sentence.startswith("1 of 3 plans were late, 1 acted")
