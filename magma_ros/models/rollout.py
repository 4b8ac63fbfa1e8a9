# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network at work in the simulator, still in PyTorch: for checks and for DAgger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from magma_ros.models.actions import decode, denormalise
from magma_ros.models.checkpoint import Recipe
from magma_ros.models.network import Inputs, MagmaPolicy
from magma_ros.models.words import encode
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.types import GRIPPER, FloatArray

VALIDATION_SEEDS = 2_000_000
"""First seed of the checks during training."""

STRIDE = 4
"""Steps of a plan that are executed before the next look."""


@dataclass(slots=True)
class TorchPolicy:
    """Plans from observations with the deepest exit.

    Attributes:
        network: The network, in evaluation mode, on the CPU.
        recipe: What it was trained with.
    """

    network: MagmaPolicy
    recipe: Recipe

    def plan(self, simulation: Simulation) -> FloatArray:
        """(K, 7) actions in SI units for the simulation as it is now."""
        config, statistics = self.recipe.config.network, self.recipe.statistics
        words = encode(self.recipe.tokenizer(), [simulation.instruction], config.max_tokens)
        inputs = Inputs(
            images={
                camera.name: torch.from_numpy(simulation.image(camera.name))[None]
                for camera in config.cameras
            },
            proprioception=torch.from_numpy(simulation.proprioception()).float()[None],
            tokens=torch.from_numpy(words),
        )
        with torch.inference_mode():
            logits = self.network(inputs).exits[-1].logits
        values = decode(logits).action[0].double().numpy()
        return denormalise(values, np.array(statistics.q01), np.array(statistics.q99))


def success_rate(policy: TorchPolicy, suite: str, task: str, episodes: int) -> float:
    """Share of the first so many validation scenes in which the policy does the task."""
    seeds = range(VALIDATION_SEEDS, VALIDATION_SEEDS + episodes)
    return sum(_succeeds(policy, suite, task, seed) for seed in seeds) / episodes


def _succeeds(policy: TorchPolicy, suite: str, task: str, seed: int) -> bool:
    simulation = Simulation(task, suite=suite, seed=seed)
    try:
        for _ in range(0, simulation.task.step_limit, STRIDE):
            for action in policy.plan(simulation)[:STRIDE]:
                simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
                simulation.step(ENV_STEP)
            if simulation.succeeded():
                return True
        return False
    finally:
        simulation.close()
