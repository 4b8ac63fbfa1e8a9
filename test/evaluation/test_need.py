# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which words ask for depth is learnt from scenes played at fixed exits, or refused with reason."""

import json

import numpy as np
import pytest

from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError
from magma_ros.evaluation.calibrate.need import learn_need, told_by_words
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.gate.confidence import FEATURES
from magma_ros.gate.regret import ExitRegret, RegretModel
from magma_ros.policy.manifest import read_manifest

CHECKSUM = "0" * 64
COSTS = (0.25, 0.5, 1.0)
WORDS = {"reach": "reach for the red cube", "pick": "grasp the {} cube"}
LOST = {"reach": 0.0, "pick": 0.4}
"""Of full depth's successes, lost by always acting at the first exit."""

DECISIONS = 10


def told(scene):
    return WORDS[scene.task].format(("red", "blue")[scene.seed % 2])


@pytest.fixture
def write(tiny_bundle, tmp_path):
    """Write what ``magma eval --depth`` would, of a made-up policy."""
    manifest = read_manifest(tiny_bundle)

    def make(depth, *, lost=LOST, seeds=400, edit=lambda content: None):
        spec = EvaluationSpec(("tabletop",), tuple(WORDS), episodes=seeds, seed=0).at_depth(depth)
        rng = np.random.default_rng(0)
        results = []
        for scene in spec.scenes():
            does, fails = rng.random() < 0.95, rng.random() < lost[scene.task] * (depth == 1)
            results.append(
                EpisodeResult(
                    scene=scene, success=does and not fails, swapped_success=False, failure=None,
                    duration=2.0, closest=0.0, closest_at=1.0, jerk=1.0,
                    reasons={"CONFIDENT": DECISIONS}, chunks=DECISIONS, depth=DECISIONS * depth,
                    flops=0, weight_bytes=0, late=0, stalls=0, lag=0.0, trace_errors=(),
                    instruction=told(scene),
                )
            )  # fmt: skip
        content = Evaluation(spec, manifest, CHECKSUM, tuple(results)).to_json()
        edit(content)
        path = tmp_path / f"{depth}-{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(content))
        return path

    return make


def test_words_of_the_task_that_loses_ask_for_depth(write):
    need = learn_need([write(1), write(3)], CHECKSUM, COSTS)
    model = RegretModel(None, (), need.words)
    # The mean loss is half of what grasping loses.
    assert model.need("grasp the blue cube") == pytest.approx(2.0, abs=0.3)
    assert model.need("Grasp the RED cube!") == pytest.approx(2.0, abs=0.3)
    assert model.need("reach for the red cube") == pytest.approx(0.0, abs=0.3)
    assert model.need("something else entirely") == 1.0
    assert need.episodes == 1600


def test_losses_are_a_decisions_and_follow_the_operations_between_exits_played(write):
    need = learn_need([write(3), write(1)], CHECKSUM, COSTS)
    first, second = need.losses
    assert first == pytest.approx(0.95 * 0.2 / DECISIONS, rel=0.2)
    assert second == pytest.approx(first * 2 / 3)
    measured = learn_need([write(3), write(1), write(2)], CHECKSUM, COSTS).losses
    assert measured == pytest.approx((first, 0.0))


def test_figures_tell_how_a_decision_differs_from_what_fixed_exits_lose(write):
    need = learn_need([write(1), write(3)], CHECKSUM, COSTS)
    by_entropy = tuple(1.0 if name == "entropy" else 0.0 for name in FEATURES)
    drawn = RegretModel(None, tuple(ExitRegret(7.0, by_entropy, 1.0 - c) for c in COSTS[:-1]))
    features = np.zeros((2, 2, len(FEATURES)))
    features[:, :, FEATURES.index("entropy")] = [[0.1, 0.5], [0.3, 0.5]]
    played = EpisodeReadings(features, np.zeros((2, 2)), np.array([1, 3]), success=True)
    model = told_by_words(drawn, need, [played])
    usual, more = (tuple(entropy * weight for weight in by_entropy) for entropy in (0.2, 0.25))
    assert model.exits[0].of(usual) == pytest.approx(need.losses[0])
    assert model.exits[0].of(more, 2.0) == pytest.approx(2.0 * need.losses[0] + 0.05)
    assert model.need("grasp the red cube") > model.need("reach for the red cube")


def test_where_all_tasks_lose_alike_words_tell_nothing(write):
    lost = {"reach": 0.3, "pick": 0.3}
    words = learn_need([write(1, lost=lost), write(3)], CHECKSUM, COSTS).words
    model = RegretModel(None, (), words)
    assert model.need(WORDS["reach"]) == pytest.approx(model.need("grasp the red cube"), abs=0.35)


def test_where_nothing_is_lost_no_word_has_weight(write):
    need = learn_need([write(2), write(3)], CHECKSUM, COSTS)
    assert need.words == {}
    assert need.losses == (0.0, 0.0)


def test_what_cannot_be_compared_is_refused(write, tmp_path):
    one, full = write(1), write(3)

    def refused(files, match, checksum=CHECKSUM):
        with pytest.raises(CalibrationError, match=match):
            learn_need(files, checksum, COSTS)

    refused([one], "exit 3 and shallower ones")
    refused([full], "exit 3 and shallower ones")
    refused([one, full, write(1)], "exit 1 as well")
    refused([one, full], "another bundle", checksum="1" * 64)
    refused([write(1, seeds=9), full], "18 scenes in common")

    def elsewhere(content):
        content["spec"]["split"] = "shift"

    refused([full, write(1, edit=elsewhere)], "on another split")

    def by_gate(content):
        content["spec"] |= {"gate": "adaptive", "gate_options": {}}

    refused([write(1, edit=by_gate), full], "not played at one exit")

    def untold(content):
        for episode in content["episodes"]:
            del episode["instruction"]

    refused([write(1, edit=untold), full], "does not say what the policy was told")
