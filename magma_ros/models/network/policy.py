# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of networks to trainer, closed-loop checks and exporter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from magma_ros.models.network.config import LossConfig
from magma_ros.models.network.graphs import StageGraph
from magma_ros.models.network.losses import Batch, Losses
from magma_ros.models.network.network import Inputs


class Policy(nn.Module, ABC):
    """A network that plans from observations; the signature of ``forward`` depends on the kind.

    Attributes:
        bins: Bins in which it gives each dimension of an action; None if it is a regressor.
    """

    bins: ClassVar[int | None]

    @abstractmethod
    def set_proprioception_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Fix the (P,) mean and standard deviation by which measured values are normalised."""

    @abstractmethod
    def losses(self, batch: Batch, weights: LossConfig) -> Losses:
        """Run the network, compiled if it was, on a batch, and return the losses."""

    @abstractmethod
    def plan(self, inputs: Inputs) -> Tensor:
        """(B, K, D) actions at full depth, on [-1, 1] and a gripper's on [0, 1]."""

    @abstractmethod
    def stage_graphs(self) -> list[StageGraph]:
        """The stages to export, in the order in which they run; leaves training mode."""
