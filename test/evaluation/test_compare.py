# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two evaluations are compared pair by pair, or refused in one sentence."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.compare import compare
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.comparison import comparison_table
from magma_ros.evaluation.world import Control
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.failures import Failure

SPEC = EvaluationSpec(("tabletop",), ("reach", "pick"), episodes=4, seed=10, controls=True)


def episode(scene, success, depth):
    swapped = scene.control is Control.SWAPPED
    return EpisodeResult(
        scene=scene, success=success and not swapped, swapped_success=success and swapped,
        failure=None if success else Failure.TIMED_OUT, duration=2.0, closest=0.0, closest_at=1.0,
        jerk=1.0, reasons={"CONFIDENT": 10}, chunks=10, depth=10 * depth, flops=1000 * depth,
        weight_bytes=0, late=0, stalls=0, lag=0.0, trace_errors=(),
    )  # fmt: skip


@pytest.fixture
def write(tiny_bundle, tmp_path):
    """Write an evaluation in which the episodes of these seeds succeed."""
    manifest = read_manifest(tiny_bundle)

    def make(name, seeds, *, spec=SPEC, depth=2, edit=lambda content: None):
        results = tuple(episode(scene, scene.seed in seeds, depth) for scene in spec.scenes())
        content = Evaluation(spec, manifest, "0" * 64, results).to_json()
        edit(content)
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return make


def pairing(comparison, control, task):
    (found,) = [p for p in comparison.pairings if p.control is control and p.task == task]
    return found


def test_episodes_are_paired_by_control_task_and_seed(write):
    a = write("a.json", {10, 11})
    b = write("b.json", {11, 12, 13}, depth=1)
    comparison = compare(a, b)
    one = pairing(comparison, Control.NONE, "pick").counts
    assert (one.both, one.only_first, one.only_second, one.neither) == (1, 1, 2, 0)
    assert one.difference == pytest.approx(0.25)
    overall = pairing(comparison, Control.SWAPPED, "all").counts
    assert (overall.pairs, overall.only_second) == (8, 4)


def test_cost_is_compared_by_the_decision(write):
    row = pairing(
        compare(write("a.json", {10}), write("b.json", {10}, depth=1)), Control.NONE, "all"
    )
    assert row.flops_ratio == pytest.approx(0.5)
    assert row.mean_depths == (2.0, 1.0)


def test_only_shared_seeds_and_tasks_count(write):
    later = replace(SPEC, tasks=("pick",), seed=12, controls=False)
    comparison = compare(write("a.json", {12}), write("b.json", {12, 13}, spec=later))
    (row,) = comparison.pairings
    assert (row.task, row.counts.pairs, row.counts.only_second) == ("pick", 2, 1)


def test_table_and_json_say_the_same(write):
    comparison = compare(write("a.json", {10, 11}), write("b.json", set()))
    console = Console(width=200, file=io.StringIO())
    console.print(comparison_table(comparison))
    shown = console.file.getvalue()
    for part in ("a.json", "instruction names another object", "-50.0", "2 / 0", "B - A [points]"):
        assert part in shown
    content = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    first = content["pairings"][0]
    assert (first["task"], first["difference"], first["p_value"]) == ("reach", -0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": "shift"}, "split seen, .* has shift"),
        ({"clock": "wall"}, "clock ideal, .* has wall"),
        ({"suites": ("tabletop", "moving"), "tasks": ("pick", "track")}, "suites tabletop"),
        ({"seed": 500}, "no task and seed in common"),
        ({"tasks": ("push",)}, "no task and seed in common"),
    ],
)
def test_what_cannot_be_paired_is_refused(write, change, told):
    a, b = write("a.json", {10}), write("b.json", {10}, spec=replace(SPEC, **change))
    with pytest.raises(EvaluationError, match=told) as caught:
        compare(a, b)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda c: c["episodes"].pop(), "does not hold the episodes"),
        (lambda c: c["episodes"].append(c["episodes"].pop(0) | {"seed": 11}), "does not hold"),
        (lambda c: c.update(format="magma-exits/1"), "format: .*magma eval"),
        (lambda c: c["episodes"][0].pop("success"), r"episodes\[0\].success: field required"),
        (lambda c: c["episodes"][0].update(flops=-1), "flops: .*magma eval"),
        (lambda c: c.clear(), "format: .*magma eval"),
    ],
)
def test_a_foreign_or_incomplete_file_is_named(write, edit, told):
    a, b = write("a.json", {10}), write("b.json", {10}, edit=edit)
    with pytest.raises(EvaluationError, match=rf"b.json.*{told}") as caught:
        compare(a, b)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_truncated_file_is_named(write, keep):
    a, b = write("a.json", {10}), write("b.json", {10})
    b.write_bytes(b.read_bytes()[:keep])
    with pytest.raises(EvaluationError, match=r"b.json is not whole and valid JSON"):
        compare(a, b)


def test_a_missing_file_is_named(write, tmp_path):
    with pytest.raises(EvaluationError, match=r"nowhere.json cannot be read"):
        compare(write("a.json", {10}), tmp_path / "nowhere.json")
