# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One action chunk as a continuous velocity over *plan time*, the time since its first step began.

A step's displacement divided by its duration is a velocity. Playing those as they are would step
at every border, so the velocity runs piecewise linearly through the step centres and stays constant
in the first and the last half step. The chunk's total displacement is kept exactly; a single step's
differs by an eighth of the second difference of its neighbours.
"""

from __future__ import annotations

import math

import numpy as np

from magma_ros.types import ACTION_DIMS, GRIPPER, ActionChunk, FloatArray, MagmaError


class ChunkError(MagmaError):
    """An action chunk that cannot be played."""


class Plan:
    """Velocity, displacement and gripper target of one chunk, each a function of plan time.

    A step's rotation vector divided by its duration is exactly the constant angular velocity that
    performs it. Displacements over several steps add rotation vectors, which is exact about a fixed
    axis and otherwise right to first order in the angle turned.

    Args:
        chunk: The chunk; it is copied.

    Raises:
        ChunkError: The chunk is not a finite (K, 7) array with K >= 1 and a positive step period.

    Attributes:
        duration: Plan time at which the last step ends [s].
    """

    def __init__(self, chunk: ActionChunk) -> None:
        actions = _checked_actions(chunk)
        self._period = chunk.step_period
        self.duration = len(actions) * chunk.step_period
        velocity = actions[:, :GRIPPER] / chunk.step_period
        # Knots lie half a step apart from the borders: one before the first centre, one after the
        # last, so that the end velocities simply continue.
        self._knots = np.concatenate([velocity[:1], velocity, velocity[-1:]])
        means = 0.5 * (self._knots[:-1] + self._knots[1:])
        self._travel = np.concatenate([np.zeros((1, GRIPPER)), np.cumsum(means, axis=0)])
        self._travel -= 0.5 * velocity[0]
        # Twice a step, speed [m/s, rad/s] and way made good [m, rad], linear and angular.
        self._marks = np.linspace(0.0, self.duration, 2 * len(actions) + 1)
        seen = np.array([self.velocity(when) for when in self._marks])
        self._speeds = np.linalg.norm(seen.reshape(-1, 2, 3), axis=2)
        ways = 0.25 * chunk.step_period * (self._speeds[1:] + self._speeds[:-1])
        self._ways = np.concatenate([np.zeros((1, 2)), np.cumsum(ways, axis=0)])
        self._gripper = np.clip(actions[:, GRIPPER], 0.0, 1.0)

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

    def gripper(self, when: float) -> float:
        """Gripper target (1 = open) of the step that holds plan time ``when`` [s]."""
        step = min(max(int(when / self._period), 0), len(self._gripper) - 1)
        return float(self._gripper[step])

    def _locate(self, when: float) -> tuple[int, float]:
        """The knot before ``when`` and the fraction of the way to the next one."""
        position = min(max(when, 0.0), self.duration) / self._period + 0.5
        knot = min(int(position), len(self._knots) - 2)
        return knot, position - knot


def _checked_actions(chunk: ActionChunk) -> FloatArray:
    if not (math.isfinite(chunk.step_period) and chunk.step_period > 0.0):
        raise ChunkError(f"a chunk's step period must be a positive time, not {chunk.step_period}")
    if not math.isfinite(chunk.stamp):
        raise ChunkError(f"a chunk's stamp must be a finite time, not {chunk.stamp}")
    actions = np.asarray(chunk.actions, dtype=np.float64)
    if actions.ndim != 2 or actions.shape[0] < 1 or actions.shape[1] != len(ACTION_DIMS):
        raise ChunkError(
            f"a chunk must hold at least one action of {len(ACTION_DIMS)} numbers "
            f"({', '.join(ACTION_DIMS)}), but its shape is {actions.shape}"
        )
    if not np.isfinite(actions).all():
        step, column = np.argwhere(~np.isfinite(actions))[0]
        raise ChunkError(
            f"a chunk must be finite, but {ACTION_DIMS[column]} of step {step} "
            f"is {actions[step, column]}"
        )
    return actions
