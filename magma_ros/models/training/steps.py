# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a step of training consists of, whatever is trained: batch, optimiser, running average."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from magma_ros.models.device import transfer
from magma_ros.models.network.losses import Batch, Losses
from magma_ros.models.training.config import OptimiserConfig, StartConfig
from magma_ros.models.training.restore import is_fresh

LAST_RATE = 0.03
"""Learning rate at the end, in units of its peak."""


def step_seed(seed: int, step: int) -> int:
    """The seed of everything random in a step."""
    return seed * 1_000_003 + step


def batch_rows(seed: int, step: int, size: int, count: int) -> npt.NDArray[np.int64]:
    """Which of ``count`` samples make up the batch of a step: every sample once per pass."""
    epoch, place = divmod(step * size, count - count % size)
    return _order(seed, epoch, count)[place : place + size]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def make_optimiser(
    network: nn.Module, config: OptimiserConfig, start: StartConfig | None = None
) -> torch.optim.Optimizer:
    """AdamW that decays matrices only, and learns what a bundle to start from lacks at its pace."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((parameter.ndim > 1, is_fresh(name)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if matrices else 0.0,
                "pace": start.fresh if fresh and start and start.bundle else 1.0,
            }
            for (matrices, fresh), parameters in groups.items()
        ],
        lr=config.learning_rate,
        betas=config.betas,
        fused=next(network.parameters()).is_cuda,
    )


def descend(
    optimiser: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    losses: Losses,
    rate: float,
    clip: float,
) -> Losses:
    """Take one optimiser step; return the losses without what they were computed from.

    Args:
        optimiser: Made by :func:`make_optimiser`.
        parameters: Whose gradients are limited together.
        losses: What is minimised.
        rate: Learning rate.
        clip: Largest norm of all gradients.
    """
    for group in optimiser.param_groups:
        group["lr"] = group["pace"] * rate
    optimiser.zero_grad(set_to_none=True)
    losses.total.backward()
    nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()
    terms = {name: term.detach() for name, term in losses.terms.items()}
    return Losses(losses.total.detach(), terms)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int, factor: float) -> None:
    """Move the running average of the weights towards them.

    Args:
        average: Whose parameters are changed.
        network: What it follows.
        step: Optimiser steps taken.
        factor: Share of the average that is kept, once it has forgotten the random start.
    """
    # Early on the average follows more quickly.
    kept = min(factor, (1 + step) / (10 + step))
    averages, moving = (list(module.parameters()) for module in (average, network))
    get_ema_multi_avg_fn(kept)(averages, moving, step)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; see :func:`~magma_ros.models.device.transfer`."""
    return batch.each(lambda tensor: transfer(tensor, device))


def training_progress() -> Progress:
    """A bar over all steps, with a task's description and a ``note``."""
    return Progress(
        TextColumn("[bold]training {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
