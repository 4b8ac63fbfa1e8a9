# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training recipe as data: one YAML file describes the network, its data and its training.

Every field is checked when the file is read; an unknown or impossible one is refused in one
sentence, before anything else happens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from magma_ros.files import check, yaml_mapping
from magma_ros.models.data.config import (
    AggregationConfig,
    AugmentationConfig,
    CorrectionConfig,
    DataConfig,
)
from magma_ros.models.network.config import ActConfig, LossConfig, NetworkConfig, of_its_kind
from magma_ros.models.schema import Fraction, Positive, Strict
from magma_ros.share import share_directory
from magma_ros.types import MagmaError

MOST_BASES = 5
"""Longest chain of recipes; a longer one goes round in a circle."""


class ConfigError(MagmaError):
    """The training configuration cannot be used."""


class GraftConfig(Strict):
    """The start from trained parts: LLaVA-1.5's two phases; see ``models.training.graft``.

    Attributes:
        towers: Checkpoint whose vision towers are taken.
        decoder: Checkpoint from which everything else is taken but what joins the two.
        steps: Optimiser steps in which only the joint is trained; then all weights are.
        learning_rate: Peak of the learning rate until then.
    """

    towers: Path
    decoder: Path
    steps: Positive
    learning_rate: float = Field(default=1e-3, gt=0.0)


class StartConfig(Strict):
    """The start from trained weights, whose words and statistics are kept.

    Attributes:
        bundle: Folder of a bundle; see ``models.training.restore``.
        checkpoint: Folder of a checkpoint or run instead: its averaged weights, none of them
            rounded or folded, so that what is learned can be merged (``models.merging``).
        fresh: Learning rate of what the bundle lacks, in units of that of the rest.
    """

    bundle: Path | None = None
    checkpoint: Path | None = None
    fresh: float = Field(default=5.0, gt=0.0)

    @model_validator(mode="after")
    def _starts_from_one(self) -> StartConfig:
        if (self.bundle is None) == (self.checkpoint is None):
            raise ValueError("start names a bundle or a checkpoint, and not both")
        return self


class OptimiserConfig(Strict):
    """The optimiser.

    Attributes:
        steps: Optimiser steps in all.
        batch: Samples per step.
        learning_rate: Peak learning rate.
        warm_up: Steps of linear warm-up.
        weight_decay: AdamW's decoupled decay, on matrices only.
        betas: AdamW's averaging factors.
        clip: Largest gradient norm.
        ema: Averaging factor of the weights that are exported.
        precision: Arithmetic of the matrix products.
        compile: Whether to fuse the network with torch.compile; a third faster, minutes to start.
    """

    steps: Positive
    batch: Positive = 64
    learning_rate: float = Field(default=8e-4, gt=0.0)
    warm_up: Positive = 150
    weight_decay: float = Field(default=0.05, ge=0.0)
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    clip: float = Field(default=1.0, gt=0.0)
    ema: Fraction = 0.998
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False


class CheckConfig(Strict):
    """Closed-loop checks during training, on fixed validation seeds (2,000,000 onwards).

    Attributes:
        every: Optimiser steps between checks; 0 for none.
        episodes: Episodes per task.
    """

    every: Annotated[int, Field(ge=0)] = 0
    episodes: Positive = 5


class Phase(NamedTuple):
    """A stretch of training with a rise and fall of the learning rate of its own.

    Attributes:
        first: Optimiser step before it.
        last: Optimiser step after which it ends.
        learning_rate: Peak.
    """

    first: int
    last: int
    learning_rate: float


class TrainingConfig(Strict):
    """The whole recipe.

    Attributes:
        name: Name of the policy.
        description: One sentence for the bundle and its card.
        seed: Seed of the initial weights, the order of samples and the augmentation.
        network: The network.
        data: The demonstrations.
        graft: Trained parts to start from, or none.
        start: A bundle to start from, or none.
        corrections: Episodes to learn from, or none; see ``models.training.corrections``.
        aggregation: Rounds of DAgger, in order.
        optimiser: The optimiser.
        loss: Weights of the losses.
        augmentation: Variation of the inputs.
        check: Closed-loop checks.
        checkpoint_every: Optimiser steps between checkpoints.
    """

    name: str
    description: str
    seed: int
    network: Annotated[NetworkConfig | ActConfig, BeforeValidator(of_its_kind)]
    data: DataConfig
    graft: GraftConfig | None = None
    start: StartConfig | None = None
    corrections: CorrectionConfig | None = None
    aggregation: tuple[AggregationConfig, ...] = ()
    optimiser: OptimiserConfig
    loss: LossConfig = LossConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    check: CheckConfig = CheckConfig()
    checkpoint_every: Positive = 500

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Grafting, training and what follows each aggregation, as far as the recipe has them."""
        peaks = [(0, self.optimiser.learning_rate)]
        if self.graft is not None:
            peaks = [(0, self.graft.learning_rate), (self.graft.steps, peaks[0][1])]
        peaks += [(turn.after, turn.learning_rate) for turn in self.aggregation]
        ends = [*(first for first, _ in peaks[1:]), self.optimiser.steps]
        return tuple(
            Phase(first, last, rate) for (first, rate), last in zip(peaks, ends, strict=True)
        )

    @model_validator(mode="after")
    def _starts_from_what_fits(self) -> TrainingConfig:
        if self.graft is not None and not isinstance(self.network, NetworkConfig):
            raise ValueError("graft joins parts of kind magma; remove it")
        foreign = not isinstance(self.network, NetworkConfig)
        if self.start is not None and self.start.bundle is not None and foreign:
            raise ValueError("start.bundle takes one of kind magma; remove it")
        if self.start is not None and self.graft is not None:
            raise ValueError("start and graft both give the first weights; keep one")
        return self

    @model_validator(mode="after")
    def _shifts_no_marks(self) -> TrainingConfig:
        marks = self.network.trace is not None or self.network.point is not None
        if self.augmentation.shift and marks:
            raise ValueError("augmentation.shift moves neither traces nor points; remove one")
        return self

    @model_validator(mode="after")
    def _phases_follow_one_another(self) -> TrainingConfig:
        if any(phase.first >= phase.last for phase in self.phases):
            raise ValueError(
                "graft.steps, aggregation.after and optimiser.steps must increase in this order"
            )
        return self


def load_config(path: Path, bundle: Path | None = None) -> TrainingConfig:
    """Read and check a recipe.

    A recipe may name another one as its ``base``, by a path relative to itself; the sections that
    it leaves out are then those of its base.

    Args:
        path: The recipe.
        bundle: A bundle to start from, instead of what the recipe says.

    Raises:
        ConfigError: The file is missing, is not YAML, or a field is unknown or impossible.
    """
    content = _sections(path)
    if bundle is not None:
        content["start"] = {"bundle": str(bundle)}
    return check(content, TrainingConfig, path, ConfigError, "correct the recipe")


def shipped_recipe(name: str) -> Path | None:
    """The recipe of that name among the shipped files, whatever its file is called; None without.

    Raises:
        ConfigError: A shipped recipe is damaged.
    """
    for path in sorted((share_directory() / "models").rglob("*.train.yaml")):
        found = yaml_mapping(path, error=ConfigError, remedy="install magma_ros again")
        if found.get("name") == name:
            return path
    return None


def _sections(path: Path, depth: int = 0) -> dict[str, Any]:
    """The sections of a recipe, and those of its base that it leaves out."""
    content = yaml_mapping(path, error=ConfigError, remedy="give an existing training recipe")
    if "base" not in content:
        return content
    if depth == MOST_BASES:
        raise ConfigError(f"{path} has a base that has a base, and so on; end the chain of recipes")
    return _sections(path.parent / str(content.pop("base")), depth + 1) | content


def differing_field(first: dict[str, Any], second: dict[str, Any], prefix: str = "") -> str:
    """Name of the first field in which two dumped configurations differ, or an empty string."""
    for key in [*first, *(key for key in second if key not in first)]:
        one, other = first.get(key), second.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            if found := differing_field(one, other, f"{prefix}{key}."):
                return found
        elif one != other:
            return f"{prefix}{key}"
    return ""
