# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A base and two policies that were fine-tuned from it, with the trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from magma_ros.models.data.dataset import Demonstrations
    from magma_ros.models.training.checkpoint import Recipe


class Family(NamedTuple):
    """Folders of checkpoints."""

    base: Path
    parents: tuple[Path, Path]


def fine_tuned(
    base: Path, recipe: Recipe, demonstrations: Demonstrations, run: Path, *, name: str, seed: int
) -> Path:
    from magma_ros.models.training.config import StartConfig
    from magma_ros.models.training.restore import started_recipe
    from magma_ros.models.training.train import Trainer

    start = StartConfig(checkpoint=base)
    rate = recipe.config.optimiser.model_copy(update={"learning_rate": 0.01})
    update = {"name": name, "seed": seed, "start": start, "optimiser": rate}
    config = recipe.config.model_copy(update=update)
    return Trainer(started_recipe(start, config), demonstrations, run).train()


@pytest.fixture(scope="session")
def family(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory
) -> Family:
    from magma_ros.models.training.train import Trainer

    rate = recipe.config.optimiser.model_copy(update={"learning_rate": 0.05})
    root = replace(recipe, config=recipe.config.model_copy(update={"optimiser": rate}))
    base = Trainer(root, demonstrations, tmp_path_factory.mktemp("base")).train()
    one, two = (
        fine_tuned(base, recipe, demonstrations, tmp_path_factory.mktemp(n), name=n, seed=s)
        for n, s in (("grasping", 5), ("pushing", 6))
    )
    return Family(base, (one, two))
