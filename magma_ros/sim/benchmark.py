# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulation as an evaluation drives it: suites that make worlds, worlds that play scenes.

The methods are those of the protocols in ``magma_ros.evaluation.world``, which nothing in here
imports. They are the one way from an evaluation to PyBullet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from magma_ros.sim.expert import Expert
from magma_ros.sim.failures import Failure, FailureMonitor
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS, Simulation
from magma_ros.sim.suite import Suite, load_arm, load_suite, suite_names
from magma_ros.types import (
    TRACE_GRID,
    DepthView,
    FloatArray,
    ImageArray,
    Observation,
    Pose,
    RobotDescription,
)

BASE_LINK = "base_link"
"""Link of every simulated robot whose frame is the base frame."""

SAME_TIME = 1e-6
"""Two simulated times closer than this are the same [s]."""


class SimulatedWorld:
    """Plays scenes of one suite, one at a time.

    Args:
        suite: Name of the suite.
    """

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._simulation: Simulation | None = None
        self._monitor: FailureMonitor | None = None
        self._monitored = 0

    @property
    def simulation(self) -> Simulation:
        """The scene being played.

        Raises:
            SimulationError: There was no reset yet, or the world is closed.
        """
        if self._simulation is None:
            raise SimulationError("reset the world before it is used")
        return self._simulation

    def reset(self, task: str, split: str, seed: int) -> None:
        """Begin the episode of that task, split and seed.

        Raises:
            SimulationError: There is no such task or split, or PyBullet is missing.
        """
        self.close()
        self._simulation = Simulation(task, suite=self._suite, split=split, seed=seed)
        self._monitor = FailureMonitor(self._simulation)
        self._monitored = 0

    @property
    def time(self) -> float:
        """Simulated time since the reset [s]."""
        return self.simulation.time

    def observe(self) -> Observation:
        """What a policy is given now."""
        return self.simulation.observation()

    def command(self, twist: FloatArray, gripper: float) -> None:
        """Set the end effector's velocity, (6,) [m/s] and [rad/s], and the gripper's opening."""
        self.simulation.command(twist, gripper)

    def step(self, seconds: float) -> None:
        """Let simulated time pass [s]; the causes of failure are sampled every 0.1 s."""
        self.simulation.step(seconds)
        if self.time > (self._monitored + 1) * ENV_STEP - SAME_TIME:
            self._monitored += 1
            self._failures.sample()

    def done(self) -> bool:
        """Whether the task has been done to the object that the instruction names."""
        return self.simulation.succeeded()

    def tool_position(self) -> FloatArray:
        """Measured, in the base frame, (3,) [m]."""
        return self.simulation.ee_pose().position

    def swapped_instruction(self) -> str:
        """The same sentence about another object of the scene."""
        return self.simulation.swapped_instruction()

    def swapped_done(self) -> bool:
        """Whether the task has been done to that other object."""
        return self.simulation.served(self.simulation.swapped_target_name)

    @property
    def robot(self) -> RobotDescription:
        """The arm, as its URDF describes it."""
        spec, path = load_arm(load_suite(self._suite).robot)
        return RobotDescription(path.read_text(), BASE_LINK, spec.tool_link)

    def depth_view(self, camera: str, width: int, height: int) -> DepthView:
        """What a camera sees now, in so many pixels."""
        simulation = self.simulation
        matrix = simulation.camera_matrix(camera, (width, height))
        pose = simulation.camera_pose(camera)
        return DepthView(simulation.depth(camera, width, height), matrix, pose)

    def joint_positions(self) -> dict[str, float]:
        """Measured, by name [rad or m]."""
        simulation = self.simulation
        positions = simulation.joint_positions().tolist()
        return dict(zip(simulation.joint_names, positions, strict=True))

    def tool_pose(self) -> Pose:
        """Measured pose of the tool centre."""
        return self.simulation.ee_pose()

    def gripper_opening(self) -> float:
        """Measured, 0 (closed) to 1 (open)."""
        return self.simulation.gripper_opening()

    @property
    def contacts(self) -> int:
        """How often the robot, or what it holds, began to touch what is in its way."""
        return self.simulation.contacts

    @property
    def nearest(self) -> float:
        """How near the robot, or what it held, came to it so far [m]; inf beyond 0.3 m."""
        return self.simulation.nearest

    @property
    def closest(self) -> tuple[float, float]:
        """Least distance of the tool from what it must be near [m], and when that was [s]."""
        return self._failures.closest, self._failures.closest_at

    def failure(self) -> Failure | None:
        """Why the episode would be no success if it ended now; None when it is one."""
        return self._failures.failure()

    def trace_marks(self, *, swapped: bool) -> Mapping[str, FloatArray]:
        """Where gripper and target appear in each camera's image, (2, 2) on the trace grid."""
        simulation = self.simulation
        target = simulation.swapped_target_name if swapped else simulation.target_name
        marks = simulation.ee_pose().position, simulation.object_position(target)
        return {
            name: np.stack([simulation.project(name, mark) for mark in marks])
            * (TRACE_GRID / np.array([camera.width, camera.height]))
            for name, camera in simulation.cameras.items()
        }

    def picture(self, width: int, height: int) -> ImageArray:
        """The whole scene from the side, (height, width, 3) uint8 RGB."""
        return self.simulation.picture(width, height)

    def expert_action(self) -> FloatArray:
        """What the scripted expert does next, (7,): displacement per step of 0.1 s, and gripper."""
        return Expert().act(self.simulation)

    def close(self) -> None:
        """Release the physics server; a second call does nothing."""
        if self._simulation is not None:
            self._simulation.close()
            self._simulation = self._monitor = None

    @property
    def _failures(self) -> FailureMonitor:
        if self._monitor is None:
            raise SimulationError("reset the world before it is used")
        return self._monitor


class SimulatedSuite:
    """A suite of ``sim/suites``.

    Args:
        name: Of the file.

    Attributes:
        extra: What must be installed.
        step_period: Duration of one step of an action chunk [s].
        seed_limit: First seed of the training data.

    Raises:
        SimulationError: Its file does not follow the schema.
    """

    extra = "sim"
    step_period = ENV_STEP
    seed_limit = TRAINING_SEEDS

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _data(self) -> Suite:
        return load_suite(self._name)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the file."""
        return tuple(self._data.tasks)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of the file."""
        return tuple(self._data.splits)

    @property
    def execute(self) -> int:
        """Steps of a chunk to execute before the next observation."""
        return self._data.execute

    def time_limit(self, task: str) -> float:
        """Simulated time after which an episode is over [s]."""
        return self._data.task(task).step_limit * ENV_STEP

    def failures(self) -> tuple[Failure, ...]:
        """All reasons for which an episode can fail."""
        return tuple(Failure)

    def definition(self) -> Any:
        """The content of the suite's file."""
        return self._data.model_dump(mode="json")

    def make_world(self) -> SimulatedWorld:
        """A world for episodes of this suite; PyBullet is loaded at its first reset."""
        return SimulatedWorld(self._name)


def suites() -> dict[str, SimulatedSuite]:
    """All suites by name."""
    return {name: SimulatedSuite(name) for name in suite_names()}
