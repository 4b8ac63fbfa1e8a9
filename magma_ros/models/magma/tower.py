# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Magma sees with: the ConvNeXt tower, and the projector to the decoder's width.

The tower is transformers' ConvNeXt. Magma's checkpoint names its weights as timm does;
:func:`timm_name` and :func:`transformers_name` translate.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import ConvNextConfig, ConvNextModel

from magma_ros.models.device import transfer
from magma_ros.models.magma.layout import MagmaShape, VisionShape

_RENAMED = (
    ("stem.0", "embeddings.patch_embeddings"),
    ("stem.1", "embeddings.layernorm"),
    ("stages", "encoder.stages"),
    ("downsample", "downsampling_layer"),
    ("blocks", "layers"),
    ("gamma", "layer_scale_parameter"),
    ("conv_dw", "dwconv"),
    ("norm", "layernorm"),
    ("mlp.fc1", "pwconv1"),
    ("mlp.fc2", "pwconv2"),
)
"""Parts of a parameter's name in timm and in transformers."""


class VisionTower(nn.Module):
    """The stem and the stages of a ConvNeXt; neither pooling nor a last norm follow.

    Args:
        vision: Its shape.
    """

    def __init__(self, vision: VisionShape) -> None:
        super().__init__()
        model = ConvNextModel(
            ConvNextConfig(
                patch_size=vision.patch,
                num_stages=len(vision.depths),
                depths=list(vision.depths),
                hidden_sizes=list(vision.widths),
            )
        )
        self.embeddings = model.embeddings
        self.encoder = nn.Module()
        self.encoder.stages = model.encoder.stages
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = vision.eps  # transformers fixes it at 1e-6

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (B, H / 32, W / 32, C) of normalised pixels (B, 3, H, W)."""
        features: Tensor = self.embeddings(pixels)
        for stage in cast("nn.ModuleList", self.encoder.stages):
            features = stage(features)
        return features.permute(0, 2, 3, 1)


class Projector(nn.Module):
    """LLaVA-1.5's projector, and the vector that ends every row of the stitched map.

    Args:
        shape: Of the checkpoint.
    """

    def __init__(self, shape: MagmaShape) -> None:
        super().__init__()
        features, width = shape.vision.widths[-1], shape.text.width
        self.proj = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, width))
        # The name is spelt as in the checkpoint.
        self.row_seperator = (
            nn.Parameter(0.02 * torch.randn(1, 1, width)) if shape.row_separator else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """Image tokens (B, N, D) of the tiles' features (B, rows, columns, H, W, C).

        The tiles are stitched to one map of features, which is read row by row.
        """
        projected: Tensor = self.proj(features)
        rows = projected.transpose(2, 3).flatten(1, 2).flatten(2, 3)
        if self.row_seperator is not None:
            batch, count = rows.shape[:2]
            ends = self.row_seperator.expand(batch, count, -1).unsqueeze(2)
            rows = torch.cat([rows, ends], dim=2)
        tokens: Tensor = rows.flatten(1, 2)
        return tokens


def pixels_of(image: Tensor, shape: MagmaShape, rows: int = 1, columns: int = 1) -> Tensor:
    """Normalised tiles (B, rows, columns, 3, S, S) of pictures (B, H, W, 3) from 0 to 255.

    A picture is normalised first and then stretched to all tiles together, bilinearly, without
    smoothing and without keeping its proportions.

    Args:
        image: uint8, or already float.
        shape: Of the checkpoint.
        rows: Rows of tiles, see :func:`~magma_ros.models.magma.tiles.choose_tiles`.
        columns: Columns of tiles.
    """
    side = shape.vision.image_size
    mean = transfer(torch.tensor(shape.image_mean), image.device).view(1, 3, 1, 1)
    std = transfer(torch.tensor(shape.image_std), image.device).view(1, 3, 1, 1)
    pixels = (image.permute(0, 3, 1, 2).float() / 255.0 - mean) / std
    canvas = nn.functional.interpolate(
        pixels, size=(rows * side, columns * side), mode="bilinear", align_corners=False
    )
    tiles: Tensor = canvas.unflatten(3, (columns, side)).unflatten(2, (rows, side))
    return tiles.permute(0, 2, 4, 1, 3, 5)


def transformers_name(name: str) -> str:
    """The name of a tower's parameter in transformers, of its name in timm."""
    return _renamed(name, _RENAMED)


def timm_name(name: str) -> str:
    """The name of a tower's parameter in timm, of its name in transformers."""
    return _renamed(name, tuple((there, here) for here, there in _RENAMED))


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """The name with every part replaced that stands between dots."""
    name = f".{name}."
    for before, after in pairs:
        name = name.replace(f".{before}.", f".{after}.")
    return name.strip(".")
