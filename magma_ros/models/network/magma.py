# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy of Magma's kind: the stages of its configuration, one after the other."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from magma_ros.models.network.actions import BINS, decode
from magma_ros.models.network.config import LossConfig, NetworkConfig, ThinkConfig
from magma_ros.models.network.graphs import StageGraph, stage_graphs
from magma_ros.models.network.losses import Batch, Losses, policy_losses
from magma_ros.models.network.network import (
    ExitOutput,
    FirstLookStage,
    Inputs,
    LookStage,
    PolicyOutput,
    ThinkStage,
    tokens_of,
)
from magma_ros.models.network.policy import Policy


class MagmaPolicy(Policy):
    """The policy as a row of stages; each is exported to one graph.

    Attributes:
        config: Shape of the network.
        stages: Looks and thinks, in order.

    Args:
        config: Shape of the network.
        vocabulary: Number of word ids, padding and unknown included.
    """

    bins = BINS

    def __init__(self, config: NetworkConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.stages = nn.ModuleList()
        length = config.chunk_length + 1 + config.max_tokens
        length += (config.point is not None) + (config.places is not None)
        for stage in config.stages:
            if isinstance(stage, ThinkConfig):
                self.stages.append(ThinkStage(config, stage, length))
                continue
            later = len(self.stages) > 0
            look = LookStage(config, stage) if later else FirstLookStage(config, stage, vocabulary)
            self.stages.append(look)
            length += sum(tokens_of(config.view(name), config) for name in stage.look)

    def forward(self, inputs: Inputs) -> PolicyOutput:
        """Run every stage."""
        exits: list[ExitOutput] = []
        first, *rest = self.stages
        state, instruction, heat, places = first(*inputs)
        for stage in rest:
            if isinstance(stage, LookStage):
                state, more = stage(inputs.images, state, instruction, inputs.point)
                heat |= more
                continue
            think = cast("ThinkStage", stage)
            state = think(state)
            if think.exit is not None:
                exits.append(think.exit(state))
        return PolicyOutput(exits, heat, places)

    def set_proprioception_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Fix the (P,) mean and standard deviation by which measured values are normalised."""
        first = cast("FirstLookStage", self.stages[0])
        first.proprioception_mean.copy_(mean)
        first.proprioception_std.copy_(std.clamp_min(1e-3))

    def losses(self, batch: Batch, weights: LossConfig) -> Losses:
        """See :class:`Policy`."""
        floor = self.config.action.floor
        return policy_losses(self(batch.inputs), batch.labels, self.config.views, weights, floor)

    def plan(self, inputs: Inputs) -> Tensor:
        """See :class:`Policy`."""
        return decode(self(inputs).exits[-1].logits, self.config.action.floor).action

    def stage_graphs(self) -> list[StageGraph]:
        """See :class:`Policy`."""
        return stage_graphs(self.eval().stages)
