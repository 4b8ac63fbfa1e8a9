# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on disk: the recipe, the weights, and the optimiser's state to resume from.

Weights are safetensors. The optimiser's state is a torch file that is only ever read with
``weights_only=True``, so nothing in a checkpoint can run code. A checkpoint appears under its name
only when it is whole.
"""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from magma_ros.files import read_json
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.data.words import make_tokenizer
from magma_ros.models.network.act import ActPolicy
from magma_ros.models.network.config import ActConfig
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.network.policy import Policy
from magma_ros.models.training.config import TrainingConfig, differing_field
from magma_ros.types import MagmaError

KEPT = 2
"""Checkpoints that stay on disk."""

RECIPE, WEIGHTS, AVERAGE, STATE = (
    "recipe.json",
    "weights.safetensors",
    "average.safetensors",
    "optimiser.pt",
)


class CheckpointError(MagmaError):
    """A checkpoint is missing, damaged, or belongs to another recipe."""


DAMAGE = (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError)
"""What reading weights or a state that was cut short, or belongs to something else, raises."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that is needed to rebuild a policy around its weights.

    Attributes:
        config: The training configuration.
        vocabulary: Words in the order of their ids, padding and unknown left out.
        statistics: What raw numbers are normalised by.
        started: SHA-256 of the averaged weights that training began with, if they were those of
            another checkpoint.
    """

    config: TrainingConfig
    vocabulary: tuple[str, ...]
    statistics: Statistics
    started: str | None = None

    def network(self) -> Policy:
        """The network with fresh weights and the statistics of its inputs."""
        shape, words = self.config.network, len(self.vocabulary) + 2
        network: Policy
        if isinstance(shape, ActConfig):
            network = ActPolicy(shape, words)
        else:
            network = MagmaPolicy(shape, words)
        network.set_proprioception_statistics(
            torch.tensor(self.statistics.mean), torch.tensor(self.statistics.std)
        )
        return network

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its vocabulary."""
        return make_tokenizer(self.vocabulary)

    def to_json(self) -> str:
        """As text; :func:`read_recipe` is the inverse."""
        content = {
            "config": self.config.model_dump(mode="json"),
            "vocabulary": self.vocabulary,
            "statistics": asdict(self.statistics),
            "started": self.started,
        }
        return json.dumps(content, indent=2) + "\n"


class _SavedRecipe(BaseModel):
    """A recipe as it stands in its file."""

    model_config = ConfigDict(extra="forbid")

    config: TrainingConfig
    vocabulary: tuple[str, ...]
    statistics: Statistics
    started: str | None = None


@dataclass(slots=True)
class TrainingState:
    """What changes while training.

    Attributes:
        step: Optimiser steps taken.
        network: The network.
        average: The running average of its weights, which is what is exported.
        optimiser: The optimiser.
    """

    step: int
    network: Policy
    average: Policy
    optimiser: torch.optim.Optimizer


def save_checkpoint(run: Path, recipe: Recipe, state: TrainingState) -> Path:
    """Write a checkpoint into the run's folder, and drop all but the newest few."""
    folder = run / f"step-{state.step:06d}"
    unfinished = run / f".{folder.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    (unfinished / RECIPE).write_text(recipe.to_json(), encoding="utf-8")
    save_file(state.network.state_dict(), unfinished / WEIGHTS)
    save_file(state.average.state_dict(), unfinished / AVERAGE)
    torch.save(state.optimiser.state_dict(), unfinished / STATE)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    for old in checkpoints(run)[:-KEPT]:
        shutil.rmtree(old)
    return folder


def restore(folder: Path, recipe: Recipe, state: TrainingState) -> None:
    """Continue from a checkpoint.

    Raises:
        CheckpointError: It was made with another recipe, or is damaged.
    """
    known = read_recipe(folder)
    if known != recipe:
        raise CheckpointError(
            f"{folder} was trained with {_difference(known, recipe)}; "
            "restore the recipe and its data, or train into another folder"
        )
    try:
        state.step = int(folder.name.removeprefix("step-"))
        state.network.load_state_dict(_weights(folder / WEIGHTS))
        state.average.load_state_dict(_weights(folder / AVERAGE))
        saved = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        state.optimiser.load_state_dict(saved)
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder} is damaged ({reason}); use an older checkpoint") from error


def _difference(known: Recipe, recipe: Recipe) -> str:
    """Describe how a checkpoint's recipe differs from the one given."""
    one, other = known.config.model_dump(mode="json"), recipe.config.model_dump(mode="json")
    if field := differing_field(one, other):
        return f"another {field}"
    if known.vocabulary != recipe.vocabulary:
        return "another vocabulary"
    if known.started != recipe.started:
        return "other weights to start from"
    return f"other demonstrations: {known.statistics.difference(recipe.statistics)}"


def load_policy(folder: Path) -> tuple[Policy, Recipe]:
    """The averaged network of a checkpoint, ready for inference, and its recipe.

    Args:
        folder: A checkpoint, or a run's folder, of which the newest checkpoint is taken.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    folder = latest(folder)
    recipe = read_recipe(folder)
    network = recipe.network()
    network.load_state_dict(_weights(folder / AVERAGE))
    return network.eval(), recipe


def latest(folder: Path) -> Path:
    """The folder itself if it is a checkpoint, else the newest one inside.

    Raises:
        CheckpointError: There is none.
    """
    if (folder / RECIPE).is_file():
        return folder
    if found := checkpoints(folder):
        return found[-1]
    raise CheckpointError(f"{folder} holds no checkpoint; run magma train first")


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(run.glob("step-*"))


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a checkpoint.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    remedy = "use another checkpoint, or train again"
    saved = read_json(folder / RECIPE, _SavedRecipe, error=CheckpointError, remedy=remedy)
    return Recipe(saved.config, saved.vocabulary, saved.statistics, saved.started)


def _weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        weights: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing or damaged; use an older checkpoint") from error
    return weights
