# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A place in the image as an input: what the instruction names by a mark (Magma's Set-of-Mark).

It becomes one token of the state, a shift of the instruction's summary, a mark on the vision tokens
around it, and the heat map of the target. The first three begin at zero, and without a point the
fourth is as it was: a network that was trained without points behaves as before until it is given
one, and then it looks there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WAVES = 4
"""Octaves of the sines and cosines in which a place is given (Fourier features, arXiv 2006.10739):
an MLP of the bare numbers would blur what lies near."""

FAR = 1e-3
"""Share that every cell has in a heat map of a place, so that its logarithm is finite."""


class PointEncoder(nn.Module):
    """A token and a shift of the instruction's summary from a place."""

    scales: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        scales = math.pi * 2.0 ** torch.arange(WAVES)
        self.register_buffer("scales", scales, persistent=False)
        self.hidden = nn.Linear(2 + 4 * WAVES, width)
        self.token, self.summary = zeros(width), zeros(width)
        self.none = nn.Parameter(torch.zeros(1, width))

    def forward(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """The token (B, 1, D) and what is added to the summary (B, D).

        Args:
            point: (B, 3) column and row, 0 to 1 across the image, then 1; or zeros for no place.
        """
        place, present = point.split([2, 1], dim=-1)
        angles = (place.unsqueeze(-1) * self.scales).flatten(1)
        features = torch.cat([place, angles.sin(), angles.cos()], dim=-1)
        hidden = nn.functional.gelu(self.hidden(features))
        token = present * self.token(hidden) + (1.0 - present) * self.none
        return token.unsqueeze(1), present * self.summary(hidden)


class PointMark(nn.Module):
    """Marks the vision tokens of one view around a place."""

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.mark = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, tokens: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
        """The marked tokens (B, N, D), and how near each is to the place, (B, N).

        Args:
            tokens: (B, N, D).
            point: See :meth:`PointEncoder.forward`; without one nothing is near.
        """
        near = near_cells(point[:, :2], self.grid) * point[:, 2:]
        return tokens + near.unsqueeze(-1) * self.mark, near


class PointTrust(nn.Module):
    """Puts the place in the stead of a heat map, as far as the instruction means it.

    Args:
        width: Of the instruction's summary.
        maps: Heat maps; the first, that of the target, trusts a point from the beginning.
    """

    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        self.trust = nn.Linear(width, maps)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        nn.init.ones_(self.trust.bias[:1])

    def forward(self, heat: Tensor, near: Tensor, instruction: Tensor) -> Tensor:
        """The heat logits (B, G, N), moved towards the logarithm of ``near`` (B, N)."""
        present = near.sum(dim=-1, keepdim=True)
        share = (present * self.trust(instruction)).unsqueeze(-1)
        wanted: Tensor = heat + share * ((near + FAR).log().unsqueeze(1) - heat)
        return wanted


def zeros(width: int) -> nn.Linear:
    """A linear layer that gives zero until it is trained."""
    layer = nn.Linear(width, width)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def near_cells(places: Tensor, grid: tuple[int, int]) -> Tensor:
    """Linear weights of places on the nearest four of a grid's cell centres.

    Args:
        places: (..., 2) column and row, 0 to 1 across the image.
        grid: Rows and columns; N is their product.

    Returns:
        (..., N), of sum one.
    """
    columns, rows = _spread(places[..., 0], grid[1]), _spread(places[..., 1], grid[0])
    return (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(-2)


def _spread(place: Tensor, cells: int) -> Tensor:
    """Linear weights of a place in 0..1 on the two nearest of ``cells`` cell centres."""
    centre = (place.unsqueeze(-1) * cells - 0.5).clamp(0.0, cells - 1.0)
    index = torch.arange(cells, device=place.device)
    return (1.0 - (centre - index).abs()).clamp_min(0.0)
