# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reason why an episode failed, decided from the state of the simulation."""

from __future__ import annotations

from enum import Enum

import numpy as np

from magma_ros.sim.simulation import Simulation
from magma_ros.sim.tasks import Catch, OpenDrawer, Pick, Place, Reach, Stack
from magma_ros.types import FloatArray

NEAR = 0.06
"""Distance of the tool centre within which it is near an object [m]: an object and a half wide."""

GRASPING = (Pick, Place, Stack, OpenDrawer, Catch)
"""Kinds of task that need a grasp."""


class Failure(Enum):
    """Why an episode is no success; the value is the sentence shown to people.

    Only the simulated state counts, never the commands. Two terms,
    both about the object that the scene's own instruction names:

    - *near*: the tool centre is within :data:`NEAR` of the object's centre; for reach and track,
      of the point above it that they ask for.
    - *engaged*: pick, place, stack and everything grasped off a belt: the fingers press on the
      object from opposite sides; push and open-drawer: the robot touches it; reach and track: the
      tool is within the task's tolerance.

    The first of these that holds is the reason:

    - ``WRONG_OBJECT``: the task was done to another object, or another one was engaged and the
      named one never.
    - ``OUT_OF_REACH``: the object is outside the arm's workspace, or below the table.
    - ``NEVER_APPROACHED``: the tool was never near.
    - ``MISSED_GRASP`` (tasks with a grasp): near, but never engaged.
    - ``DROPPED`` (tasks with a grasp): engaged once, not at the end; so an object let go of beside
      the tray is dropped.
    - ``LOST`` (tasks without one): engaged once, and at the end not even near.
    - ``TIMED_OUT``: none of these; the robot was still at it when the time was up.
    """

    WRONG_OBJECT = "Something was done to another object than the one named."
    OUT_OF_REACH = "The named object left the workspace."
    NEVER_APPROACHED = "The gripper never came near the named object."
    MISSED_GRASP = "The gripper came near the named object but never got hold of it."
    DROPPED = "The gripper had hold of the named object and let go of it too soon."
    LOST = "The gripper was where it should be and did not stay."
    TIMED_OUT = "The time was up while the robot was still at it."

    @property
    def sentence(self) -> str:
        """The failure in words."""
        return self.value


class FailureMonitor:
    """Records what a failure is decided by, while an episode goes on.

    Args:
        simulation: The episode's world, as it is at the beginning.

    Attributes:
        simulation: The same.
        closest: Least distance of the tool from what it must be near [m].
        closest_at: Simulated time of that [s].
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._engaged_ever: set[str] = set()
        self.closest = np.inf
        self.closest_at = 0.0
        self.sample()

    def sample(self) -> None:
        """Record the present state; to be called after every environment step."""
        simulation = self.simulation
        self._engaged_ever |= {name for name in simulation.object_names if self._engaged(name)}
        if (distance := self._distance()) < self.closest:
            self.closest, self.closest_at = distance, simulation.time

    def failure(self) -> Failure | None:
        """The reason if the episode ended now; None when it is a success."""
        simulation, target = self.simulation, self.simulation.target_name
        if simulation.succeeded():
            return None
        others = [name for name in simulation.object_names if name != target]
        taken = target not in self._engaged_ever and not self._engaged_ever.isdisjoint(others)
        if taken or any(simulation.served(name) for name in others):
            return Failure.WRONG_OBJECT
        if self._out_of_reach():
            return Failure.OUT_OF_REACH
        if self.closest > NEAR:
            return Failure.NEVER_APPROACHED
        if isinstance(simulation.task, GRASPING):
            return self._failed_grasp()
        left = target in self._engaged_ever and self._distance() > NEAR
        return Failure.LOST if left else Failure.TIMED_OUT

    def _failed_grasp(self) -> Failure:
        """What went wrong near the object, in a task with a grasp."""
        target = self.simulation.target_name
        if target not in self._engaged_ever:
            return Failure.MISSED_GRASP
        return Failure.TIMED_OUT if self._engaged(target) else Failure.DROPPED

    def _distance(self) -> float:
        """From the tool centre to what it must be near [m]."""
        simulation = self.simulation
        away = simulation.world.tool_position() - self._approach_point()
        return float(np.linalg.norm(away))

    def _approach_point(self) -> FloatArray:
        simulation = self.simulation
        if isinstance(simulation.task, Reach):
            return simulation.goal_position()
        return simulation.object_position(simulation.target_name)

    def _engaged(self, name: str) -> bool:
        task, world = self.simulation.task, self.simulation.world
        if isinstance(task, Reach):
            return task.done(world, name)
        # A drawer may well be pulled by one finger behind its handle.
        if isinstance(task, GRASPING) and not isinstance(task, OpenDrawer):
            return world.held(name)
        return world.touched(name)

    def _out_of_reach(self) -> bool:
        box = self.simulation.world.arm.spec.limits.workspace
        x, y, z = self.simulation.object_position(self.simulation.target_name)
        beside = not (box.low[0] <= x <= box.high[0] and box.low[1] <= y <= box.high[1])
        return bool(beside or z < 0.0)
