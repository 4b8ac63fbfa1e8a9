# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What acting early costs is learnt from random exits, in episodes that end as they will."""

import shutil

import numpy as np
import pytest

from magma_ros.cli import main
from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError
from magma_ros.evaluation.calibrate.regret import RandomisedDepth, fit_regret, price_for
from magma_ros.evaluation.calibrate.report import CARD
from magma_ros.evaluation.world import Scene
from magma_ros.gate.confidence import FEATURES, Yardstick
from magma_ros.gate.gate_file import find_gate_file
from magma_ros.gate.gates import RegretGate, make_gate
from magma_ros.share import find_bundle
from magma_ros.types import Budget

YARDSTICK = Yardstick((1.0,) * 7, steps=2)
COSTS = (0.5, 1.0)
LOSS = 0.08
"""Of success by each decision on the first exit where the entropy is 1; none where it is 0."""


def played(scene, rng, loss=LOSS):
    """An episode of a made-up policy of two exits, of which the failed ones last longer."""
    gate = RandomisedDepth(2, scene.seed)
    features = np.zeros((24, 1, len(FEATURES)))
    features[:, 0, FEATURES.index("entropy")] = np.repeat(rng.integers(0, 2, 3), 8)
    depths = []
    lost = 0.0
    for decision in range(24):
        if decision % gate.window == 0:
            depth = 1 + int(rng.choice(2, p=gate.shares))
        depths.append(depth)
        if decision < 8 and depth == 1:
            lost += loss * features[decision, 0, FEATURES.index("entropy")]
    success = bool(rng.random() < 0.95 - lost)
    count = 8 if success else 24
    deviations = np.full((count, 1), 0.3)
    return EpisodeReadings(features[:count], deviations, np.array(depths[:count]), success)


@pytest.fixture(scope="module")
def recorded():
    rng = np.random.default_rng(1)
    scenes = [Scene("tabletop", "reach", "seen", seed) for seed in range(6000)]
    return scenes, [played(scene, rng) for scene in scenes]


def test_the_loss_is_found_where_it_is_and_not_where_episodes_are_long(recorded):
    (model,) = fit_regret(*recorded, YARDSTICK, COSTS).exits
    calm, torn = (
        model.of(tuple(value if name == "entropy" else 0.0 for name in FEATURES))
        for value in (0.0, 1.0)
    )
    assert calm == pytest.approx(0.0, abs=0.015)
    assert 0.03 < torn < 0.1  # decisions after the outcome is sealed cost nothing
    assert model.saving == 0.5


def test_figures_that_tell_no_more_than_chance_are_left_out():
    rng = np.random.default_rng(2)
    scenes = [Scene("tabletop", "reach", "seen", seed) for seed in range(1000)]
    episodes = [played(scene, rng, loss=0.0) for scene in scenes]
    (model,) = fit_regret(scenes, episodes, YARDSTICK, COSTS).exits
    assert model.weights == (0.0,) * len(FEATURES)


def test_the_price_spends_the_budget(recorded):
    scenes, episodes = recorded
    model = fit_regret(scenes, episodes, YARDSTICK, COSTS)
    price = price_for(model, episodes, COSTS, 0.75)
    (exit_model,) = model.exits
    features = np.concatenate([episode.features[:, 0] for episode in episodes])
    leaves = np.array([exit_model.of(tuple(row)) <= price * 0.5 for row in features])
    assert leaves.tolist() == (features[:, FEATURES.index("entropy")] == 0.0).tolist()
    with pytest.raises(CalibrationError, match="first exit alone costs"):
        price_for(model, episodes, COSTS, 0.4)


@pytest.mark.parametrize("kept", [3, 6000])
def test_episodes_that_all_end_alike_tell_nothing(recorded, kept):
    scenes, episodes = recorded
    chosen = [
        (scene, episode) for scene, episode in zip(scenes, episodes, strict=True) if episode.success
    ][:kept]
    with pytest.raises(CalibrationError, match="do not tell what depth is worth"):
        fit_regret(*map(list, zip(*chosen, strict=True)), YARDSTICK, COSTS)


def test_draws_repeat_by_seed_and_keep_to_their_window():
    def drawn(gate):
        depths = []
        for _ in range(40):
            depth = next(d for d in (1, 2, 3) if gate.confident(reading(d), Budget(0.0)))
            depths.append(depth)
        return depths

    def reading(depth):
        return type("Reading", (), {"depth": depth})()

    for seed in range(20):
        gate = RandomisedDepth(3, seed)
        depths = drawn(gate)
        assert depths == drawn(RandomisedDepth(3, seed))
        windows = [depths[i : i + gate.window] for i in range(0, 40, gate.window)]
        assert all(len(set(window)) == 1 for window in windows)


def test_a_bundle_gets_a_rule_that_its_gate_follows(tmp_path, needs, capsys):
    needs("sim")
    bundle = tmp_path / "small"
    shutil.copytree(find_bundle("magma-small"), bundle)
    before = find_gate_file(bundle)
    words = ["--bundle", str(bundle), "--budget", "0.7", "--workers", "1"]
    assert main(["calibrate", *words, "--fit-episodes", "16", "--episodes", "2"]) == 0
    file = find_gate_file(bundle)
    assert file.model_copy(update={"regret": None}) == before.model_copy(update={"regret": None})
    rule = file.regret
    assert (rule.budget, rule.episodes, rule.fit_episodes) == (0.7, 2, 16)
    assert rule.seeds == (500_000, 500_017)
    assert make_gate("regret", bundle=bundle) == RegretGate(file.regret_model(), rule.price)
    assert "--gate regret" in (bundle / CARD).read_text()
    assert "Gate by regret, for 70% of full depth" in capsys.readouterr().out


def test_words_are_learnt_from_evaluations_at_fixed_exits(tmp_path, needs, capsys):
    needs("sim")
    bundle = tmp_path / "small"
    shutil.copytree(find_bundle("magma-small"), bundle)
    files = [tmp_path / f"{depth}.json" for depth in (1, 4)]
    for depth, path in zip((1, 4), files, strict=True):
        words = ["--bundle", str(bundle), "--depth", str(depth), "--suite", "tabletop"]
        asked = ["--tasks", "reach", "--seed", "520000", "--episodes", "20"]
        assert main(["eval", *words, *asked, "--json", str(path)]) == 0
    words = ["--bundle", str(bundle), "--budget", "0.7", "--workers", "1", "--episodes", "2"]
    by_exit = ["--by-exit", ",".join(map(str, files))]
    assert main(["calibrate", *words, "--fit-episodes", "16", *by_exit]) == 0
    rule = find_gate_file(bundle).regret
    assert rule.paired_episodes == 40
    assert rule.exits[0].loss > rule.exits[-1].loss >= 0.0
    assert "and 40 at fixed ones" in capsys.readouterr().out


def test_what_cannot_be_asked_for_together_is_refused(capsys):
    assert main(["calibrate", "--budget", "0.7", "--check"]) == 2
    assert "goes with neither" in capsys.readouterr().err
    assert main(["calibrate", "--by-exit", "a.json"]) == 2
    assert "give its --budget as well" in capsys.readouterr().err
    assert main(["calibrate", "--budget", "1.7", "--bundle", "magma-small"]) == 2
    assert "must lie between 0 and 1" in capsys.readouterr().err
