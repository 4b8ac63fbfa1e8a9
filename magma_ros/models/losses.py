# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training asks of the network.

At every exit, with equal weight: soft-bin cross-entropy and the L1 distance of the decoded action,
over the chunk elements whose labels hold. As training aids, from simulator positions that are
labels and never inputs: where target and goal are relative to the end effector, and where the
grounding tokens should look.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from magma_ros.models.actions import decode, soft_labels
from magma_ros.models.config import LossConfig
from magma_ros.models.network import Inputs, PolicyOutput

POSITION_UNIT = 0.1
"""Relative positions are learned in decimetres, so that they are of the order of one."""


class Labels(NamedTuple):
    """What the network should have said about a batch.

    Attributes:
        actions: (B, K, 7) normalised actions.
        valid: (B, K) whether the element is a label.
        positions: (B, 6) target and goal relative to the end effector [m].
        pixels: By camera name, (B, 2, 2) column and row of target and goal, 0 to 1 across the
            image; outside of that where they are not in view.
    """

    actions: Tensor
    valid: Tensor
    positions: Tensor
    pixels: dict[str, Tensor]


class Batch(NamedTuple):
    """Observations and what should be said about them."""

    inputs: Inputs
    labels: Labels


class Losses(NamedTuple):
    """The terms, each a scalar; ``total`` is the weighted sum that is minimised.

    Attributes:
        total: The weighted sum.
        cross_entropy: Mean over the exits.
        error: L1 distance of the decoded normalised action, mean over the exits.
        last_error: The same at the last exit.
        position: L1 distance of the relative positions [m].
        heat: Cross-entropy of the heat maps.
    """

    total: Tensor
    cross_entropy: Tensor
    error: Tensor
    last_error: Tensor
    position: Tensor
    heat: Tensor


def policy_losses(
    output: PolicyOutput, labels: Labels, grids: dict[str, tuple[int, int]], weights: LossConfig
) -> Losses:
    """All terms for one batch.

    Args:
        output: What the network said.
        labels: What it should have said.
        grids: Rows and columns of vision tokens by camera.
        weights: Weights of the terms.
    """
    wanted = soft_labels(labels.actions, weights.sigma)
    share = labels.valid.float() / labels.valid.sum().clamp_min(1)
    entropies, errors, positions = [], [], []
    for said in output.exits:
        logits = said.logits.float()
        surprise = -(wanted * functional.log_softmax(logits, dim=-1)).sum(dim=-1).mean(dim=-1)
        distance = (decode(logits).action - labels.actions).abs().mean(dim=-1)
        entropies.append((surprise * share).sum())
        errors.append((distance * share).sum())
        positions.append(
            functional.l1_loss(said.positions.float(), labels.positions / POSITION_UNIT)
        )
    cross_entropy, error = torch.stack(entropies).mean(), torch.stack(errors).mean()
    position = torch.stack(positions).mean()
    heat = torch.stack(
        [
            heat_loss(logits, labels.pixels[name], grids[name])
            for name, logits in output.heat.items()
            if name in labels.pixels
        ]
        or [cross_entropy.new_zeros(())]
    ).mean()
    total = (
        cross_entropy
        + weights.expectation * error
        + weights.position * position
        + weights.heat * heat
    )
    return Losses(total, cross_entropy, error, errors[-1], position * POSITION_UNIT, heat)


def heat_loss(logits: Tensor, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cross-entropy between heat maps and where things are.

    Args:
        logits: (B, G, N); the first two maps are asked for target and goal, others are free.
        pixels: (B, 2, 2) as in :class:`Labels`.
        grid: Rows and columns; N is their product.

    Returns:
        The mean over what is in view.
    """
    columns = _spread(pixels[..., 0], grid[1])
    rows = _spread(pixels[..., 1], grid[0])
    wanted = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(-2)
    seen = ((pixels > 0.0) & (pixels < 1.0)).all(dim=-1).float()
    surprise = -(wanted * functional.log_softmax(logits[:, :2].float(), dim=-1)).sum(dim=-1)
    return (surprise * seen).sum() / seen.sum().clamp_min(1.0)


def _spread(place: Tensor, cells: int) -> Tensor:
    """Linear weights of a place in 0..1 on the two nearest of ``cells`` cell centres."""
    centre = (place.unsqueeze(-1) * cells - 0.5).clamp(0.0, cells - 1.0)
    index = torch.arange(cells, device=place.device)
    return (1.0 - (centre - index).abs()).clamp_min(0.0)
