# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where things are: heat maps finer than the vision tokens, and places in space read from them.

A picture of 192 pixels becomes 36 tokens, which is enough to think about and too coarse to grasp
by. Heat maps of an early stage of the tower, which know through the last stage what they look at,
find an object to a fraction of a pixel; a head of their own turns the places in the picture into
places in space, and a token says how far hand, target and goal are from each other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from magma_ros.models.network.config import NetworkConfig, ViewConfig

FINE = 64
"""Width of what the heat maps are drawn from."""

MAPS = 3
"""Heat maps that places are read from: of target, goal and hand, in this order."""

OCTAVES = 6
"""Octaves of the sines and cosines in which a place in the picture is given: half precision would
otherwise round it to a pixel."""

DIFFERENCES = 9
"""Numbers of three differences in space."""


class FineGrounding(nn.Module):
    """Grounding tokens from heat maps at the resolution of an early stage of the tower."""

    grid: Tensor

    def __init__(self, config: NetworkConfig, view: ViewConfig) -> None:
        super().__init__()
        assert view.fine is not None
        self.count, self.coarse, self.shape = config.grounding, view.grid, view.heat_grid
        self.near = nn.Linear(view.channels[view.fine - 1], FINE)
        self.far = nn.Linear(config.width, FINE)
        self.queries = nn.Linear(config.width, self.count * FINE)
        self.content = nn.Linear(FINE, config.width)
        self.place = nn.Sequential(
            nn.Linear(2 + 4 * OCTAVES, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.width),
        )
        self.identity = nn.Parameter(0.02 * torch.randn(1, self.count, config.width))
        self.register_buffer("grid", cells(self.shape), persistent=False)

    def forward(self, early: Tensor, tokens: Tensor, instruction: Tensor) -> tuple[Tensor, Tensor]:
        """Grounding tokens (B, G, D) and heat logits (B, G, M).

        Args:
            early: Features of the early stage, (B, M, C).
            tokens: Of the view, (B, N, D).
            instruction: Summary (B, D).
        """
        (rows, columns), (high, wide) = self.coarse, self.shape
        far = self.far(tokens).unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
        far = nn.functional.interpolate(far, (high, wide), mode="bilinear", align_corners=False)
        seen = nn.functional.gelu(self.near(early) + far.flatten(2).transpose(1, 2))
        queries = self.queries(instruction).unflatten(-1, (self.count, -1))
        heat = (queries @ seen.transpose(1, 2)).float() * FINE**-0.5
        weights = torch.softmax(heat, dim=-1)
        content = self.content(weights.to(seen.dtype) @ seen)
        return content + self.place(waves(spots(weights, self.grid))) + self.identity, heat


class PlaceHead(nn.Module):
    """Places in space from heat maps, and a token of how far they are from each other."""

    grid: Tensor

    def __init__(self, config: NetworkConfig, view: ViewConfig) -> None:
        super().__init__()
        width = config.width
        given = MAPS * (2 + 4 * OCTAVES + width) + len(config.proprioception) + width
        self.places = nn.Sequential(
            nn.Linear(given, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 6),
        )
        self.token = nn.Sequential(
            nn.Linear(DIFFERENCES, width), nn.GELU(), nn.Linear(width, width)
        )
        self.register_buffer("grid", cells(view.heat_grid), persistent=False)

    def forward(
        self, heat: Tensor, seen: Tensor, measured: Tensor, instruction: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The token (B, 1, D), and target and goal relative to the end effector (B, 6).

        Args:
            heat: (B, G, M) logits, the first three of target, goal and hand.
            seen: (B, G, D) grounding tokens: how large a thing looks tells how far away it floats.
            measured: (B, P) normalised.
            instruction: Summary (B, D).
        """
        found = spots(torch.softmax(heat[:, :MAPS], dim=-1), self.grid)
        shown = (waves(found).flatten(1), seen[:, :MAPS].flatten(1))
        places = self.places(torch.cat([*shown, measured, instruction], dim=-1))
        target, goal = places.chunk(2, dim=-1)
        token = self.token(torch.cat([target, goal, goal - target], dim=-1))
        return token.unsqueeze(1), places


def cells(shape: tuple[int, int]) -> Tensor:
    """(M, 2) column and row of the centres of a grid's cells, 0 to 1 across the image."""
    rows, columns = ((torch.arange(n) + 0.5) / n for n in shape)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flip(-1)
    return grid.reshape(-1, 2)


def spots(weights: Tensor, grid: Tensor) -> Tensor:
    """(B, G, 2) mean places of heat maps (B, G, M); no product, which would round to bf16."""
    return (weights.unsqueeze(-1) * grid).sum(dim=-2)


def waves(places: Tensor) -> Tensor:
    """Places (..., 2) with the sines and cosines of their octaves, (..., 2 + 4 octaves)."""
    scales = math.pi * 2.0 ** torch.arange(OCTAVES, device=places.device)
    angles = (places.unsqueeze(-1) * scales).flatten(-2)
    return torch.cat([places, angles.sin(), angles.cos()], dim=-1)
