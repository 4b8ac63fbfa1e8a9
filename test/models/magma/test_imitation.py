# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small checkpoint of Magma's layout: what it learns, and that it is what was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from magma_ros.models.magma.examples import read_demonstrations
from magma_ros.models.magma.imitation import Sample, decoded
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.recipe import RestConfig, read_recipe
from magma_ros.models.magma.training import (
    STATE,
    CheckpointTrainer,
    fresh_words,
    moving_rows,
    train,
)
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.models.magma.words import read_words
from magma_ros.models.training.config import ConfigError
from magma_ros.policy.action_statistics import ALL_BUT_GRIPPER, find_statistics
from magma_ros.types import MagmaError

WORDS = fresh_words()
CODEC = WORDS.codec


@pytest.fixture(scope="module")
def recipe_file(config, demonstrations, tmp_path_factory):
    content = {
        "layout": "magma-8b",
        "name": "tiny",
        "description": "A checkpoint for tests.",
        "seed": 1,
        "camera": {"name": "front", "height": 96, "width": 96},
        "vision": {"depths": [1, 1, 1, 1], "widths": [8, 8, 12, 16], "image_size": 64},
        "text": {
            "width": 16,
            "layers": 2,
            "heads": 2,
            "kv_heads": 1,
            "head_width": 8,
            "hidden": 24,
        },
        "data": config.data.model_dump(mode="json"),
        "optimiser": {"steps": 4, "batch": 6, "learning_rate": 1e-2, "warm_up": 1},
        "checkpoint_every": 2,
    }
    path = tmp_path_factory.mktemp("recipe") / "tiny.train.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture
def trainer(recipe_file, tmp_path):
    return make_trainer(read_recipe(recipe_file), tmp_path)


def make_trainer(recipe, run):
    data, prompts = read_demonstrations(recipe.data, recipe.camera, fresh_words())
    return CheckpointTrainer(recipe, run, data, prompts)


def test_a_batch_is_answered_as_each_sample_alone_and_padding_changes_nothing(trainer):
    sample = trainer.next_sample()
    assert len(set(sample.lengths.tolist())) > 1, "instructions of several lengths"
    network, vocabulary = trainer.imitation.network, trainer.vocabulary
    with torch.inference_mode():
        states = trainer.imitation.answer(sample).states
        for index, length in enumerate(sample.lengths):
            tokens = vocabulary.shortened(CODEC.encode(sample.actions[index].numpy()))
            suffix = torch.cat([sample.suffixes[index, :length], tokens])[None]
            prompt = network.prompt(sample.tiles[index : index + 1], sample.prefix[None], suffix)
            hidden, _ = network.think(prompt, network.layers)
            torch.testing.assert_close(states[index], hidden[0, -8:], atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_cross_entropy_over_the_whole_vocabulary(trainer, tmp_path):
    sample = trainer.next_sample()
    weights = trainer.recipe.loss
    with torch.inference_mode():
        losses = trainer.imitation.losses(sample, weights.sigma, weights.heat, weights.positions)
        states = trainer.imitation.answer(sample).states
        head = trainer.vocabulary.whole(
            trainer.imitation.network.language_model.lm_head.weight, head=True
        )
        normed = trainer.imitation.network.language_model.model.norm(states)
        surprise = -torch.log_softmax(normed @ head.T, dim=-1)
    end = surprise[:, 7, WORDS.end_of_turn].mean()
    gripper = torch.from_numpy(CODEC.encode(sample.actions[:, 6].numpy()))
    last = surprise[torch.arange(len(gripper)), 6, gripper].mean()
    assert head.shape == (128_320, 16)
    # The arm's labels are soft, so that only a narrow one is nearly the surprise of its token.
    arm = torch.from_numpy(CODEC.encode(sample.actions[:, :6].numpy()))
    hard = surprise[:, :6].gather(-1, arm[..., None]).mean()
    assert float(losses.terms["tokens"]) == pytest.approx(
        float((6 * hard + last + end) / 8), abs=0.05
    )


def test_training_goes_on_where_it_stopped_and_writes_what_it_trained(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file)
    whole = make_trainer(recipe, tmp_path / "whole")
    whole.train()
    broken = make_trainer(recipe, tmp_path / "broken")
    broken.learn()
    broken.learn()
    broken.save()
    folder = train(recipe_file, out=tmp_path / "broken", resume=True)
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.shape == recipe.shape
    network = empty_network(checkpoint.shape)
    fill(network, checkpoint)
    sample = whole.next_sample()
    vocabulary = whole.vocabulary
    ids = torch.from_numpy(vocabulary.ids)
    with torch.inference_mode():
        text = sample.suffixes[:1, : sample.lengths[0]]
        trained = whole.average.network.prompt(sample.tiles[:1], sample.prefix[None], text)
        read = network.prompt(sample.tiles[:1], ids[sample.prefix][None], ids[text])
        torch.testing.assert_close(read, trained, atol=2e-3, rtol=2e-3)  # stored in fp16
        hidden, _ = network.think(read, network.layers)
        short, _ = whole.average.network.think(trained, network.layers)
        rows = torch.tensor(WORDS.answers)
        wanted = whole.average.network.logits(short, vocabulary.rows)
        torch.testing.assert_close(network.logits(hidden, rows), wanted, atol=1e-2, rtol=1e-2)
    statistics = find_statistics("tiny", folder)
    assert statistics.q99 == whole.statistics.q99
    assert statistics.mask == ALL_BUT_GRIPPER
    assert read_words(folder, checkpoint.shape).prompt == WORDS.prompt
    with pytest.raises(MagmaError, match="another recipe"):
        make_trainer(recipe.model_copy(update={"seed": 2}), tmp_path / "broken")
    with pytest.raises(MagmaError, match="already holds a run"):
        train(recipe_file, out=tmp_path / "broken")


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_a_damaged_state_is_named(recipe_file, tmp_path, content):
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(MagmaError, match=r"state\.pt is damaged .*; delete it to begin anew"):
        train(recipe_file, out=tmp_path, resume=True)


def test_a_run_may_be_made_longer_until_its_learning_rate_falls(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file)
    longer = recipe.optimiser.model_copy(update={"steps": 8})
    first = make_trainer(recipe, tmp_path)
    for _ in range(3):
        first.learn()
    first.save()
    second = make_trainer(recipe.model_copy(update={"optimiser": longer}), tmp_path)
    assert second.step == 3
    second.learn()
    first.learn()
    first.save()
    with pytest.raises(MagmaError, match="another recipe"):
        make_trainer(recipe.model_copy(update={"optimiser": longer}), tmp_path)


def test_labels_are_as_wide_as_the_recipe_says_of_its_end(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file)
    wide = recipe.loss.model_copy(update={"last_sigma": 14.0})
    trainer = make_trainer(recipe.model_copy(update={"loss": wide}), tmp_path)
    widths = []
    for trainer.step in range(recipe.optimiser.steps):
        widths.append(trainer.sigma)
    level = int(0.75 * recipe.optimiser.steps)
    assert widths == [recipe.loss.sigma] * level + [14.0] * (len(widths) - level)


def test_a_loss_is_computed_where_the_network_and_its_batch_are(trainer):
    sample = trainer.next_sample()._asdict()
    there = Sample(**{name: value.to("meta") for name, value in sample.items()})
    weights = trainer.recipe.loss
    losses = trainer.imitation.to("meta").losses(there, 4.0, weights.heat, weights.positions)
    assert all(term.is_meta for term in losses.terms.values())
    losses.total.backward()


def test_attention_without_its_maps_is_the_same(trainer):
    sample = trainer.next_sample()
    with torch.inference_mode():
        wanted = trainer.imitation.answer(sample).states
        trainer.imitation.network.language_model.set_attn_implementation("sdpa")
        found = trainer.imitation.answer(sample).states
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert not torch.equal(found, wanted), "nothing was changed"


def test_it_learns(trainer):
    sample = trainer.next_sample()
    first = float(trainer.learn().total)
    for _ in range(40):
        trainer.next_sample = lambda: sample
        last = float(trainer.learn().total)
        trainer.step = 1
    assert last < 0.7 * first


def test_rows_of_actions_decode_to_the_middle_of_their_bins():
    rows = torch.tensor([0, 1, 128, 255])
    assert decoded(rows).tolist() == pytest.approx([254 / 255, 254 / 255, 0.0, -254 / 255])
    values = np.linspace(-1.0, 1.0, 997)
    found = decoded(torch.from_numpy(CODEC.encode(values)) - CODEC.ids.start).numpy()
    assert np.abs(found - values).max() <= 1 / 255 + 1e-6


def test_a_recipe_with_an_unknown_field_is_refused_by_name(recipe_file, tmp_path):
    content = yaml.safe_load(recipe_file.read_text())
    content["vision"]["heads"] = 3
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigError, match=r"unknown field vision\.heads"):
        read_recipe(path)


def test_frames_in_which_the_expert_stays_are_left_out_from_a_step_on(trainer):
    rest = RestConfig(after=2, share=0.0)
    trainer.recipe = trainer.recipe.model_copy(update={"rest": rest})
    actions = trainer.data.actions
    assert len(trainer._learned()) == len(actions)
    trainer.step = 2
    left = trainer._learned()
    out = np.setdiff1d(np.arange(len(actions)), left)
    assert len(out), "a reaching expert stays above its goal"
    assert np.abs(actions[out, :3]).max() <= rest.distance
    assert (actions[out, 6] > 0.5).all()
    assert len(moving_rows(actions, RestConfig(share=1.0), seed=0)) == len(actions)
