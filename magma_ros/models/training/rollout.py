# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the network in the simulator, in PyTorch: for closed-loop checks and for DAgger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from magma_ros.models.network.config import PolicyConfig
from magma_ros.models.network.network import Inputs
from magma_ros.models.network.normalisation import denormalise
from magma_ros.models.network.policy import Policy
from magma_ros.models.training.checkpoint import Recipe
from magma_ros.policy.contract import (
    POINT_INPUT,
    CameraContract,
    ObservationContract,
    PointContract,
)
from magma_ros.policy.preprocess import Preprocessor
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.sim.suite import load_suite
from magma_ros.spaces import GRIPPER
from magma_ros.types import FloatArray

VALIDATION_SEEDS = 2_000_000
"""First seed of the checks during training."""


class TorchPolicy:
    """Plans from observations with the deepest exit.

    Args:
        network: The network, in evaluation mode, on the CPU.
        recipe: What it was trained with.
    """

    def __init__(self, network: Policy, recipe: Recipe) -> None:
        self._network = network
        self._statistics = recipe.statistics
        contract = observation_contract(recipe.config.network)
        self._preprocess = Preprocessor(contract, recipe.tokenizer())

    def plan(self, simulation: Simulation) -> FloatArray:
        """(K, 7) actions in SI units for the simulation as it is now."""
        given = self._preprocess(simulation.observation())
        inputs = inputs_of({name: torch.from_numpy(value) for name, value in given.items()})
        with torch.inference_mode():
            values = self._network.plan(inputs)[0].double().numpy()
        found = self._statistics
        return denormalise(values, np.array(found.q01), np.array(found.q99), found.action_mask)


def observation_contract(config: PolicyConfig) -> ObservationContract:
    """The network's inputs, as the manifest of its bundle describes them."""
    return ObservationContract(
        cameras=tuple(
            CameraContract(name=camera.name, height=camera.height, width=camera.width)
            for camera in config.cameras
        ),
        proprioception=config.proprioception,
        max_tokens=config.max_tokens,
        point=None if config.point is None else PointContract(camera=config.point.camera),
    )


def inputs_of(tensors: Mapping[str, Tensor]) -> Inputs:
    """The network's inputs from those of the graphs, which are named after the manifest."""
    images = {
        name.removeprefix("image_"): value
        for name, value in tensors.items()
        if name.startswith("image_")
    }
    return Inputs(images, tensors["proprioception"], tensors["tokens"], tensors.get(POINT_INPUT))


class Plans(Protocol):
    """What plans in the simulator."""

    def plan(self, simulation: Simulation) -> FloatArray:
        """(K, 7) actions in SI units for the simulation as it is now."""
        ...


def success_rate(
    policy: Plans, suite: str, task: str, episodes: int, *, execute: int | None = None
) -> float:
    """Share of the first so many validation scenes in which the policy does the task.

    Args:
        policy: What plans.
        suite: Name of the suite.
        task: One of its tasks.
        episodes: How many scenes.
        execute: Steps of a plan that are executed between observations; the suite's by default.
    """
    steps = execute or load_suite(suite).execute
    seeds = range(VALIDATION_SEEDS, VALIDATION_SEEDS + episodes)
    return sum(_succeeds(policy, suite, task, seed, steps) for seed in seeds) / episodes


def _succeeds(policy: Plans, suite: str, task: str, seed: int, execute: int) -> bool:
    simulation = Simulation(task, suite=suite, seed=seed)
    try:
        for _ in range(0, simulation.task.step_limit, execute):
            for action in policy.plan(simulation)[:execute]:
                simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
                simulation.step(ENV_STEP)
            if simulation.succeeded():
                return True
        return False
    finally:
        simulation.close()
