# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A place in the image is an input: what a mark names, for a network that knew only words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.models.data.augment import augment
from magma_ros.models.data.config import AugmentationConfig, MarkConfig, TiltConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.marks import PHRASINGS, mark, marked_tokens
from magma_ros.models.data.words import make_tokenizer
from magma_ros.models.network.config import NetworkConfig
from magma_ros.models.network.graphs import example_inputs
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.network.network import PolicyOutput
from magma_ros.models.network.point import near_cells
from magma_ros.models.training.checkpoint import Recipe
from magma_ros.models.training.rollout import inputs_of
from magma_ros.models.training.train import Trainer
from magma_ros.sim.language import base_of, marked_instructions, marked_vocabulary, phrasebook

from .conftest import check_graphs, recipe_dict


def with_point(folder: Path, **changes: Any) -> NetworkConfig:
    content = recipe_dict(folder)["network"] | {"point": {"camera": "front"}} | changes
    return NetworkConfig.model_validate(content)


@pytest.fixture(scope="module")
def marked(recipe: Recipe, demonstrations: Demonstrations) -> tuple[Recipe, Demonstrations]:
    """The tiny recipe with a point, and its demonstrations read for it."""
    network = with_point(recipe.config.data.folder, max_tokens=11)
    config = recipe.config.model_copy(update={"network": network})
    words = marked_vocabulary()
    data = Demonstrations.read(config.data.folder, network, make_tokenizer(words))
    assert len(data) == len(demonstrations)
    return replace(recipe, config=config, vocabulary=words), data


def planned(network: MagmaPolicy, point: list[float], scene: dict[str, torch.Tensor]) -> Any:
    with torch.inference_mode():
        output: PolicyOutput = network.eval()(inputs_of(scene | {"point": torch.tensor([point])}))
    return torch.stack([found.logits for found in output.exits])


def test_without_a_point_a_fresh_one_changes_nothing_and_with_one_it_looks_there(
    recipe: Recipe,
) -> None:
    """The token takes the place of the last word, so that all the others stay where they were."""
    words = len(recipe.vocabulary) + 2
    old = MagmaPolicy(recipe.config.network, words).eval()
    new = MagmaPolicy(with_point(recipe.config.data.folder, max_tokens=11), words)
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert not unexpected
    assert missing
    assert all("point" in name for name in missing)
    scene = example_inputs(recipe.config.network)
    with torch.inference_mode():
        wanted = torch.stack([found.logits for found in old(inputs_of(scene)).exits])
    short = scene | {"tokens": scene["tokens"][:, :11]}
    torch.testing.assert_close(planned(new, [0.0, 0.0, 0.0], short), wanted)
    rows, columns = new.config.view("front").grid
    for row, column in ((0, 0), (rows - 1, columns - 2)):
        place = torch.tensor([[(column + 0.5) / columns, (row + 0.5) / rows, 1.0]])
        with torch.inference_mode():
            heat = new(inputs_of(short | {"point": place})).heat
        assert int(heat["front"][0, 0].argmax()) == row * columns + column
        assert torch.equal(heat["wrist"], old(inputs_of(scene)).heat["wrist"])


def test_a_learned_point_moves_the_plan_and_no_point_does_not(
    marked: tuple[Recipe, Demonstrations], tmp_path: Path
) -> None:
    recipe, data = marked
    trainer = Trainer(recipe, data, tmp_path)
    network = trainer.state.network
    first = {name: value.clone() for name, value in network.state_dict().items()}
    checkpoint = trainer.train()
    moved = [name for name, value in network.state_dict().items() if "point" in name]
    assert any(not torch.equal(first[name], network.state_dict()[name]) for name in moved)
    scene = example_inputs(recipe.config.network)
    here, there = (planned(network, [place, 0.5, 1.0], scene) for place in (0.2, 0.8))
    nowhere = planned(network, [0.0, 0.0, 0.0], scene)
    assert not torch.allclose(here, there, atol=1e-6)
    assert not torch.allclose(here, nowhere, atol=1e-6)
    check_graphs(checkpoint, tmp_path)


def test_what_is_no_point_has_no_place(recipe: Recipe) -> None:
    network = MagmaPolicy(with_point(recipe.config.data.folder), len(recipe.vocabulary) + 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    scene = example_inputs(network.config)
    torch.testing.assert_close(
        planned(network, [0.8, 0.5, 0.0], scene), planned(network, [0.0, 0.0, 0.0], scene)
    )


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@examples(30)
def test_a_place_is_spread_over_the_cells_around_it(x: float, y: float) -> None:
    weights = near_cells(torch.tensor([[x, y]]), (4, 6)).reshape(4, 6)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    rows, columns = weights.sum(1), weights.sum(0)
    centres = (torch.arange(6) + 0.5) / 6
    assert float(columns @ centres) == pytest.approx(min(max(x, 1 / 12), 11 / 12), abs=1e-5)
    centres = (torch.arange(4) + 0.5) / 4
    assert float(rows @ centres) == pytest.approx(min(max(y, 1 / 8), 7 / 8), abs=1e-5)


def test_marks_are_told_or_besides_or_none_and_lie_on_the_object(
    marked: tuple[Recipe, Demonstrations],
) -> None:
    recipe, data = marked
    rows = np.arange(len(data)).repeat(20)
    batch = data.batch(rows, recipe.statistics)
    config = MarkConfig(told=0.5, besides=0.25, jitter=0.03)
    places = data.places(rows, "front", np.zeros(len(rows), int))
    rng = np.random.default_rng(0)
    given, marked_ = data.points[rows], data.marked[rows]
    found = mark(batch, marked_, given=given, places=places, config=config, rng=rng).inputs
    assert found.point is not None
    present = found.point[:, 2].numpy() == 1.0
    ids = [recipe.vocabulary.index(word) + 2 for word in ("mark", "marked")]
    told = np.isin(found.tokens.numpy(), ids).any(axis=1)
    assert told.mean() == pytest.approx(0.5, abs=0.05)
    assert present.mean() == pytest.approx(0.75, abs=0.05)
    assert present[told].all()
    assert np.array_equal(found.tokens[~told], batch.inputs.tokens[~told])
    assert not found.point[~present].any()
    away = [np.linalg.norm(found.point[:, :2].numpy() - place, axis=1) for place in places]
    assert np.minimum(*away)[present].max() < 0.03 + 1e-6


def test_a_mark_that_nobody_follows_is_taught_only_where_the_world_stands_still(
    marked: tuple[Recipe, Demonstrations],
) -> None:
    _, data = marked
    rows = np.arange(len(data))
    begun, now = data.places(rows, "front", np.full(len(rows), 2))
    targets = data.pixels["front"][:, 0]
    assert data.moves.any()
    assert not data.moves.all()
    assert np.array_equal(begun[data.moves], now[data.moves])
    assert np.array_equal(now, targets[rows - np.minimum(2, data.since)])
    still = ~data.moves
    assert np.array_equal(begun[still], targets[(rows - data.since)[still]])


def test_marks_turn_with_the_image(marked: tuple[Recipe, Demonstrations]) -> None:
    recipe, data = marked
    rows = np.arange(len(data))
    batch = data.batch(rows, recipe.statistics)
    exact = MarkConfig(told=0.5, besides=0.5, jitter=0.0, lag=0)
    now = data.pixels["front"][:, 0]
    rng = np.random.default_rng(0)
    batch = mark(batch, data.marked, given=data.points, places=(now, now), config=exact, rng=rng)
    tilt = TiltConfig(camera="front", degrees=5.0, share=1.0, field_of_view=34.0)
    config = AugmentationConfig(tilt=tilt)
    std = torch.ones(batch.inputs.proprioception.shape[1])
    generator = torch.Generator().manual_seed(0)
    turned = augment(batch, config, std, generator, point_camera="front")
    assert turned.inputs.point is not None
    assert (turned.inputs.point - batch.inputs.point).abs().max() > 0.01
    torch.testing.assert_close(turned.inputs.point[:, :2], turned.labels.pixels["front"][:, 0])


@pytest.mark.parametrize("task", list(phrasebook().phrasings))
def test_every_task_can_be_asked_for_by_a_mark(task: str) -> None:
    ways = marked_instructions(task, "blue block", np.random.default_rng(0))
    assert len(ways) > 5
    known = set(marked_vocabulary())
    for way in ways:
        assert "mark" in way
        assert "{" not in way
        assert set(way.split()) <= known
    tokenizer = make_tokenizer(marked_vocabulary())
    tokens = marked_tokens(task, 3, "stack the red cube on the blue block", tokenizer, 11)
    assert tokens.shape == (PHRASINGS, 11)


def test_what_a_marked_object_is_put_on_keeps_its_name() -> None:
    assert base_of("stack", "set the red cube on the blue block") == "blue block"
    assert base_of("push", "push the red cube into the white zone") == ""
    ways = marked_instructions("stack", "blue block", np.random.default_rng(0))
    assert all(way.endswith("the blue block") for way in ways)


def test_a_point_in_a_camera_that_is_not_given_is_refused(recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="point reads camera ceiling, which is not given"):
        with_point(recipe.config.data.folder, point={"camera": "ceiling"})
