# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recipe may start from a checkpoint: exactly its weights, words and statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from magma_ros.models.training.checkpoint import CheckpointError, Recipe, read_recipe
from magma_ros.models.training.config import StartConfig, load_config
from magma_ros.models.training.restore import started_recipe

from .conftest import Family

ROOT = Path(__file__).resolve().parents[3]


def test_a_fine_tuned_policy_keeps_words_and_statistics_of_its_base(family: Family) -> None:
    base, one = read_recipe(family.base), read_recipe(family.parents[0])
    assert one.vocabulary == base.vocabulary
    assert one.statistics == base.statistics


def test_a_start_is_a_bundle_or_a_checkpoint(tmp_path: Path) -> None:
    for given in ({}, {"bundle": tmp_path, "checkpoint": tmp_path}):
        with pytest.raises(ValidationError, match="a bundle or a checkpoint, and not both"):
            StartConfig(**given)


def test_a_checkpoint_of_another_network_or_of_other_words_is_refused(
    family: Family, recipe: Recipe
) -> None:
    start = StartConfig(checkpoint=family.base)
    network = recipe.config.network.model_copy(update={"heads": 4})
    other = recipe.config.model_copy(update={"network": network})
    with pytest.raises(CheckpointError, match=r"has another network\.heads than the recipe"):
        started_recipe(start, other)
    with pytest.raises(CheckpointError, match="does not know the word 'xylophone'"):
        started_recipe(start, recipe.config, ("xylophone",))


def test_the_shipped_specialists_share_a_base_and_as_many_steps() -> None:
    folder = ROOT / "models" / "merge"
    base = load_config(folder / "base.train.yaml")
    names = ("grasping", "pushing", "belt", "joint")
    tuned = [load_config(folder / f"{name}.train.yaml") for name in names]
    for config in tuned:
        assert config.network == base.network
        assert config.start == StartConfig(checkpoint=Path("checkpoints") / base.name)
        assert config.optimiser == tuned[0].optimiser
    assert len({config.seed for config in (base, *tuned)}) == 5
    *specialists, joint = tuned
    learned = [task for config in (base, *specialists) for _, task in config.data.tasks]
    assert len(learned) == len(set(learned)) == 17
    assert base.start == StartConfig(bundle=Path("models/magma-nano"))
    for one in specialists:
        assert set(one.data.more) == {one.data.folder, base.data.folder}, "it rehearses the base's"
    folders = {one.data.folder for one in (base, *specialists)}
    assert {joint.data.folder, *joint.data.more} == folders
    assert joint.data.episodes == specialists[0].data.episodes
