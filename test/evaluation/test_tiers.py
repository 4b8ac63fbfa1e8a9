# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark's average is that of its tiers, with an interval."""

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import mean_interval, wilson_interval
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.tables import evaluation_tables
from magma_ros.evaluation.world import Control, Scene
from magma_ros.policy.manifest import read_manifest

RATES = {"button-press": 10, "door-open": 8, "soccer": 5, "push": 2}
"""Successes of ten in two easy tasks, a medium and a hard one."""


def result(task, control=Control.NONE, *, success):
    return EpisodeResult(
        scene=Scene("metaworld", task, "seen", 0, control), success=success, swapped_success=None,
        failure=None, duration=2.0, closest=None, closest_at=None, jerk=1.0, reasons={"DEEPEST": 3},
        chunks=3, depth=9, flops=0, weight_bytes=0, late=0, stalls=0, lag=0.0, trace_errors=(),
    )  # fmt: skip


@pytest.fixture
def evaluation(tiny_bundle):
    spec = EvaluationSpec(("metaworld",), tuple(RATES), episodes=10)
    played = [result(task, success=n < done) for task, done in RATES.items() for n in range(10)]
    return Evaluation(spec, read_manifest(tiny_bundle), "0" * 64, tuple(played))


def test_the_average_is_the_mean_of_the_tiers_means(evaluation):
    tiers = evaluation.tiers("metaworld")
    means = {tier: mean.success for tier, mean in tiers.means.items()}
    assert means == pytest.approx({"easy": 0.9, "medium": 0.5, "hard": 0.2})
    assert tiers.average.success == pytest.approx((0.9 + 0.5 + 0.2) / 3)
    assert evaluation.summary().success == pytest.approx(25 / 40)  # that of the episodes
    assert tiers.missing == 46
    told = evaluation.to_json()["results"]["none"]["tiers"]["metaworld"]
    assert told["average"]["tasks"] == 4


def test_the_report_shows_both_averages_and_what_is_missing(evaluation):
    (table,) = (t for t in evaluation_tables(evaluation) if t.title == "Tiers of metaworld")
    rows = {row[0]: row for row in table.rows}
    assert rows["average of the tiers"][3] == "53.3 %"
    assert rows["average of the episodes"][3] == "62.5 %"
    assert "46 tasks were not played" in table.caption


def test_a_suite_without_tiers_has_no_such_table(evaluation):
    spec = EvaluationSpec(("tabletop",), ("reach",))
    scene = Scene("tabletop", "reach", "seen", 0)
    other = replace(evaluation, spec=spec, results=(replace(evaluation.results[0], scene=scene),))
    assert other.tiers("tabletop") is None
    assert "tiers" not in other.to_json()["results"]["none"]


def test_the_interval_of_one_rate_is_wilsons():
    assert mean_interval([1.0], [7], [10]) == pytest.approx(wilson_interval(7, 10))


def test_the_interval_holds_the_mean_of_rates_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rates = rng.beta(4.0, 1.0, 50)
    weights = np.repeat([0.25 / 28, 0.25 / 11, 0.25 / 6, 0.25 / 5], [28, 11, 6, 5])
    held = 0
    for _ in range(200):
        low, high = mean_interval(weights, rng.binomial(10, rates), [10] * 50)
        held += low <= weights @ rates <= high
    assert held >= 0.93 * 200


def test_where_the_world_cannot_tell_whether_another_task_was_done_nothing_is_claimed(evaluation):
    spec = replace(evaluation.spec, tasks=("push",), episodes=1, controls=True)
    played = [result("push", control, success=control is Control.NONE) for control in Control]
    judged = replace(evaluation, spec=spec, results=tuple(played))
    honesty = judged.honesty("push")
    assert honesty.followed is None
    assert honesty.passed
    assert any(
        "-" in row for t in evaluation_tables(judged) if t.title == "Honesty" for row in t.rows
    )
