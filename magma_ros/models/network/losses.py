# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of the policy network.

At every exit, with equal weight: soft-bin cross-entropy and the L1 distance of the decoded action,
over the chunk elements whose labels hold, and where gripper and target will be in the image. The
last exit is the teacher of those before it (self-distillation, arXiv 1905.08094). Auxiliary losses
use simulator positions, which are labels and never inputs: target and goal relative to the end
effector, and the image positions of the grounding tokens' heat maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from magma_ros.models.network.actions import decode, soft_labels
from magma_ros.models.network.config import LossConfig, ViewConfig
from magma_ros.models.network.network import Inputs, PolicyOutput
from magma_ros.models.network.point import near_cells
from magma_ros.models.network.space import SpaceConfig

POSITION_UNIT = 0.1
"""Relative positions are learned in decimetres, so that they are of the order of one."""


class Labels(NamedTuple):
    """Labels of a batch.

    Attributes:
        actions: (B, K, D) normalised actions.
        valid: (B, K) whether the element is a label.
        positions: (B, 6) target and goal relative to the end effector [m]; nan if not known.
        pixels: By camera name, (B, 2 or 3, 2) column and row of target, goal and perhaps the hand,
            0 to 1 across the image; outside of that where they are not in view.
        traces: (B, H, 2, 2) where gripper and target will be, column and row, 0 to 1 across the
            image of the network's traces.
        traced: (B, H) whether that is known.
    """

    actions: Tensor
    valid: Tensor
    positions: Tensor
    pixels: dict[str, Tensor]
    traces: Tensor
    traced: Tensor


class Batch(NamedTuple):
    """Observations and their labels."""

    inputs: Inputs
    labels: Labels

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same with every tensor changed."""
        inputs, labels = self
        return Batch(
            Inputs(
                {name: change(image) for name, image in inputs.images.items()},
                change(inputs.proprioception),
                change(inputs.tokens),
                None if inputs.point is None else change(inputs.point),
            ),
            Labels(
                change(labels.actions),
                change(labels.valid),
                change(labels.positions),
                {name: change(pixels) for name, pixels in labels.pixels.items()},
                change(labels.traces),
                change(labels.traced),
            ),
        )


class Losses(NamedTuple):
    """The loss that is minimised, and its terms.

    Attributes:
        total: The weighted sum, a scalar.
        terms: By name, the scalars that are logged; ``error``, the L1 distance of the
            normalised action, is one of them for every kind of network.
    """

    total: Tensor
    terms: dict[str, Tensor]


def policy_losses(
    output: PolicyOutput,
    labels: Labels,
    views: Sequence[ViewConfig],
    weights: LossConfig,
    floor: Sequence[float] = SpaceConfig().floor,
) -> Losses:
    """All terms for one batch.

    Args:
        output: Of the network.
        labels: Of the same batch.
        views: Shapes of the heat maps, and which camera each of them reads.
        weights: Weights of the terms.
        floor: Least value of each column of an action; Magma's by default.

    Returns:
        The sum of the terms ``cross_entropy``; ``error``, of the decoded action; ``position``
        [m]; ``heat``, the cross-entropy of the heat maps; ``trace``, the L1 distance as a share of
        the image; and ``distillation``. Each is the mean over the exits that have it;
        ``last_error`` is that of the last exit.
    """
    surprises, errors, lessons = _of_actions(output, labels, weights.sigma, floor)
    heats = [
        heat_loss(output.heat[view.name], labels.pixels[view.camera], view.heat_grid)
        for view in views
        if view.name in output.heat
    ]
    nothing = errors[-1].new_zeros(())
    positions, traces = _of_positions(output, labels), _of_traces(output, labels)
    cross_entropy, error, position, trace, distillation, heat = (
        torch.stack(terms or [nothing]).mean()
        for terms in (surprises, errors, positions, traces, lessons, heats)
    )
    total = (
        cross_entropy
        + weights.expectation * error
        + weights.position * position
        + weights.heat * heat
        + weights.trace * trace
        + weights.distillation * distillation
    )
    terms = {
        "cross_entropy": cross_entropy,
        "error": error,
        "last_error": errors[-1],
        "position": position * POSITION_UNIT,
        "heat": heat,
        "trace": trace,
        "distillation": distillation,
    }
    return Losses(total, terms)


def _of_actions(
    output: PolicyOutput, labels: Labels, sigma: float, floor: Sequence[float]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Cross-entropy and error of every exit, and what all but the last learn from the last."""
    wanted = soft_labels(labels.actions, sigma)
    share = labels.valid.float() / labels.valid.sum().clamp_min(1)
    taught = functional.softmax(output.exits[-1].logits.detach().float(), dim=-1)
    surprises, errors, lessons = [], [], []
    for exit_output in output.exits:
        logits = exit_output.logits.float()
        log_share = functional.log_softmax(logits, dim=-1)
        surprises.append((_cross_entropy(wanted, log_share) * share).sum())
        distance = (decode(logits, floor).action - labels.actions).abs().mean(dim=-1)
        errors.append((distance * share).sum())
        if exit_output is not output.exits[-1]:
            lessons.append((_cross_entropy(taught, log_share) * share).sum())
    return surprises, errors, lessons


def _of_positions(output: PolicyOutput, labels: Labels) -> list[Tensor]:
    """Mean distance along the axes from where things are, of every reading of them."""
    located = labels.positions.isfinite().all(dim=-1)
    placed = labels.positions.nan_to_num()
    read = [exit_output.positions for exit_output in output.exits]
    found = []
    for positions in read if output.places is None else [*read, output.places]:
        away = (positions.float() - placed / POSITION_UNIT).abs().mean(dim=-1)
        found.append((away * located).sum() / located.sum().clamp_min(1))
    return found


def _of_traces(output: PolicyOutput, labels: Labels) -> list[Tensor]:
    """Distance from the hand's true trace at every exit that predicts one."""
    known = labels.traced.float() / labels.traced.sum().clamp_min(1)
    traces = [each.trace for each in output.exits if each.trace is not None]
    return [
        ((trace.float() - labels.traces).abs().mean(dim=(-1, -2)) * known).sum() for trace in traces
    ]


def _cross_entropy(wanted: Tensor, log_share: Tensor) -> Tensor:
    """(B, K) mean over the action's dimensions."""
    return -(wanted * log_share).sum(dim=-1).mean(dim=-1)


def heat_loss(logits: Tensor, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cross-entropy between heat maps and where things are.

    Args:
        logits: (B, G, N); the first maps are those of target, goal and, where it is labelled, the
            hand; others have no label.
        pixels: (B, 2 or 3, 2) as in :class:`Labels`.
        grid: Rows and columns; N is their product.

    Returns:
        The mean over what is in view.
    """
    wanted = near_cells(pixels, grid)
    seen = ((pixels > 0.0) & (pixels < 1.0)).all(dim=-1).float()
    surprise = -(wanted * functional.log_softmax(logits[:, : pixels.shape[1]].float(), dim=-1)).sum(
        dim=-1
    )
    return (surprise * seen).sum() / seen.sum().clamp_min(1.0)
