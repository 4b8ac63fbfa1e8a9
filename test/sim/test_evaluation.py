# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluations reproduce to the last byte, add up correctly, and refuse what makes no sense."""

import io
import json
import math
import multiprocessing
import runpy
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from magma_ros.gate.gates import FixedDepth
from magma_ros.policy.manifest import MANIFEST, BundleError, read_manifest
from magma_ros.sim.eval_actors import ActorError, ActorProcess, PolicyActor
from magma_ros.sim.eval_episode import Control, EpisodeResult, Scene
from magma_ros.sim.eval_tables import evaluation_tables
from magma_ros.sim.evaluation import Evaluation, EvaluationSpec, evaluate
from magma_ros.sim.simulation import Simulation
from magma_ros.sim.statistics import rms_jerk, wilson_interval
from magma_ros.types import MagmaError

BUILDER = Path(__file__).parents[1] / "policy" / "conftest.py"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A small real bundle: random weights, five stages, three exits, four steps a chunk."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    folder.mkdir()
    runpy.run_path(str(BUILDER))["build_bundle"](folder)
    return folder


@pytest.fixture
def edited(pristine, tmp_path):
    """A copy of the bundle whose manifest was changed."""

    def edit(change):
        for file in pristine.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        content = yaml.safe_load((tmp_path / MANIFEST).read_text())
        change(content)
        (tmp_path / MANIFEST).write_text(yaml.safe_dump(content))
        return tmp_path

    return edit


@pytest.fixture(scope="module")
def spec():
    return EvaluationSpec(tasks=("reach",), episodes=2, seed=40, controls=True)


@pytest.fixture(scope="module")
def evaluation(spec, pristine):
    return evaluate(spec, pristine)


def written(evaluation):
    return json.dumps(evaluation.to_json(), allow_nan=False)


def test_the_number_of_workers_changes_no_byte(spec, pristine, evaluation):
    alone = evaluate(replace(spec, workers=1), pristine)
    assert written(alone) == written(evaluation)


def test_every_control_plays_the_same_seeds_in_order(evaluation):
    rows = evaluation.to_json()["episodes"]
    assert [(row["control"], row["seed"]) for row in rows] == [
        (control, seed) for control in ("none", "blackout", "swapped") for seed in (40, 41)
    ]


def test_json_says_what_was_evaluated(evaluation, pristine):
    content = evaluation.to_json()
    assert content["spec"]["tasks"] == ["reach"]
    assert content["spec"]["gate"] == "adaptive"
    assert content["bundle"]["name"] == "tiny"
    assert content["bundle"]["manifest_sha256"] == evaluation.checksum
    assert set(content["results"]) == {"none", "blackout", "swapped"}


def test_the_gate_decides_how_deep_to_think(pristine):
    options = (("depth", 1),)
    spec = EvaluationSpec(tasks=("reach",), episodes=1, gate="fixed", gate_options=options)
    row = evaluate(spec, pristine).summary()
    assert row.mean_depth == 1.0
    assert row.reasons == {"CONFIDENT": row.decisions}
    stages = read_manifest(pristine).stages
    first_exit = sum(stage.flops for stage in stages[:2]) / sum(stage.flops for stage in stages)
    assert row.flops_fraction == pytest.approx(first_exit)


def test_the_world_goes_on_while_a_real_policy_thinks_in_its_own_process(pristine):
    spec = EvaluationSpec(tasks=("reach",), episodes=1, clock="wall", execute=2, deadline=5.0)
    evaluation = evaluate(spec, pristine)
    row = evaluation.summary()
    assert row.decisions > 1
    assert row.reasons.keys() <= {"DEEPEST", "CONFIDENT"}
    assert "late" in shown(evaluation)


def shown(evaluation):
    console = Console(width=160, file=io.StringIO())
    for table in evaluation_tables(evaluation):
        console.print(table)
    return console.file.getvalue()


def result(task="reach", control=Control.NONE, **changes):
    base = EpisodeResult(
        scene=Scene("tabletop", task, "seen", 0, control),
        success=True, swapped_success=False, failure=None, duration=2.0, jerk=1.0,
        reasons={"CONFIDENT": 3, "NO_TIME": 1}, chunks=3, depth=6, flops=0, weight_bytes=0,
        late=1, stalls=2, lag=0.1,
    )  # fmt: skip
    return replace(base, **changes)


@pytest.fixture
def handmade(pristine):
    def make(*results):
        spec = EvaluationSpec(tasks=("reach", "push"), controls=True)
        return Evaluation(spec, read_manifest(pristine), "0" * 64, results)

    return make


def test_summaries_add_up_their_own_episodes_only(handmade):
    evaluation = handmade(
        result(),
        result(duration=4.0, jerk=3.0, lag=0.3, reasons={"CONFIDENT": 2}, chunks=2, depth=4),
        result(success=False, failure="unfinished", duration=5.0, chunks=0, depth=0),
        result("push"),
        result(control=Control.SWAPPED, success=False, swapped_success=True),
    )
    row = evaluation.summary(task="reach")
    assert (row.episodes, row.successes) == (3, 2)
    assert row.success == pytest.approx(2 / 3)
    assert row.completion_time == 3.0
    assert row.mean_depth == 2.0
    assert row.decisions == 10
    assert row.reasons == {"CONFIDENT": 8, "NO_TIME": 2}
    assert row.failures == {"unfinished": 1}
    assert (row.late, row.stalls, row.lag) == (3, 6, 0.3)
    assert evaluation.summary().episodes == 4
    assert evaluation.summary(Control.SWAPPED).swapped_successes == 1


def test_what_cannot_be_averaged_is_left_open(handmade):
    row = handmade(result(success=False, reasons={}, chunks=0, depth=0)).summary()
    assert row.completion_time is None
    assert row.mean_depth is None
    assert row.flops_fraction is None


def test_tables_show_success_cost_endings_and_controls(evaluation):
    text = shown(evaluation)
    for part in ("reach", "all", "95 % interval", "FLOPs", "unfinished", "cameras black", "named"):
        assert part in text
    assert "stalls" not in text  # nothing can stall a world that waits


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"suite": "kitchen"}, "tabletop"),
        ({"tasks": ("juggle",)}, "reach, push, pick, place"),
        ({"tasks": ()}, "name a task"),
        ({"split": "train"}, "seen, shift"),
        ({"gate": "oracle"}, "adaptive, entropy, fixed"),
        ({"gate_options": (("depth", 2),)}, "takes tolerance"),
        ({"clock": "sundial"}, "ideal, wall"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"execute": 0}, "execute must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 999_999}, "belong to the training data"),
        ({"deadline": math.nan}, "deadline must be a positive time"),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused_in_one_sentence(change, told):
    with pytest.raises(MagmaError, match=told) as caught:
        EvaluationSpec(**{"tasks": ("reach",), "episodes": 2} | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"execute": 5}, "plans 4 steps ahead"),
        ({"deepest": 4}, "exits 1 to 3"),
        ({"deepest": 0}, "exits 1 to 3"),
        ({"gate": "fixed", "gate_options": (("depth", 4),)}, "exits 1 to 3"),
    ],
)
def test_what_the_bundle_does_not_have_is_refused(spec, pristine, change, told):
    with pytest.raises(MagmaError, match=told):
        evaluate(replace(spec, **change), pristine)


def test_a_bundle_of_another_step_period_is_refused(spec, edited):
    folder = edited(lambda content: content["action"].update(step_period=0.2))
    with pytest.raises(BundleError, match=r"steps of 0.2 s"):
        evaluate(spec, folder)


def test_a_damaged_bundle_is_reported_from_the_worker_as_its_own_error(spec, edited):
    folder = edited(lambda content: None)
    (folder / "think_1.onnx").unlink()
    with pytest.raises(BundleError, match=r"think_1.onnx is missing"):
        evaluate(spec, folder)


@pytest.fixture
def observation():
    simulation = Simulation("reach", seed=40)
    yield simulation.observation()
    simulation.close()


def decided(process):
    while (verdict := process.take()) is None:
        time.sleep(0.001)
    return verdict


def test_an_actor_decides_the_same_in_a_process_of_its_own(pristine, observation):
    make = partial(PolicyActor.load, pristine, FixedDepth(2), None, 1)
    here = make().act(observation, math.inf)
    process = ActorProcess(make)
    process.offer(observation, math.inf)
    assert process.busy
    process.reset()  # an unfinished decision is dropped
    assert not process.busy
    assert process.take() is None
    process.offer(observation, math.inf)
    there = decided(process)
    np.testing.assert_array_equal(there.chunk.actions, here.chunk.actions)
    assert there.reason is here.reason


def test_an_observation_that_is_refused_over_there_is_the_same_error_here(pristine, observation):
    process = ActorProcess(partial(PolicyActor.load, pristine, FixedDepth(1), None, 1))
    process.offer(replace(observation, instruction=""), math.inf)
    with pytest.raises(MagmaError, match="instruction is empty"):
        decided(process)


def test_the_end_of_the_policys_process_is_told_in_one_sentence(pristine, observation):
    before = set(multiprocessing.active_children())
    process = ActorProcess(partial(PolicyActor.load, pristine, FixedDepth(1), None, 1))
    (child,) = set(multiprocessing.active_children()) - before
    child.kill()
    child.join()
    with pytest.raises(ActorError, match="exit status -9"):
        process.reset()


def test_an_actor_that_cannot_be_made_is_its_own_error(tmp_path):
    with pytest.raises(BundleError, match="is not a bundle"):
        ActorProcess(partial(PolicyActor.load, tmp_path, FixedDepth(1), None, 1))


@pytest.mark.parametrize(("successes", "trials"), [(0, 50), (45, 50), (50, 50), (1, 3)])
def test_intervals_follow_wilsons_formula(successes, trials):
    z, p = 1.959963984540054, successes / trials
    middle = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    assert wilson_interval(successes, trials) == pytest.approx((middle - half, middle + half))


def test_jerk_is_the_third_derivative_of_the_path():
    t = np.arange(0.0, 1.0, 0.1)
    path = np.stack([t**3, 2.0 * t**3, t**2], axis=1)
    assert rms_jerk(path, 0.1) == pytest.approx(6.0 * math.sqrt(5.0))
    assert rms_jerk(path[:3], 0.1) == 0.0
