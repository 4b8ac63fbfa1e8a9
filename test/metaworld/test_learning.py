# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set trains by naming its folder in a recipe, to a bundle that plays its tasks."""

import json

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from magma_ros.cli import main
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.metaworld.tasks import TASKS
from magma_ros.models.data.augment import augment
from magma_ros.models.data.config import AugmentationConfig, DataConfig
from magma_ros.models.data.demonstrations import DemonstrationConfig
from magma_ros.models.data.resident import Resident
from magma_ros.models.data.sets import make_set, read_set, words_of
from magma_ros.models.data.shards import DataError
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.data.words import encode, make_tokenizer
from magma_ros.models.network.config import NetworkConfig
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.training.checkpoint import load_policy
from magma_ros.models.training.config import TrainingConfig, load_config
from magma_ros.models.training.train import train
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import share_file
from magma_ros.types import MagmaError

STATE = ["ee_x", "ee_y", "ee_z", "gripper_opening"]


def network(**changes):
    view = {"name": "scene", "camera": "corner2", "height": 48, "width": 48, "fine": 1}
    return {
        "cameras": [{"name": "corner2", "height": 48, "width": 48}],
        "views": [view | {"depths": [1, 1, 1], "channels": [8, 8, 16]}],
        "proprioception": STATE,
        "max_tokens": 12,
        "chunk_length": 8,
        "width": 16,
        "heads": 2,
        "hidden": 32,
        "grounding": 3,
        "places": "scene",
        "stages": [{"look": ["scene"]}, {"think": 1}, {"think": 1}],
    } | changes


def recipe(folder, **changes):
    return {
        "name": "tiny",
        "description": "A policy for tests.",
        "seed": 0,
        "network": network(),
        "data": {
            "folder": str(folder),
            "lerobot": True,
            "episodes": {"metaworld-part": {"reach": 1, "coffee-button": 1}},
        },
        "optimiser": {"steps": 3, "batch": 4, "warm_up": 1},
        "checkpoint_every": 3,
    } | changes


def read(folder, **changes):
    data = DataConfig.model_validate(recipe(folder)["data"])
    shape = NetworkConfig.model_validate(network(**changes))
    return read_set(data, shape, make_tokenizer(words_of(folder)))


@pytest.fixture(scope="module")
def learned(made, tmp_path_factory):
    """A run on the data set, and its bundle."""
    folder = tmp_path_factory.mktemp("learned")
    path = folder / "tiny.train.yaml"
    path.write_text(yaml.safe_dump(recipe(made)))
    assert main(["train", "--config", str(path), "--out", str(folder / "run")]) == 0
    words = ["export", "--checkpoint", str(folder / "run"), "--precision", "fp32"]
    assert main([*words, "--out", str(folder / "tiny")]) == 0
    return folder / "run", folder / "tiny"


def test_a_recipe_that_names_the_folder_becomes_a_bundle_that_plays(learned, tmp_path):
    bundle = learned[1]
    manifest = read_manifest(bundle)
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "the first successes from seed 1000000 on" in card
    assert "prisms" not in card
    assert manifest.action.step_period == 0.05
    assert manifest.exits == 2
    out = tmp_path / "told.json"
    words = ["eval", "--suite", "metaworld-part", "--tasks", "reach", "--episodes", "1"]
    words += ["--bundle", str(bundle), "--workers", "1", "--json", str(out)]
    assert main([*words, "--execute", "8"]) == 0
    assert json.loads(out.read_text())["episodes"][0]["chunks"] > 0


def test_a_bundle_learns_on_from_further_sets_with_its_own_words_and_statistics(
    made, learned, tmp_path
):
    run, bundle = learned
    on = recipe(made, start={"bundle": str(bundle)})
    on["data"] |= {"more": [str(made)]}
    on["optimiser"] |= {"learning_rate": 1e-9}
    path = tmp_path / "tiny.train.yaml"
    path.write_text(yaml.safe_dump(on))
    network, recipe_on = load_policy(train(path, out=tmp_path / "on"))
    before, given = load_policy(run)
    assert recipe_on.vocabulary == given.vocabulary
    assert not recipe_on.statistics.difference(given.statistics, 1e-6)
    weights = network.state_dict()
    kept = [name for name in before.state_dict() if ".attention." in name or "self_attn" in name]
    assert kept
    for name in kept:
        torch.testing.assert_close(weights[name], before.state_dict()[name], atol=1e-4, rtol=0.0)


def test_further_sets_are_read_behind_the_first(made):
    data = DataConfig.model_validate(recipe(made)["data"] | {"more": [str(made)]})
    shape = NetworkConfig.model_validate(network())
    tokenizer = make_tokenizer(words_of(made, made))
    both, once = (read_set(each, shape, tokenizer) for each in (data, alone(data)))
    assert len(both) == 2 * len(once)
    np.testing.assert_array_equal(both.actions, np.concatenate([once.actions] * 2))
    rows = np.array([3, len(once) + 3])
    pictures = both.batch(rows, Statistics.of(both.actions, both.proprioception)).inputs.images
    torch.testing.assert_close(pictures["corner2"][0], pictures["corner2"][1])


def alone(data):
    return data.model_copy(update={"more": ()})


def test_what_is_read_is_what_the_set_holds(made):
    data = read(made)
    first = next(iter(open_dataset(made)))
    rows = len(first)
    np.testing.assert_array_equal(data.actions[:rows][:, [0, 1, 2, 6]], first.actions)
    assert not data.actions[:, 3:6].any()  # nothing turns
    np.testing.assert_array_equal(data.proprioception[:rows], first.proprioception)
    assert data.valid[rows - 1] == 1
    assert data.valid[0] == min(rows, 8)
    goal = first.extra["goal_position"] - first.extra["hand_position"]
    np.testing.assert_allclose(data.positions[:rows, 3:], goal, atol=1e-6)
    np.testing.assert_allclose(data.pixels["corner2"][:rows, 2], first.extra["hand_pixel"])
    assert data.images["corner2"][0].shape == (len(data), 48, 48, 3)
    assert len(np.unique(data.tokens, axis=0)) == 2


def test_a_batch_gathered_on_the_device_is_the_one_gathered_in_memory(made):
    data = read(made)
    statistics = Statistics.of(data.actions, data.proprioception)
    rows = np.random.default_rng(0).permutation(len(data))[:16]
    wanted = data.batch(rows, statistics)
    doubled = data.with_images({name: (*blocks, *blocks) for name, blocks in data.images.items()})
    for kept in (data, doubled):
        found = Resident(kept, statistics, torch.device("cpu")).batch(rows)
        torch.testing.assert_close(found, wanted, rtol=0.0, atol=0.0, equal_nan=True)
    assert not Resident.fits(data, torch.device("cpu"))


def test_labels_shift_with_the_picture(made):
    data = read(made)
    statistics = Statistics.of(data.actions, data.proprioception)
    batch = data.batch(np.arange(16), statistics)
    still = AugmentationConfig(brightness=0.0, contrast=0.0, colour=0.0, proprioception=0.0)
    drawn = torch.Generator().manual_seed(0)
    varied = augment(batch, still.model_copy(update={"shift": 2}), torch.ones(4), drawn)
    moved = 48 * (varied.labels.pixels["corner2"] - batch.labels.pixels["corner2"])
    torch.testing.assert_close(moved, moved.round(), atol=1e-3, rtol=0.0)
    assert moved.abs().max() == pytest.approx(2.0, abs=1e-3)
    assert (moved[:, 0] - moved[:, 1]).abs().max() < 1e-4  # all of a picture alike
    for before, after, (right, down) in zip(
        batch.inputs.images["corner2"], varied.inputs.images["corner2"], moved[:, 0], strict=True
    ):
        turned = torch.roll(before.float(), (round(float(down)), round(float(right))), (0, 1))
        torch.testing.assert_close(after[4:-4, 4:-4], turned[4:-4, 4:-4])


def test_shifts_are_refused_where_they_would_leave_a_trace_behind():
    content = recipe("nowhere") | {"augmentation": {"shift": 2}}
    content["network"] = network(trace={"camera": "corner2", "steps": [1]})
    with pytest.raises(ValidationError, match="moves neither traces nor points"):
        TrainingConfig.model_validate(content)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"proprioception": ["ee_x"]}, "network.proprioception must be what"),
        ({"trace": {"camera": "corner2", "steps": [1]}}, "data sets hold no marks"),
    ],
)
def test_a_network_that_asks_for_what_is_not_there_is_refused(made, change, sentence):
    with pytest.raises(DataError, match=sentence):
        read(made, **change)


def test_another_rate_than_the_recipes_is_refused(made):
    data = DataConfig.model_validate(recipe(made)["data"] | {"rate": 10})
    shape = NetworkConfig.model_validate(network())
    with pytest.raises(DataError, match=r"has 20 rows a second; set data\.rate"):
        read_set(data, shape, make_tokenizer(words_of(made)))


def test_a_missing_set_is_made_only_where_the_recipe_says_how(tmp_path):
    uneven = {"metaworld-part": {"reach": 1, "push": 2}}
    data = recipe(tmp_path / "none")["data"] | {"episodes": uneven}
    with pytest.raises(DataError, match="as many episodes of every task"):
        make_set(DataConfig.model_validate(data))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"noise": 0.003}, r"was made with noise 0\.0, not 0\.003"),
        ({"seed": 1_000_500}, "was made with seed 1000000, not 1000500"),
        ({"rate": 10}, "was made with rate 20, not 10"),
        (
            {"episodes": {"metaworld": {"reach": 1, "coffee-button": 1}}},
            "suite metaworld-part, not",
        ),
        ({"episodes": {"metaworld-part": {"reach": 1, "push": 1}}}, "made with other tasks"),
        ({"episodes": {"metaworld-part": {"reach": 1, "push": 2}}}, "as many episodes of every"),
        ({"episodes": {"metaworld-part": {"reach": 2, "coffee-button": 2}}}, "episodes 1, not 2"),
    ],
)
def test_a_set_made_with_other_settings_than_the_recipes_is_refused(made, change, sentence):
    with pytest.raises(DataError, match=sentence):
        make_set(DataConfig.model_validate(recipe(made)["data"] | change))


def test_a_set_of_the_recipes_settings_is_taken_in_whichever_order_its_tasks_stand(made):
    tasks = {"metaworld-part": {"coffee-button": 1, "reach": 1}}
    for change in ({}, {"episodes": tasks}, {"episodes": {}, "noise": 0.003}):
        assert make_set(DataConfig.model_validate(recipe(made)["data"] | change)) == made


def test_the_shipped_recipe_takes_the_set_that_the_command_makes_of_all_tasks(made, monkeypatch):
    settings = DemonstrationConfig("metaworld-part").to_json()
    monkeypatch.setattr("magma_ros.models.data.sets.settings_of", lambda _: settings)
    shipped = load_config(share_file("models", "magma-metaworld.train.yaml")).data
    assert make_set(shipped.model_copy(update={"folder": made})) == made


def test_what_needs_the_simulators_own_demonstrations_is_refused(made, tmp_path):
    path = tmp_path / "tiny.train.yaml"
    path.write_text(yaml.safe_dump(recipe(made, check={"every": 1})))
    with pytest.raises(MagmaError, match="has no aggregation"):
        train(path, out=tmp_path / "run")


def test_the_shipped_recipe_is_of_all_tasks_and_fits_its_budget():
    config = load_config(share_file("models", "magma-metaworld.train.yaml"))
    assert config.data.episodes == {"metaworld-part": dict.fromkeys(sorted(TASKS), 50)}
    told = [task.words for task in TASKS.values()]
    words = sorted({word for text in told for word in text.lower().replace("-", " - ").split()})
    assert encode(make_tokenizer(words), told, config.network.max_tokens).min() == 0
    with torch.device("meta"):
        size = sum(p.numel() for p in MagmaPolicy(config.network, len(words) + 2).parameters())
    assert 6e6 < size < 25e6  # bytes in int8
