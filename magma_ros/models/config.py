# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training recipe as data: one YAML file describes the network, its data and its training.

Every field is checked when the file is read; an unknown or impossible one is refused in one
sentence, before anything else happens.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from magma_ros.models.data_config import AggregationConfig, DataConfig
from magma_ros.models.schema import Fraction, Positive, Strict
from magma_ros.types import MagmaError


class ConfigError(MagmaError):
    """The training configuration cannot be used."""


class CameraConfig(Strict):
    """One camera and the ConvNeXt tower that reads it.

    Attributes:
        name: Camera name in the observation.
        height: Image height the network sees [px]; a multiple of the tower's stride.
        width: Image width the network sees [px].
        depths: ConvNeXt blocks per stage.
        channels: Channels per stage; every stage after the first halves the resolution.
        patch: Side of the stem's patches [px].
    """

    name: str
    height: Positive
    width: Positive
    depths: tuple[Positive, ...]
    channels: tuple[Positive, ...]
    patch: Positive = 4

    @property
    def stride(self) -> int:
        """Pixels between neighbouring tokens."""
        return int(self.patch * 2 ** (len(self.depths) - 1))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of vision tokens."""
        return self.height // self.stride, self.width // self.stride

    @model_validator(mode="after")
    def _fits(self) -> CameraConfig:
        if len(self.depths) != len(self.channels):
            raise ValueError(f"camera {self.name} needs as many depths as channels")
        if self.height % self.stride or self.width % self.stride:
            raise ValueError(f"camera {self.name} needs sides that are multiples of {self.stride}")
        return self


class LookConfig(Strict):
    """A stage in which the tokens of these cameras enter."""

    look: tuple[str, ...] = Field(min_length=1)


class ThinkConfig(Strict):
    """A stage of decoder layers, with an action head after it unless ``exit`` is false."""

    think: Positive
    exit: bool = True


class NetworkConfig(Strict):
    """The policy network.

    Attributes:
        cameras: Cameras and their towers.
        proprioception: Names of the measured values, in order.
        max_tokens: Length of the padded instruction.
        chunk_length: Steps K in a plan.
        width: Width of the decoder.
        heads: Attention heads.
        hidden: Inner width of the decoder's gated MLP.
        layer_scale: Initial ConvNeXt layer scale.
        modulation: Whether the instruction modulates every vision stage (FiLM).
        grounding: Tokens per camera that say where the instruction's objects are; 0 for none.
        stages: Looks and thinks, in order.
    """

    cameras: tuple[CameraConfig, ...] = Field(min_length=1)
    proprioception: tuple[str, ...] = Field(min_length=1)
    max_tokens: Positive
    chunk_length: Positive
    width: Positive
    heads: Positive
    hidden: Positive
    layer_scale: float = Field(default=0.1, gt=0.0)
    modulation: bool = True
    grounding: Annotated[int, Field(ge=0)] = 2
    stages: tuple[LookConfig | ThinkConfig, ...] = Field(min_length=2)

    def camera(self, name: str) -> CameraConfig:
        """The camera of that name."""
        return next(camera for camera in self.cameras if camera.name == name)

    @model_validator(mode="after")
    def _consistent(self) -> NetworkConfig:
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of twice the number of heads")
        first, last = self.stages[0], self.stages[-1]
        begins = isinstance(first, LookConfig)
        ends = isinstance(last, ThinkConfig) and last.exit
        if not begins:
            raise ValueError("the first stage must be a look")
        if not ends:
            raise ValueError("the last stage must be a think with an exit")
        looked = [
            name for stage in self.stages if isinstance(stage, LookConfig) for name in stage.look
        ]
        if sorted(looked) != sorted(camera.name for camera in self.cameras):
            raise ValueError("every camera must enter in exactly one look")
        return self


class OptimiserConfig(Strict):
    """How the weights move.

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


class LossConfig(Strict):
    """What is asked of the network; weights are relative to the cross-entropy.

    Attributes:
        sigma: Width of the soft bin label [bins].
        expectation: Weight of the L1 distance of the decoded action.
        position: Weight of the relative positions of target and goal.
        heat: Weight of the heat-map cross-entropy.
    """

    sigma: float = Field(default=2.5, gt=0.0)
    expectation: float = Field(default=2.0, ge=0.0)
    position: float = Field(default=1.0, ge=0.0)
    heat: float = Field(default=0.1, ge=0.0)


class AugmentationConfig(Strict):
    """What is varied at training time.

    Attributes:
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        colour: Largest relative change of each colour channel.
        proprioception: Standard deviation of the noise on measured values, in units of theirs.
    """

    brightness: Fraction = 0.15
    contrast: Fraction = 0.15
    colour: Fraction = 0.05
    proprioception: Fraction = 0.05


class CheckConfig(Strict):
    """Closed-loop checks during training, on fixed validation seeds (2,000,000 onwards).

    Attributes:
        every: Optimiser steps between checks; 0 for none.
        episodes: Episodes per task.
    """

    every: Annotated[int, Field(ge=0)] = 0
    episodes: Positive = 5


class TrainingConfig(Strict):
    """The whole recipe.

    Attributes:
        name: Name of the policy.
        description: One sentence for the bundle and its card.
        seed: Seed of the initial weights, the order of samples and the augmentation.
        network: The network.
        data: The demonstrations.
        aggregation: A round in which the policy drives, or none.
        optimiser: How the weights move.
        loss: What is asked.
        augmentation: What is varied.
        check: Closed-loop checks.
        checkpoint_every: Optimiser steps between checkpoints.
    """

    name: str
    description: str
    seed: int
    network: NetworkConfig
    data: DataConfig
    aggregation: AggregationConfig | None = None
    optimiser: OptimiserConfig
    loss: LossConfig = LossConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    check: CheckConfig = CheckConfig()
    checkpoint_every: Positive = 500

    @model_validator(mode="after")
    def _aggregates_before_the_end(self) -> TrainingConfig:
        if self.aggregation and self.aggregation.after >= self.optimiser.steps:
            raise ValueError("aggregation.after must be below optimiser.steps")
        return self


def load_config(path: Path) -> TrainingConfig:
    """Read and check a recipe.

    Raises:
        ConfigError: The file is missing, is not YAML, or a field is unknown or impossible.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read; give an existing training recipe") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return TrainingConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {describe_first(error)}") from error


def describe_first(error: ValidationError) -> str:
    """The first problem of a validation error, in words."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        return f"unknown field {where}; correct or remove it"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def fingerprint(config: BaseModel, *, exclude: set[str] | None = None) -> str:
    """A short hash of a configuration; equal configurations have equal hashes."""
    text = config.model_dump_json(exclude=exclude)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
