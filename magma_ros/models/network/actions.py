# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Magma's action format in PyTorch: 256 edges on [-1, 1], so 255 bins per dimension.

Arm columns are normalised with the 1st and 99th percentile of the data (BOUNDS_Q99 of OpenVLA,
arXiv 2406.09246, which Magma shares); the gripper, 0 to 1, passes through unchanged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from magma_ros.types import GRIPPER

BINS = 255
"""Intervals between Magma's 256 edges."""

WINDOW = 12
"""Bins on either side of the likeliest one that take part in decoding."""


class Decoded(NamedTuple):
    """What is decoded from a bin distribution.

    Attributes:
        action: (..., 7) on [-1, 1], the gripper column on [0, 1].
        entropy: (..., 7) entropy divided by that of the uniform distribution, 0 to 1.
        margin: (..., 7) lead of the likeliest bin and its neighbours (the decoding window) over
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


def decode(logits: Tensor) -> Decoded:
    """The action and its confidence figures, from (..., 7, 255) logits."""
    probability = torch.softmax(logits, dim=-1)
    index = torch.arange(BINS, device=logits.device)
    near = (index - probability.argmax(dim=-1, keepdim=True)).abs() <= WINDOW
    inside = probability * near
    mass = inside.sum(dim=-1)
    action = (inside * bin_centres(logits.device).to(logits)).sum(dim=-1) / mass
    information = torch.log_softmax(logits, dim=-1)
    entropy = -(probability * information).sum(dim=-1) / math.log(BINS)
    arm, gripper = action[..., :GRIPPER], action[..., GRIPPER:]
    return Decoded(
        action=torch.cat([arm, gripper.clamp(0.0, 1.0)], dim=-1),
        entropy=entropy.clamp(0.0, 1.0),
        margin=(2.0 * mass - 1.0).clamp(0.0, 1.0),
    )
