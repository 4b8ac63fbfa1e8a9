# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One round of DAgger (Ross et al., AISTATS 2011): the policy acts, the expert labels.

Policy and expert act in turn. While the policy acts, each state is labelled with the expert's next
action; while the expert acts, whole chunks of labels begin in states that the policy led to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from magma_ros.models.data.card import Origin, write_card
from magma_ros.models.data.config import AggregationConfig, DataConfig
from magma_ros.models.data.episodes import Driver, episode_rng
from magma_ros.models.data.generate import NO_CONTENT, claim_folder, plan_shards, write_shards
from magma_ros.models.data.shards import DataError, check_shards
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.schema import fingerprint
from magma_ros.models.training.checkpoint import AVERAGE, latest, load_policy
from magma_ros.models.training.rollout import TorchPolicy
from magma_ros.policy.manifest import sha256_of
from magma_ros.sim.simulation import Simulation
from magma_ros.types import FloatArray

TOLERANCE = 0.01
"""Largest difference of statistics that is accepted, because machines round differently."""

SCHEDULE = {"after", "learning_rate"}
"""Fields of an :class:`AggregationConfig` that no shard depends on."""


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
        checkpoint: The policy that acts, or a run's folder, of which the newest is taken.
        data: The demonstrations that it learned from.
        aggregation: How many episodes, and how long each acts at a time.
        folder: Where the shards go.
        workers: Processes; 0 for one per core.

    Raises:
        CheckpointError: There is no usable checkpoint.
        DataError: The policy learned from other demonstrations than ``data``, or the folder holds
            some that were made in another way.
    """
    checkpoint = latest(checkpoint)
    _check_statistics(checkpoint, data)
    policy = sha256_of(checkpoint / AVERAGE)
    identity = (
        policy,
        fingerprint(data, exclude=NO_CONTENT),
        fingerprint(aggregation, exclude=SCHEDULE),
    )
    claim_folder(folder, "-".join(identity))
    check_shards(folder, skip_damaged=data.skip_damaged)
    config = data.model_copy(
        update={
            "folder": folder,
            "episodes": aggregation.episodes,
            "seed": data.seed + aggregation.seed_offset,
        }
    )
    make_driver = MakeTurns(checkpoint, aggregation)
    write_shards(
        plan_shards(config, folder, make_driver, aggregation.split), workers, "aggregation"
    )
    origin = Origin(
        story="A policy and the scripted expert drive in turn, and the expert labels every step "
        f"(DAgger). SHA-256 of the policy's weights: {policy}.",
        command="magma data aggregate --config recipe.yaml --checkpoint checkpoint",
        recipe={
            "data": data.model_dump(mode="json", exclude=NO_CONTENT),
            "aggregation": aggregation.model_dump(mode="json"),
        },
    )
    write_card(folder, origin, skip_damaged=data.skip_damaged)


def _check_statistics(checkpoint: Path, data: DataConfig) -> None:
    """Refuse demonstrations that the policy did not learn from."""
    _, recipe = load_policy(checkpoint)
    found = Statistics.of_folders(data.folder, *data.more, skip_damaged=data.skip_damaged)
    if difference := found.difference(recipe.statistics, TOLERANCE):
        raise DataError(
            f"{checkpoint} did not learn from {data.folder}: {difference}; "
            "give the recipe it was trained with"
        )


@dataclass(frozen=True, slots=True)
class MakeTurns:
    """Makes the :class:`Turns` of an episode; picklable, unlike a closure."""

    checkpoint: Path
    config: AggregationConfig

    def __call__(self, task: str, seed: int) -> Driver:
        """The driver for that episode."""
        return Turns(_policy(self.checkpoint), self.config, episode_rng(task, seed))


class Turns:
    """Policy and expert act in turn; the policy begins."""

    def __init__(
        self, policy: TorchPolicy, config: AggregationConfig, rng: np.random.Generator
    ) -> None:
        self._policy, self._config, self._rng = policy, config, rng
        self._expert_drives = True
        self._left = 0
        self._plan: list[FloatArray] = []

    def __call__(self, simulation: Simulation, label: FloatArray) -> FloatArray | None:
        """See :class:`~magma_ros.models.data.generate.Driver`."""
        del label
        if not self._left:
            self._change_over()
        self._left -= 1
        if self._expert_drives:
            return None
        if not self._plan:
            self._plan = list(self._policy.plan(simulation)[: self._config.execute])
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
