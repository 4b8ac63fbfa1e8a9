# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluations reproduce to the last byte, add up correctly, and refuse what makes no sense."""

import io
import json
import math
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import yaml
from rich.console import Console

from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import PairedCounts, rms_jerk, wilson_interval
from magma_ros.evaluation.figures.summary import TraceError, judge_honesty
from magma_ros.evaluation.play.actors import ActorError, ActorProcess, PolicyActor
from magma_ros.evaluation.play.evaluate import Evaluation, evaluate, pace_of
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.tables import evaluation_tables
from magma_ros.evaluation.world import Control, Scene
from magma_ros.gate.gates import FixedDepth
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import MANIFEST, read_manifest
from magma_ros.share import find_bundle
from magma_ros.sim.failures import Failure
from magma_ros.sim.simulation import Simulation
from magma_ros.types import MagmaError, Reason


@pytest.fixture
def pristine(tiny_bundle):
    return tiny_bundle


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
    return EvaluationSpec(("tabletop",), ("reach",), episodes=2, seed=40, controls=True)


@pytest.fixture(scope="module")
def evaluation(spec, tiny_bundle):
    return evaluate(spec, tiny_bundle)


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
    spec = EvaluationSpec(("tabletop",), ("reach",), episodes=1).at_depth(1)
    row = evaluate(spec, pristine).summary()
    assert row.mean_depth == 1.0
    assert row.reasons == {"CONFIDENT": row.decisions}
    stages = read_manifest(pristine).stages
    first_exit = sum(stage.flops for stage in stages[:2]) / sum(stage.flops for stage in stages)
    assert row.flops_fraction == pytest.approx(first_exit)


def test_the_world_goes_on_while_a_real_policy_thinks_in_its_own_process(pristine):
    spec = EvaluationSpec(("tabletop",), ("reach",), episodes=1, clock="wall", deadline=1e3)
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
        success=True, swapped_success=False, failure=None, duration=2.0, closest=0.0,
        closest_at=1.0, jerk=1.0, trace_errors=(), reasons={"CONFIDENT": 3, "NO_TIME": 1},
        chunks=3, depth=6, flops=0, weight_bytes=0, late=1, stalls=2, lag=0.1,
    )  # fmt: skip
    return replace(base, **changes)


@pytest.fixture
def handmade(pristine):
    def make(*results):
        spec = EvaluationSpec(("tabletop",), ("reach", "push"), controls=True)
        return Evaluation(spec, read_manifest(pristine), "0" * 64, results)

    return make


def test_summaries_add_up_their_own_episodes_only(handmade):
    evaluation = handmade(
        result(),
        result(duration=4.0, jerk=3.0, lag=0.3, reasons={"CONFIDENT": 2}, chunks=2, depth=4),
        result(success=False, failure=Failure.TIMED_OUT, duration=5.0, chunks=0, depth=0),
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
    assert row.failures == {"TIMED_OUT": 1}
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
    for part in (
        "reach",
        "95 % interval",
        "time [s]",
        "FLOPs",
        "cameras black",
        "named",
        "Honesty",
    ):
        assert part in text
    assert "stalls" not in text  # nothing can stall a world that waits


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"suites": ("kitchen",)}, "tabletop"),
        ({"suites": ()}, "name a suite"),
        ({"suites": ("tabletop", "tabletop")}, "task reach comes twice"),
        ({"tasks": ("juggle",)}, "reach, push, pick, place"),
        ({"tasks": ("track",)}, "no task 'track'"),
        ({"tasks": ("reach", "reach")}, "task reach comes twice"),
        ({"split": "train"}, "seen, varied, shift"),
        ({"gate": "nope"}, "there is no gate .nope."),
        ({"gate_options": (("depth", 2),)}, "was given depth"),
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
        EvaluationSpec(**{"suites": ("tabletop",), "tasks": ("reach",), "episodes": 2} | change)
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


@pytest.mark.parametrize("period", [0.15, 0.04])
def test_a_bundle_whose_step_is_no_multiple_of_the_suites_is_refused(spec, edited, period):
    folder = edited(lambda content: content["action"].update(step_period=period))
    with pytest.raises(BundleError, match=f"steps of {period} s"):
        evaluate(spec, folder)


def test_a_policy_of_joints_is_not_played_by_an_arm_led_by_displacements(spec, edited):
    dims = [*({"name": f"joint_{n}", "unit": "rad"} for n in range(6)), "gripper"]
    folder = edited(lambda content: content["action"].update(kind="joint_position", dims=dims))
    with pytest.raises(MagmaError, match="plans joint_position, but the arms of tabletop"):
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


def stop_in_thought(process, pid, observation):
    """Stop the process between its first exit and its last word; gives the deadline."""
    for _ in range(100):
        deadline = time.monotonic() + 5.0
        process.offer(observation, deadline)
        process.wait(10.0)
        os.kill(pid, signal.SIGSTOP)
        if process.take() is None:
            return deadline
        os.kill(pid, signal.SIGCONT)  # its last word was there already: try again
        process.reset()
    raise AssertionError("the policy was never caught in thought")


def test_when_the_policy_hangs_its_answer_in_hand_is_there_by_the_deadline(observation):
    bundle = find_bundle("magma-nano")
    exits = read_manifest(bundle).exits
    before = set(multiprocessing.active_children())
    make = partial(PolicyActor.load, bundle, FixedDepth(exits), None, 1)
    process = ActorProcess(make, lead=4.0)
    (child,) = set(multiprocessing.active_children()) - before
    deadline = stop_in_thought(process, child.pid, observation)
    try:
        verdict = decided(process)
        assert verdict.reason is Reason.OVERRUN
        assert 1 <= verdict.depth < exits
        assert verdict.chunk.depth == verdict.depth
        assert 0.0 < verdict.slack <= 4.0
        assert time.monotonic() < deadline
        assert process.busy
    finally:
        os.kill(child.pid, signal.SIGCONT)
    while process.busy:
        assert process.take() is None


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


def test_all_tasks_of_all_suites_are_played_unless_some_are_named():
    everything = EvaluationSpec(("tabletop", "moving"))
    assert ("tabletop", "stack") in everything.chosen
    assert ("moving", "track") in everything.chosen
    some = EvaluationSpec(("tabletop", "moving"), ("track", "reach"), episodes=1)
    assert some.chosen == (("tabletop", "reach"), ("moving", "track"))
    assert [scene.suite for scene in some.scenes()] == ["tabletop", "moving"]


def test_where_the_world_moves_the_policy_looks_more_often():
    spec = EvaluationSpec(("tabletop", "moving"))
    assert pace_of(spec, "moving").execute < pace_of(spec, "tabletop").execute
    assert pace_of(replace(spec, execute=3), "moving").execute == 3


def test_longer_steps_are_fewer_to_the_next_observation():
    spec = EvaluationSpec(("tabletop",))
    assert pace_of(spec, "tabletop", 0.2).execute == pace_of(spec, "tabletop").execute / 2
    assert pace_of(spec, "tabletop", 1.0).execute == 1


def test_several_suites_are_added_up_one_by_one(handmade):
    evaluation = handmade(result(), result(success=False))
    spec = EvaluationSpec(("tabletop", "moving"), ("reach", "track"))
    tracked = replace(result("track"), scene=Scene("moving", "track", "seen", 0))
    both = replace(evaluation, spec=spec, results=(*evaluation.results, tracked))
    assert both.summary(suite="tabletop").success == 0.5
    assert both.summary(suite="moving").success == 1.0
    assert "all of moving" in shown(both)
    assert set(both.to_json()["results"]["none"]["suites"]) == {"tabletop", "moving"}


def test_trace_errors_are_summed_up_by_mark(handmade):
    rows = tuple((float(n), 2.0 * n) for n in range(1, 12))
    made = handmade(result(trace_errors=rows[:5]), result(trace_errors=rows[5:]))
    evaluation = replace(made, spec=EvaluationSpec(("tabletop",), ("reach",)))
    errors = evaluation.summary().trace_errors
    assert errors["gripper"] == TraceError(points=11, median=6.0, p90=10.0)
    assert errors["target"] == TraceError(points=11, median=12.0, p90=20.0)
    assert "Traces" in shown(evaluation)
    assert evaluation.to_json()["episodes"][0]["trace_errors"] == {"gripper": 3.0, "target": 6.0}


def test_a_policy_that_draws_is_judged_by_every_point_whose_time_came(evaluation):
    drawn = [result for result in evaluation.results if result.scene.control is Control.NONE]
    assert all(result.trace_errors for result in drawn)
    # Three points a decision, one every 0.2 s: of the last decisions' points not all are counted.
    for episode in drawn:
        assert episode.chunks < len(episode.trace_errors) < 3 * episode.chunks


@pytest.mark.parametrize(
    ("blind", "kept", "named", "passed"),
    [(0, 0, 10, True), (1, 0, 10, False), (0, 1, 10, False), (0, 0, 8, False), (0, 0, 9, True)],
)
def test_honesty_needs_all_three_limits(handmade, blind, kept, named, passed):
    def episodes(control, successes, swapped=0):
        return handmade(
            *(
                result(control=control, success=n < successes, swapped_success=n < swapped)
                for n in range(10)
            )
        ).summary(control)

    honesty = judge_honesty(
        episodes(Control.NONE, 10),
        episodes(Control.BLACKOUT, blind),
        episodes(Control.SWAPPED, kept, named),
    )
    assert honesty.passed is passed


def test_a_policy_that_never_succeeds_is_not_judged_honest(handmade):
    failed = handmade(result(success=False)).summary()
    assert judge_honesty(failed, failed, failed) is None


def test_paired_intervals_follow_newcombe():
    # Airway hyper-responsiveness before and after a transplantation (Bentur et al. 2009), whose
    # interval Fagerland, Lydersen and Laake give: Statistics in Medicine 33, 2850-2875, 2014.
    counts = PairedCounts(both=1, only_first=1, only_second=7, neither=12)
    assert counts.difference == pytest.approx(0.286, abs=5e-4)
    assert counts.difference_interval() == pytest.approx((0.026, 0.507), abs=5e-4)
    assert counts.p_value() == pytest.approx(2 * (1 + 8) / 2**8)  # of 8 pairs at most 1 that way


def test_policies_that_never_differ_are_not_told_apart():
    counts = PairedCounts(both=50, only_first=0, only_second=0, neither=0)
    assert counts.p_value() == 1.0
    low, high = counts.difference_interval()
    assert low < 0.0 < high


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
