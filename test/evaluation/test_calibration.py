# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A gate is calibrated on the episodes it drives itself, and checked on fresh ones."""

import shutil
from functools import partial

import numpy as np
import pytest

from magma_ros.evaluation.calibrate import readings
from magma_ros.evaluation.calibrate.certify import CalibrationSpec, calibrate, check
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError
from magma_ros.evaluation.calibrate.readings import (
    TaskSet,
    collect,
    explorer,
    yardstick_for,
)
from magma_ros.evaluation.calibrate.report import CARD, check_table, write_card_section
from magma_ros.evaluation.figures.exit_costs import exit_costs, exit_prices
from magma_ros.gate.baselines import FixedDepth, OracleGate
from magma_ros.gate.confidence import FEATURES, AgreementModel
from magma_ros.gate.gate_file import GATE_FILE, find_gate_file, write_gate_file
from magma_ros.gate.gates import make_gate
from magma_ros.policy.manifest import read_manifest

TASK_SET = TaskSet(("tabletop",), ("reach",))


def spec(**changes):
    """A promise that two episodes may justify, and that random weights keep: they differ by 0.9."""
    levels = {"epsilon": 0.95, "delta": 0.6, "alpha": 0.5}
    counts = {"episodes": 2, "fit_episodes": 2, "seed": 300_000, "workers": 1}
    return CalibrationSpec(TASK_SET, **(levels | counts | changes))


@pytest.fixture(scope="module", autouse=True)
def _in_this_process():
    """Spare single workers the start of a process."""
    start = readings.spread

    def spread(function, items, *, workers, console, description):
        if workers > 1:
            return start(function, items, workers=workers, console=console, description=description)
        return tuple(map(function, items))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings, "spread", spread)
        yield


@pytest.fixture(scope="module")
def calibrated(tiny_bundle, tmp_path_factory):
    """A copy of the bundle with its ``gate.yaml``, and what that says."""
    bundle = tmp_path_factory.mktemp("calibrated") / "tiny"
    shutil.copytree(tiny_bundle, bundle)
    file = calibrate(spec(), bundle)
    write_gate_file(bundle, file)
    return bundle, file


def play(bundle, make, scenes=1, **options):
    yardstick = yardstick_for(read_manifest(bundle).action, TASK_SET.suites)
    options = {"workers": 1, "console": None, "description": ""} | options
    return collect(bundle, TASK_SET.scenes(scenes, 300_100), make, yardstick, **options)


def fixed(depth, scene):
    return FixedDepth(depth)


def oracle(bundle, epsilon, scene):
    yardstick = yardstick_for(read_manifest(bundle).action, TASK_SET.suites)
    return OracleGate(epsilon, AgreementModel(yardstick, ()))


def test_every_exit_is_read_whatever_is_acted_on(tiny_bundle):
    (episode,) = play(tiny_bundle, partial(fixed, 2))
    decisions = len(episode.depths)
    assert decisions > 5
    assert set(episode.depths) == {2}
    assert episode.features.shape == (decisions, 2, len(FEATURES))
    assert episode.deviations.shape == (decisions, 2)
    assert (episode.deviations > 0.0).all()
    assert episode.feature("overlap")[:, 0].tolist() == [0.0] + [1.0] * (decisions - 1)


def test_the_oracle_deviates_by_no_more_than_epsilon(tiny_bundle):
    (full,) = play(tiny_bundle, partial(fixed, 3))
    epsilon = float(np.median(full.deviations))
    (episode,) = play(tiny_bundle, partial(oracle, tiny_bundle, epsilon))
    assert episode.violations(epsilon) == 0.0
    assert episode.depths.mean() < 3.0


def test_recordings_depend_on_scenes_alone(tiny_bundle):
    alone = play(tiny_bundle, partial(explorer, 3), scenes=2)
    together = play(tiny_bundle, partial(explorer, 3), scenes=2, workers=2)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.depths, other.depths)
        np.testing.assert_array_equal(one.features, other.features)
    assert set(alone[0].depths) == {3}
    assert set(alone[1].depths) == {1, 2, 3}


def test_episodes_of_a_task_are_played_together_and_come_back_in_the_order_of_the_scenes(
    tiny_bundle, monkeypatch
):
    played = []

    def spread(_, scenes, **__):
        played.extend(scenes)
        return tuple(scenes)

    monkeypatch.setattr(readings, "spread", spread)
    scenes = TaskSet(("tabletop",), ("reach", "push")).scenes(6, 7)
    options = {"workers": 1, "console": None, "description": ""}
    assert collect(tiny_bundle, scenes, fixed, None, **options) == scenes
    assert [scene.task for scene in played] == ["push"] * 3 + ["reach"] * 3


def test_tasks_take_turns_and_no_seed_comes_twice():
    scenes = TaskSet(("tabletop",), ("reach", "push")).scenes(4, 7)
    assert [(scene.task, scene.seed) for scene in scenes] == [
        ("reach", 7),
        ("push", 8),
        ("reach", 9),
        ("push", 10),
    ]


def test_costs_are_shares_of_full_depth(tiny_bundle):
    costs = exit_costs(read_manifest(tiny_bundle))
    assert len(costs) == 3
    assert 0.0 < costs[0] < costs[1] < costs[2] == 1.0


def test_prices_are_shares_of_operations_and_of_weights_over_their_mean(tiny_bundle):
    manifest = read_manifest(tiny_bundle)
    prices = exit_prices(manifest)
    assert np.mean(prices) == pytest.approx(1.0)
    further = {2: [0.0, 0.0], 3: [0.0, 0.0]}
    depth = 1
    for stage in manifest.stages[::-1]:
        depth = stage.depth or depth
        if depth > 1:
            further[depth][0] += stage.flops / sum(each.flops for each in manifest.stages)
            further[depth][1] += stage.weight_bytes / sum(e.weight_bytes for e in manifest.stages)
    assert prices[0] / prices[1] == pytest.approx(sum(further[2]) / sum(further[3]))


def test_calibration_writes_what_the_adaptive_gate_reads(calibrated):
    bundle, file = calibrated
    assert find_gate_file(bundle) == file
    gate = make_gate("adaptive", bundle=bundle)
    assert gate.threshold == file.threshold
    assert len(gate.model.exits) == len(file.exits) == 2
    prices = exit_prices(read_manifest(bundle))
    assert tuple(exit_model.price for exit_model in gate.model.exits) == prices
    certified = [trial for trial in file.trials if trial.p_value <= 0.5]
    assert file.threshold == certified[-1].threshold
    assert file.trials[-1].depth < 3.0
    assert file.guarantee.tasks == ("reach",)
    budgets = [solution.flops for solution in file.baselines]
    assert budgets == sorted(budgets)


def test_a_check_tells_the_rate_its_interval_and_whether_the_promise_applies(calibrated):
    bundle, _ = calibrated
    found = check(bundle, split="shift", episodes=2, seed=400_000, workers=1)
    low, high = found.interval
    assert 0.0 <= low <= found.violations <= high <= 1.0
    assert 1.0 <= found.depth <= 3.0
    assert not found.exchangeable
    assert "nothing was promised" in check_table(found).caption
    assert found.to_json()["guarantee"]["delta"] == 0.6


def test_episodes_that_were_calibrated_on_prove_nothing(calibrated):
    bundle, file = calibrated
    last = file.guarantee.seeds[1]
    with pytest.raises(CalibrationError, match="were calibrated on"):
        check(bundle, split=None, episodes=1, seed=last, workers=1)


def test_a_bundle_without_a_gate_file_has_nothing_to_check(tiny_bundle):
    with pytest.raises(CalibrationError, match="run magma calibrate first"):
        check(tiny_bundle, split=None, episodes=1, seed=0, workers=1)


def test_a_promise_that_nothing_keeps_is_not_made(tiny_bundle):
    """Random weights never agree so closely."""
    with pytest.raises(CalibrationError, match="too few"):
        spec(delta=0.01, alpha=0.01, episodes=100)
    file = calibrate(spec(epsilon=1e-6, delta=0.5), tiny_bundle)
    assert file.trials[-1].depth == 3.0  # the only way to keep it is full depth


def test_the_card_has_one_section_about_the_gate(calibrated):
    bundle, file = calibrated
    (bundle / CARD).write_text("# tiny\n\nSmall.\n\n## Limits\n\nMany.\n")
    write_card_section(bundle, file)
    write_card_section(bundle, file)
    card = (bundle / CARD).read_text()
    assert card.count("## Gate") == 1
    assert card.startswith("# tiny\n\nSmall.\n\n## Limits\n\nMany.\n\n## Gate\n\n")
    assert "ECE" in card
    assert not (bundle / f".part-{CARD}").exists()


def test_the_gate_file_is_no_part_of_the_manifest(calibrated):
    bundle, _ = calibrated
    assert read_manifest(bundle).exits == 3
    assert (bundle / GATE_FILE).is_file()
