# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Magma's action format in PyTorch: 256 edges on [-1, 1], so 255 bins per dimension.

What its -1 and 1 stand for tells :mod:`~magma_ros.models.network.normalisation`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from magma_ros.models.network.space import SpaceConfig

BINS = 255
"""Intervals between Magma's 256 edges."""

WINDOW = 12
"""Bins on either side of the likeliest one that take part in decoding."""


class Decoded(NamedTuple):
    """What is decoded from a bin distribution.

    Attributes:
        action: (..., D) on [-1, 1], a gripper's column on [0, 1].
        entropy: (..., D) entropy divided by that of the uniform distribution, 0 to 1.
        margin: (..., D) lead of the likeliest bin and its neighbours (the decoding window) over
            all other bins, in probability, 0 to 1. Neighbours are taken together because the
            labels are soft: next to a sure bin lies one that is nearly as likely.
    """

    action: Tensor
    entropy: Tensor
    margin: Tensor


def bin_centres(device: torch.device | None = None) -> Tensor:
    """(255,) the value at the middle of each bin."""
    edges = torch.linspace(-1.0, 1.0, BINS + 1, dtype=torch.float64, device=device)
    return ((edges[:-1] + edges[1:]) / 2.0).float()


def soft_labels(values: Tensor, sigma: float) -> Tensor:
    """Spread values over the bins.

    Args:
        values: (...) on [-1, 1]; clamped to the outermost bin centres.
        sigma: Standard deviation of the label [bins].

    Returns:
        (..., 255) Gaussian weights that sum to one.
    """
    centres = bin_centres(values.device).to(values)
    clamped = values.clamp(centres[0], centres[-1]).unsqueeze(-1)
    distance = (centres - clamped) * (BINS / 2.0 / sigma)
    return torch.softmax(-0.5 * distance.square(), dim=-1)


def decode(logits: Tensor, floor: Sequence[float] = SpaceConfig().floor) -> Decoded:
    """The action and its confidence figures.

    Args:
        logits: (..., D, 255).
        floor: Least value of each of the D columns; Magma's by default.
    """
    probability = torch.softmax(logits, dim=-1)
    index = torch.arange(BINS, device=logits.device)
    near = (index - probability.argmax(dim=-1, keepdim=True)).abs() <= WINDOW
    inside = probability * near
    mass = inside.sum(dim=-1)
    action = (inside * bin_centres(logits.device).to(logits)).sum(dim=-1) / mass
    information = torch.log_softmax(logits, dim=-1)
    entropy = -(probability * information).sum(dim=-1) / math.log(BINS)
    return Decoded(
        action=torch.maximum(action, action.new_tensor(floor)),
        entropy=entropy.clamp(0.0, 1.0),
        margin=(2.0 * mass - 1.0).clamp(0.0, 1.0),
    )
