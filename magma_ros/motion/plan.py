# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One action chunk as a continuous velocity over *plan time*, the time since its first step began.

A step's displacement divided by its duration is a velocity. Playing those as they are would step
at every border, so the velocity runs piecewise linearly through the step centres and stays constant
in the first and the last half step. The chunk's total displacement is kept exactly; a single step's
differs by an eighth of the second difference of its neighbours.
"""

from __future__ import annotations

import numpy as np

from magma_ros.motion.steps import ChunkError, displacements, openings
from magma_ros.types import ActionChunk, FloatArray, Pose


class Plan:
    """Velocity, displacement and gripper target of one chunk, each a function of plan time.

    A step's rotation vector divided by its duration is exactly the constant angular velocity that
    performs it. Displacements over several steps add rotation vectors, which is exact about a fixed
    axis and otherwise right to first order in the angle turned.

    Args:
        chunk: The chunk, of an end effector; it is copied.
        pose: Where the end effector was at its observation, for a chunk of poses.

    Raises:
        ChunkError: The chunk is not a finite (K, D) array with K >= 1 and a positive step period,
            leads joints or more than one gripper, or lacks the pose.

    Attributes:
        duration: Plan time at which the last step ends [s].
    """

    def __init__(self, chunk: ActionChunk, pose: Pose | None = None) -> None:
        moved = displacements(chunk, pose)
        if len(chunk.space.grippers) > 1:
            raise ChunkError("a chunk leads several grippers, but an arm led by twists has one")
        self._period = chunk.step_period
        self.duration = len(moved) * chunk.step_period
        velocity = moved / chunk.step_period
        # Knots lie half a step apart from the borders: one before the first centre, one after the
        # last, so that the end velocities simply continue.
        self._knots = np.concatenate([velocity[:1], velocity, velocity[-1:]])
        means = 0.5 * (self._knots[:-1] + self._knots[1:])
        self._travel = np.concatenate([np.zeros((1, velocity.shape[1])), np.cumsum(means, axis=0)])
        self._travel -= 0.5 * velocity[0]
        # Twice a step, speed [m/s, rad/s] and way made good [m, rad], linear and angular.
        self._marks = np.linspace(0.0, self.duration, 2 * len(moved) + 1)
        seen = np.array([self.velocity(when) for when in self._marks])
        self._speeds = np.linalg.norm(seen.reshape(-1, 2, 3), axis=2)
        ways = 0.25 * chunk.step_period * (self._speeds[1:] + self._speeds[:-1])
        self._ways = np.concatenate([np.zeros((1, 2)), np.cumsum(ways, axis=0)])
        self._openings = openings(chunk)

    def velocity(self, when: float) -> FloatArray:
        """Twist (6,) [m/s, rad/s] at plan time ``when`` [s]; constant beyond both ends."""
        knot, fraction = self._locate(when)
        velocity: FloatArray = (1.0 - fraction) * self._knots[knot] + fraction * self._knots[
            knot + 1
        ]
        return velocity

    def displacement(self, when: float) -> FloatArray:
        """Integral (6,) [m, rad] of :meth:`velocity` from plan time 0 to ``when`` [s]."""
        knot, fraction = self._locate(when)
        rise = self._knots[knot + 1] - self._knots[knot]
        steps: FloatArray = self._travel[knot] + fraction * (
            self._knots[knot] + 0.5 * fraction * rise
        )
        return steps * self._period

    def ahead(self, when: float) -> tuple[FloatArray, FloatArray]:
        """What is still to come after plan time ``when`` [s], at N moments up to the end.

        Returns:
            Speeds (N, 2), linear [m/s] and angular [rad/s], and the length of the path there
            (N, 2) [m, rad]; the last moment at least.
        """
        first = min(int(np.searchsorted(self._marks, when, side="right")), len(self._marks) - 1)
        here = [np.interp(when, self._marks, self._ways[:, part]) for part in (0, 1)]
        return self._speeds[first:], np.maximum(self._ways[first:] - here, 0.0)

    def gripper(self, when: float) -> float | None:
        """Gripper target (1 = open) of the step at plan time ``when`` [s]; None without one."""
        if self._openings.shape[1] == 0:
            return None
        step = min(max(int(when / self._period), 0), len(self._openings) - 1)
        return float(self._openings[step, 0])

    def _locate(self, when: float) -> tuple[int, float]:
        """The knot before ``when`` and the fraction of the way to the next one."""
        position = min(max(when, 0.0), self.duration) / self._period + 0.5
        knot = min(int(position), len(self._knots) - 2)
        return knot, position - knot
