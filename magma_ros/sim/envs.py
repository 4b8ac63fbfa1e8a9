# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gymnasium environments: one per task, registered as ``magma/<suite>-<task>-v0``.

``gymnasium.make("magma_ros.sim.envs:magma/tabletop-pick-v0", split="shift")`` imports this module
and thereby registers them all.
"""

from __future__ import annotations

import string
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from magma_ros.sim.failures import FailureMonitor
from magma_ros.sim.simulation import ENV_STEP, PROPRIOCEPTION, TRAINING_SEEDS, Simulation
from magma_ros.sim.suite import load_arm, load_suite, suite_names
from magma_ros.types import ImageArray, Observation

EnvObservation = dict[str, Any]

MAX_INSTRUCTION = 200
"""Longest instruction that the observation space admits [characters]."""

ACTION_HIGH = np.array([0.03, 0.03, 0.03, 0.3, 0.3, 0.3, 1.0], np.float32)
"""Largest displacement in one step, as the arm's speed limits allow [m, rad]; gripper open."""

ACTION_LOW = np.append(-ACTION_HIGH[:6], np.float32(0.0))
"""The opposite displacement; gripper closed."""


class TaskEnv(gymnasium.Env[EnvObservation, npt.NDArray[np.float32]]):
    """One task as an environment of 0.1 s steps.

    Action: (7,) float32, columns as in ``spaces.ACTION_DIMS``: displacement over the step in the
    base frame [m, rad] and the gripper's target (1 = open); clipped to the action space.
    Observation: ``front`` and ``wrist`` images, ``proprioception`` (6,), ``instruction``.
    Reward: 1 in the step that ends in success, which also ends the episode; else 0.
    Info: ``success`` (bool) and ``failure`` (a ``Failure``'s name in lower case, or None while the
    episode goes on or succeeds).

    Args:
        task: Name of a task of the suite.
        suite: Name of a suite.
        split: ``seen`` or ``shift``.
        render_mode: None, or ``rgb_array`` for pictures of the whole scene.

    Raises:
        SimulationError: The suite, task or split does not exist.
    """

    metadata = {  # the name and its keys are Gymnasium's
        "render_modes": ["rgb_array"],
        "render_fps": round(1 / ENV_STEP),
    }

    def __init__(
        self,
        task: str,
        *,
        suite: str = "tabletop",
        split: str = "seen",
        render_mode: str | None = None,
    ) -> None:
        data = load_suite(suite)
        data.split(split)
        self._step_limit = data.task(task).step_limit
        self._scene = {"task": task, "suite": suite, "split": split}
        self.render_mode = render_mode
        self._monitor: FailureMonitor | None = None
        self._steps = 0
        self.action_space = spaces.Box(ACTION_LOW, ACTION_HIGH, dtype=np.float32)
        cameras = {"front": data.front_camera, "wrist": load_arm(data.robot)[0].wrist_camera}
        self.observation_space = spaces.Dict(
            {
                **{
                    name: spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8)
                    for name, camera in cameras.items()
                },
                "proprioception": spaces.Box(-1.0, 1.0, (len(PROPRIOCEPTION),), np.float32),
                "instruction": spaces.Text(MAX_INSTRUCTION, charset=string.ascii_lowercase + " "),
            }
        )

    @property
    def simulation(self) -> Simulation:
        """The running episode's world, for experts and pictures.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset yet.
        """
        return self._running().simulation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[EnvObservation, dict[str, Any]]:
        """Begin an episode; the scene is that of ``seed``, or one drawn from evaluation's seeds."""
        super().reset(seed=seed, options=options)
        scene = seed if seed is not None else int(self.np_random.integers(TRAINING_SEEDS))
        self.close()
        self._monitor = FailureMonitor(Simulation(**self._scene, seed=scene))
        self._steps = 0
        return _as_dict(self.simulation.observation()), self._info(over=False)

    def step(
        self, action: npt.NDArray[np.float32]
    ) -> tuple[EnvObservation, float, bool, bool, dict[str, Any]]:
        """Follow an action for one step of 0.1 s."""
        simulation = self.simulation
        clipped = np.clip(action, ACTION_LOW, ACTION_HIGH).astype(np.float64)
        simulation.command(clipped[:6] / ENV_STEP, clipped[6])
        simulation.step(ENV_STEP)
        self._running().sample()
        self._steps += 1
        success = simulation.succeeded()
        truncated = self._steps >= self._step_limit and not success
        observation = _as_dict(simulation.observation())
        return observation, float(success), success, truncated, self._info(over=truncated)

    def render(self) -> ImageArray | None:
        """A picture of the whole scene, or None without a render mode."""
        return self.simulation.picture() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Release the physics server."""
        if self._monitor is not None:
            self._monitor.simulation.close()
            self._monitor = None

    def _running(self) -> FailureMonitor:
        if self._monitor is None:
            raise gymnasium.error.ResetNeeded("call reset() before the first step()")
        return self._monitor

    def _info(self, *, over: bool) -> dict[str, Any]:
        failure = self._running().failure() if over else None
        return {
            "success": self.simulation.succeeded(),
            "failure": failure.name.lower() if failure else None,
        }


def environment_id(suite: str, task: str) -> str:
    """The name under which a task is registered."""
    return f"magma/{suite}-{task}-v0"


def _as_dict(observation: Observation) -> EnvObservation:
    return {
        **observation.images,
        "proprioception": observation.proprioception.astype(np.float32),
        "instruction": observation.instruction,
    }


def _register_all() -> None:
    for suite in suite_names():
        for task in load_suite(suite).tasks:
            gymnasium.register(
                environment_id(suite, task),
                entry_point=f"{__name__}:{TaskEnv.__name__}",
                kwargs={"task": task, "suite": suite},
            )


_register_all()
