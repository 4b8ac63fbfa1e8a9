# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grafting as in LLaVA-1.5 (arXiv 2310.03744): trained towers, a trained decoder, a new joint.

The vision towers come from one policy, the decoder from another. What joins them is initialised
anew: the projector, the instruction's modulation of the towers, the tokens' positions and the
grounding. It is trained alone first, and then all weights are fine-tuned together.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from magma_ros.models.network.policy import Policy
from magma_ros.models.training.checkpoint import CheckpointError, Recipe, load_policy
from magma_ros.models.training.config import GraftConfig

VIEW_WEIGHTS = ".vision.towers."
"""Part of the name of every weight of a look that belongs to a view."""

TOWER_PARTS = frozenset({"stem", "stages", "norm"})
"""Parts of a view that belong to its tower; the others join it to the decoder."""


class Part(Enum):
    """What a weight belongs to."""

    TOWER = "tower"
    JOINT = "joint"
    DECODER = "decoder"


def part_of(weight: str) -> Part:
    """What the weight of that name belongs to."""
    _, found, inside = weight.partition(VIEW_WEIGHTS)
    if not found:
        return Part.DECODER
    return Part.TOWER if inside.split(".")[1] in TOWER_PARTS else Part.JOINT


def graft(network: Policy, recipe: Recipe, config: GraftConfig) -> None:
    """Put trained towers and a trained decoder into a fresh network; the joint stays fresh.

    Raises:
        CheckpointError: A donor is missing, damaged, or of another kind than the recipe asks for.
    """
    towers, decoder = (_donor(folder, recipe) for folder in (config.towers, config.decoder))
    donors = {Part.TOWER: towers.state_dict(), Part.DECODER: decoder.state_dict()}
    weights = network.state_dict()
    for name in weights:
        if (part := part_of(name)) in donors:
            weights[name] = donors[part][name]
    network.load_state_dict(weights)


def train_only(network: Policy, parts: frozenset[Part]) -> None:
    """Freeze all weights but those of these parts."""
    for name, weight in network.named_parameters():
        weight.requires_grad_(part_of(name) in parts)


def _donor(folder: Path, recipe: Recipe) -> Policy:
    network, known = load_policy(folder)
    if known.config.network != recipe.config.network:
        raise CheckpointError(
            f"{folder} has another network than the recipe; graft policies of one shape"
        )
    if known.vocabulary != recipe.vocabulary:
        raise CheckpointError(f"{folder} has another vocabulary; train it on the same tasks")
    if difference := known.statistics.difference(recipe.statistics):
        raise CheckpointError(f"{folder} was trained on other demonstrations: {difference}")
    return network
