# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the end effector is now, though its pose was measured a while ago.

A measured pose is carried on with the twists that were *sent* since its stamp. When exactly the
arm carries out what it is sent is not known: it answers within a response time, so several
candidates are kept, from an arm that answers at once to one that answers as late as it may.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from magma_ros.types import FloatArray, Pose

_DELAYS = (0.0, 0.5, 1.0)
"""Shares of the response time at which the arm may answer; the first is used where one must do."""


class Estimate(NamedTuple):
    """Where the end effector may be, one candidate a row.

    Attributes:
        positions: (N, 3) in the base frame [m].
        rotations: (N, 3, 3) from the end effector's frame to the base frame.
    """

    positions: FloatArray
    rotations: FloatArray


class Motion(NamedTuple):
    """How the end effector has moved, one candidate a row.

    Attributes:
        moved: (C, 3) displacement in the base frame [m].
        turned: (C, 3, 3) rotation in the base frame.
    """

    moved: FloatArray
    turned: FloatArray


class SentTwists:
    """The twists sent lately, and the motion of an arm that carries each out until the next.

    Args:
        horizon: How far back it must answer [s].
    """

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self.clear()

    def clear(self) -> None:
        """Forget everything: the arm stands still."""
        self._times: list[float] = []  # when each twist was sent, increasing [s]
        self._twists: list[FloatArray] = []
        self._moved: list[FloatArray] = []  # displacement up to then [m]
        self._turned: list[FloatArray] = []  # rotation up to then

    def record(self, now: float, twist: FloatArray) -> None:
        """Note that ``twist`` (6,) is sent at ``now`` [s]."""
        moved, turned = self.motion(now)
        if self._times and now <= self._times[-1]:
            self._twists[-1] = twist
            return
        self._times.append(now)
        self._twists.append(twist)
        self._moved.append(moved)
        self._turned.append(turned)
        # One entry older than the horizon gives the command at its beginning.
        old = bisect_right(self._times, now - self._horizon) - 1
        if old > 32:
            for entries in (self._times, self._twists, self._moved, self._turned):
                del entries[:old]

    def motion(self, when: float) -> tuple[FloatArray, FloatArray]:
        """Displacement (3,) [m] and rotation (3, 3) from the first entry up to ``when`` [s]."""
        index = bisect_right(self._times, when) - 1
        if index < 0:
            if self._times:
                return self._moved[0], self._turned[0]
            return np.zeros(3), np.eye(3)
        twist = self._twists[index]
        held = when - self._times[index]
        turned: FloatArray = self._turned[index]
        if twist[3:].any():
            turned = rotation(held * twist[3:]) @ turned
        return self._moved[index] + held * twist[:3], turned


class Track:
    """Follows the end effector by its poses and by what it was sent.

    All times are seconds on the guard's clock.

    Args:
        response: Longest time the arm takes to carry out a twist [s].
        horizon: Age of the oldest pose that may be used [s].
    """

    def __init__(self, response: float, horizon: float) -> None:
        self._delays = [share * response for share in _DELAYS] if response > 0.0 else [0.0]
        self.sent = SentTwists(horizon + response)
        self.clear()

    @property
    def seen(self) -> float:
        """Stamp of the newest pose [s]; -inf without one."""
        return self._seen

    def clear(self) -> None:
        """Forget everything."""
        self.sent.clear()
        self._seen = -math.inf
        self._lost = -math.inf  # poses before then are no evidence of where the arm is now [s]
        self._pose: Pose | None = None

    def lose(self, now: float) -> None:
        """What the arm has done up to ``now`` [s] is not known: only later poses count."""
        self._lost, self._pose = now, None

    def see(self, pose: Pose) -> None:
        """Take in a measured pose."""
        self._seen = pose.stamp
        if pose.stamp >= self._lost:
            self._pose = pose
            self._rotation = matrix(pose.quaternion)

    def estimate(self, now: float) -> Estimate | None:
        """Where the end effector may be at ``now`` [s], or None without a usable pose."""
        if self._pose is None:
            return None
        positions, rotations = [], []
        moved, turned = self.sent.motion(now)
        for delay in self._delays:
            before, facing = self.sent.motion(self._pose.stamp - delay)
            positions.append(self._pose.position + moved - before)
            rotations.append(turned @ facing.T @ self._rotation)
        return Estimate(np.array(positions), np.array(rotations))

    def since(self, stamp: float, now: float) -> Motion:
        """How the arm has moved from ``stamp`` to ``now`` [s], as far as it was told to."""
        moved, turned = self.sent.motion(now)
        before = [self.sent.motion(stamp - delay) for delay in self._delays]
        return Motion(
            np.array([moved - position for position, _ in before]),
            np.array([turned @ facing.T for _, facing in before]),
        )

    def mismatch(self, earlier: Pose, later: Pose) -> tuple[float, float]:
        """How far the arm moved between two poses, and how far off what was sent that is [m].

        Of all delays within the response time, the one counts that explains the motion best.
        """
        measured = later.position - earlier.position
        off = math.inf
        for delay in self._delays:
            sent = (
                self.sent.motion(later.stamp - delay)[0]
                - self.sent.motion(earlier.stamp - delay)[0]
            )
            off = min(off, math.dist(measured, sent))
        return math.hypot(*measured), off


def rotation(vector: FloatArray) -> FloatArray:
    """The matrix (3, 3) of a rotation vector (3,) [rad] (Rodrigues' formula)."""
    angle = math.hypot(*vector)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross: FloatArray = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: FloatArray = np.eye(3) + math.sin(angle) * cross
    return turned + (1.0 - math.cos(angle)) * (cross @ cross)


def matrix(quaternion: FloatArray) -> FloatArray:
    """The matrix (3, 3) of a unit quaternion (4,) x y z w."""
    x, y, z, w = (float(v) for v in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
