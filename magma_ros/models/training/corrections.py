# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains a bundle further on episodes in which people corrected it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.sources import read_all
from magma_ros.files import whole
from magma_ros.models.data.config import CorrectionConfig
from magma_ros.models.data.corrections import Learned, learn_from
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.generate import generate
from magma_ros.models.training.checkpoint import Recipe, checkpoints
from magma_ros.models.training.config import (
    ConfigError,
    StartConfig,
    TrainingConfig,
    load_config,
    shipped_recipe,
)
from magma_ros.models.training.restore import recipe_of
from magma_ros.models.training.train import Trainer
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.language import marked_vocabulary, vocabulary
from magma_ros.types import MagmaError

RECIPE = "train.yaml"
"""The recipe in the folder of a bundle that was trained on episodes."""

WARM_UP = 20
"""Steps of linear warm-up; the weights are trained already."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How long and how fast a bundle is trained on episodes.

    Attributes:
        steps: Optimiser steps.
        batch: Samples per step.
        learning_rate: Peak learning rate.
        seed: Of the order of samples and their variation.
    """

    steps: int = 300
    batch: int = 32
    learning_rate: float = 1e-4
    seed: int = 0


def recipe_for(bundle: Path, given: Path | None = None) -> TrainingConfig:
    """The recipe that a bundle was made with: the one given, its own, or the shipped one.

    Raises:
        ConfigError: There is none, or it cannot be used.
    """
    if given is not None:
        return load_config(given)
    own = bundle / RECIPE
    if path := own if own.is_file() else shipped_recipe(read_manifest(bundle).name):
        return load_config(path)
    raise ConfigError(f"nothing says what {bundle} was trained with; give its recipe as --config")


def write_recipe(bundle: Path, config: TrainingConfig) -> None:
    """Leave the recipe in a bundle's folder, so that it can be trained further."""
    plain = config.model_copy(update={"corrections": None, "start": None})
    with whole(bundle / RECIPE) as draft:
        text = yaml.safe_dump(plain.model_dump(mode="json", exclude_none=True), sort_keys=False)
        draft.write_text(text, encoding="utf-8")


def train_on_episodes(
    base: TrainingConfig,
    bundle: Path,
    corrections: CorrectionConfig,
    tuning: Tuning,
    run: Path,
    *,
    skip_broken: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> tuple[Path, Learned]:
    """Train a bundle further on what people showed.

    Args:
        base: The recipe that the bundle was made with.
        bundle: Where the weights come from.
        corrections: Which episodes, and how much what counts.
        tuning: How long and how fast.
        run: Folder for the checkpoint; it must not hold one.
        skip_broken: Leave out episodes that cannot be read, and tell so.
        tell: Takes what is doubtful about episodes, a sentence at a time.

    Returns:
        The checkpoint, and what was learned from.

    Raises:
        MagmaError: The bundle, the recipe or the episodes cannot be used.
    """
    if checkpoints(run):
        raise MagmaError(f"{run} already holds a run; choose another folder")
    config = _further(base, bundle, corrections, tuning)
    words = vocabulary() if config.network.point is None else marked_vocabulary()
    recipe = recipe_of(bundle, config, words)
    period = read_manifest(bundle).action.step_period

    def episodes() -> Iterator[Episode]:
        for folder in corrections.episodes:
            yield from read_all(folder, period=period, skip_broken=skip_broken, tell=tell)

    data, counts = learn_from(episodes(), config.network, recipe.tokenizer(), corrections, period)
    if corrections.demonstrations:
        data = Demonstrations.joined([data, _demonstrations(recipe)])
    if int(data.weights.sum()) < tuning.batch:
        raise MagmaError(
            f"the episodes hold {int(data.weights.sum())} samples, which is less than a batch of "
            f"{tuning.batch}; give more episodes or a smaller --batch"
        )
    return Trainer(recipe, data, run).train(), counts


def _further(
    base: TrainingConfig, bundle: Path, corrections: CorrectionConfig, tuning: Tuning
) -> TrainingConfig:
    """The recipe of a bundle, made one that goes on from its weights with what people showed."""
    return base.model_copy(
        update={
            "seed": tuning.seed,
            "graft": None,
            "aggregation": (),
            "start": StartConfig(bundle=bundle, fresh=1.0),
            "corrections": corrections,
            "optimiser": base.optimiser.model_copy(
                update={
                    "steps": tuning.steps,
                    "batch": tuning.batch,
                    "learning_rate": tuning.learning_rate,
                    "warm_up": WARM_UP,
                    "compile": False,
                }
            ),
            "check": base.check.model_copy(update={"every": 0}),
            "checkpoint_every": tuning.steps,
        }
    )


def _demonstrations(recipe: Recipe) -> Demonstrations:
    config = recipe.config
    generate(config.data)
    return Demonstrations.of(config.data, config.network, recipe.tokenizer())
