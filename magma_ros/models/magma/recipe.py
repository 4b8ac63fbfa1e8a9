# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe of a small checkpoint of Magma's layout, trained on the simulator's demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from magma_ros.files import read_yaml, yaml_mapping
from magma_ros.models.data.config import AugmentationConfig, DataConfig
from magma_ros.models.magma.layout import MagmaShape, TextShape, VisionShape
from magma_ros.models.network.config import CameraConfig
from magma_ros.models.schema import Fraction, Positive, Strict
from magma_ros.models.training.config import ConfigError, OptimiserConfig

LAYOUT = "magma-8b"
"""What such a recipe says it makes, and by which it is told from that of a policy."""


class VisionConfig(Strict):
    """Of the tower.

    Attributes:
        depths: Blocks of each stage.
        widths: Channels of each stage.
        image_size: Side of the tile that the camera's picture is stretched to [px].
        layer_scale: Initial ConvNeXt layer scale.
    """

    depths: tuple[Positive, ...]
    widths: tuple[Positive, ...]
    image_size: Positive
    layer_scale: float = Field(default=0.1, gt=0.0)


class TextConfig(Strict):
    """Of the decoder; see :class:`~magma_ros.models.magma.layout.TextShape`."""

    width: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    head_width: Positive
    hidden: Positive


class RestConfig(Strict):
    """How often it is learned to stay where one is with an open gripper, as at a goal.

    The likeliest token is what is executed; where many frames say "stay", it is "stay" already near
    the goal, and the arm stops short of it.

    Attributes:
        after: Optimiser step from which on such frames are left out.
        share: Share of them that is kept.
        distance: Largest translation of an action that counts as none [m].
        turn: Largest turn that counts as none [rad].
    """

    after: Annotated[int, Field(ge=0)] = 0
    share: Fraction = 0.1
    distance: float = Field(default=0.002, ge=0.0)
    turn: float = Field(default=0.02, ge=0.0)


class LossWeights(Strict):
    """What is minimised besides the cross-entropy of the tokens, and how soft its labels are.

    Attributes:
        sigma: Standard deviation of the arm's labels [bins]; neighbouring bins are nearly right.
        last_sigma: The same while the learning rate falls; as before if not given. The likeliest
            bin is acted on: wide labels let no narrow peak outweigh what many bins share.
        heat: Weight of where target and goal are in the picture.
        positions: Weight of their positions relative to the tool.
    """

    sigma: float = Field(default=2.0, gt=0.0)
    last_sigma: float | None = Field(default=None, gt=0.0)
    heat: float = Field(default=0.3, ge=0.0)
    positions: float = Field(default=0.5, ge=0.0)


class CheckpointRecipe(Strict):
    """The whole recipe.

    Attributes:
        layout: What is made.
        name: Name of the checkpoint.
        description: One sentence for those who find it.
        seed: Seed of the initial weights, the order of samples and the augmentation.
        camera: The one camera that Magma sees, as it is recorded.
        vision: Its tower.
        text: Its decoder.
        data: The demonstrations.
        optimiser: The optimiser.
        loss: Weights of the losses.
        augmentation: Variation of the pictures.
        rest: How often it is learned to stay, or None for as often as the expert does.
        checkpoint_every: Optimiser steps between states to resume from.
    """

    layout: Literal["magma-8b"]
    name: str
    description: str
    seed: int
    camera: CameraConfig
    vision: VisionConfig
    text: TextConfig
    data: DataConfig
    optimiser: OptimiserConfig
    loss: LossWeights = LossWeights()
    augmentation: AugmentationConfig = AugmentationConfig()
    rest: RestConfig | None = None
    checkpoint_every: Positive = 200

    @property
    def shape(self) -> MagmaShape:
        """The shape of the checkpoint; its vocabulary is Magma's."""
        vision, text = self.vision, self.text
        return MagmaShape(
            vision=VisionShape(
                depths=vision.depths, widths=vision.widths, image_size=vision.image_size
            ),
            text=TextShape(**text.model_dump(), max_positions=1024),
        )


def makes_checkpoint(path: Path) -> bool:
    """Whether a recipe makes a checkpoint of Magma's layout, and not a policy.

    Raises:
        ConfigError: The file is missing or no YAML.
    """
    return yaml_mapping(path, error=ConfigError).get("layout") == LAYOUT


def read_recipe(path: Path) -> CheckpointRecipe:
    """Read a recipe.

    Raises:
        ConfigError: The file is missing, no YAML, or holds what a recipe may not.
    """
    return read_yaml(path, CheckpointRecipe, error=ConfigError)
