# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grafting: trained parts are kept, the joint is fresh and trained first and alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.training.checkpoint import CheckpointError, Recipe, load_policy
from magma_ros.models.training.config import GraftConfig
from magma_ros.models.training.graft import Part, part_of
from magma_ros.models.training.train import Trainer, learning_rate


@pytest.fixture(scope="module")
def donors(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    other = replace(recipe, config=recipe.config.model_copy(update={"seed": 4}))
    towers, decoder = (tmp_path_factory.mktemp(name) for name in ("towers", "decoder"))
    return (
        Trainer(recipe, demonstrations, towers).train(),
        Trainer(other, demonstrations, decoder).train(),
    )


@pytest.fixture
def grafted(recipe: Recipe, donors: tuple[Path, Path]) -> Recipe:
    graft = GraftConfig(towers=donors[0], decoder=donors[1], steps=2, learning_rate=1e-2)
    return replace(recipe, config=recipe.config.model_copy(update={"graft": graft}))


def test_every_weight_comes_from_its_donor_except_the_joint(
    grafted: Recipe, donors: tuple[Path, Path], demonstrations: Demonstrations, tmp_path: Path
) -> None:
    found = Trainer(grafted, demonstrations, tmp_path).state.network.state_dict()
    towers, decoder = (load_policy(donor)[0].state_dict() for donor in donors)
    assert {part_of(name) for name in found} == set(Part)
    for name, weight in found.items():
        same = torch.equal(weight, towers[name]), torch.equal(weight, decoder[name])
        if part_of(name) is not Part.JOINT:
            assert same[part_of(name) is Part.DECODER], name
    name = "stages.0.vision.towers.front.projector.0.weight"
    assert not torch.equal(found[name], towers[name])
    assert not torch.equal(found[name], decoder[name])


def test_only_the_joint_moves_in_the_first_phase(
    grafted: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    trainer = Trainer(grafted, demonstrations, tmp_path)
    before = {name: w.clone() for name, w in trainer.state.network.state_dict().items()}
    trainer.train()
    first, last = (load_policy(tmp_path / f"step-00000{step}") for step in (2, 4))
    moved = {
        part: any(
            not torch.allclose(first[0].state_dict()[name], weight, rtol=0, atol=1e-7)
            for name, weight in before.items()
            if part_of(name) is part
        )
        for part in Part
    }
    assert moved == {Part.TOWER: False, Part.JOINT: True, Part.DECODER: False}
    for part in Part:
        assert any(
            not torch.equal(first[0].state_dict()[name], weight)
            for name, weight in last[0].state_dict().items()
            if part_of(name) is part
        )


def test_every_phase_has_a_peak_of_its_own(grafted: Recipe) -> None:
    config = grafted.config
    assert learning_rate(config, 0) == pytest.approx(1e-2)
    assert learning_rate(config, 2) == pytest.approx(config.optimiser.learning_rate)


def test_a_donor_of_another_shape_is_refused(
    grafted: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    network = grafted.config.network.model_copy(update={"hidden": 48})
    other = replace(grafted, config=grafted.config.model_copy(update={"network": network}))
    with pytest.raises(CheckpointError, match="has another network than the recipe"):
        Trainer(other, demonstrations, tmp_path)


def test_a_donor_trained_on_other_data_is_refused(
    grafted: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    q99 = (0.5, *grafted.statistics.q99[1:])
    other = replace(grafted, statistics=replace(grafted.statistics, q99=q99))
    with pytest.raises(CheckpointError, match="other demonstrations: q99 of dx"):
        Trainer(other, demonstrations, tmp_path)
