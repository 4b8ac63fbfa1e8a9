# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One round of DAgger (Ross et al., AISTATS 2011): the policy drives, the expert labels.

Policy and expert take turns. While the policy drives, each state gets the expert's next action;
while the expert drives, whole chunks of labels follow on from where the policy had led.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from magma_ros.models.checkpoint import AVERAGE, load_policy
from magma_ros.models.data import (
    Driver,
    claim_folder,
    episode_rng,
    plan_shards,
    write_card,
    write_shards,
)
from magma_ros.models.data_config import AggregationConfig, DataConfig
from magma_ros.models.rollout import STRIDE, TorchPolicy
from magma_ros.policy.manifest import sha256_of
from magma_ros.sim.simulation import Simulation
from magma_ros.types import FloatArray

SEED_OFFSET = 500_000
"""Distance of the first seed from that of the demonstrations."""


def aggregate(
    checkpoint: Path,
    data: DataConfig,
    aggregation: AggregationConfig,
    folder: Path,
    *,
    workers: int = 0,
) -> None:
    """Make the demonstrations of one round.

    Args:
        checkpoint: The policy that drives.
        data: Suite, seeds and shards of the demonstrations that it learned from.
        aggregation: How many, and who drives for how long.
        folder: Where the shards go.
        workers: Processes; 0 for one per core.

    Raises:
        DataError: The folder holds demonstrations made with another policy.
    """
    claim_folder(folder, sha256_of(checkpoint / AVERAGE))
    config = data.model_copy(
        update={
            "folder": folder,
            "episodes": aggregation.episodes,
            "seed": data.seed + SEED_OFFSET,
        }
    )
    make_driver = MakeTurns(checkpoint, aggregation)
    write_shards(plan_shards(config, folder, make_driver), workers, "aggregation")
    write_card(folder, config)


@dataclass(frozen=True, slots=True)
class MakeTurns:
    """Makes the :class:`Turns` of an episode; picklable, unlike a closure."""

    checkpoint: Path
    config: AggregationConfig

    def __call__(self, task: str, seed: int) -> Driver:
        """The driver for that episode."""
        return Turns(_policy(self.checkpoint), self.config, episode_rng(task, seed))


class Turns:
    """Policy and expert drive in turn; the policy begins."""

    def __init__(
        self, policy: TorchPolicy, config: AggregationConfig, rng: np.random.Generator
    ) -> None:
        self._policy, self._config, self._rng = policy, config, rng
        self._expert_drives = True
        self._left = 0
        self._plan: list[FloatArray] = []

    def __call__(self, simulation: Simulation, label: FloatArray) -> FloatArray | None:
        """See :class:`~magma_ros.models.data.Driver`."""
        del label
        if not self._left:
            self._change_over()
        self._left -= 1
        if self._expert_drives:
            return None
        if not self._plan:
            self._plan = list(self._policy.plan(simulation)[:STRIDE])
        return self._plan.pop(0)

    def _change_over(self) -> None:
        self._expert_drives = not self._expert_drives
        shortest, longest = self._config.drive
        drive = int(self._rng.integers(shortest, longest + 1))
        self._left = self._config.recover if self._expert_drives else drive
        self._plan = []


@cache
def _policy(checkpoint: Path) -> TorchPolicy:
    """The policy, loaded once per process and kept to one thread beside its neighbours."""
    torch.set_num_threads(1)
    return TorchPolicy(*load_policy(checkpoint))
