# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles on several sides: how fast the arm may come nearer to each, and what that leaves.

Each obstacle is a shortest vector from the robot's body to it. It bounds the speed along its own
direction only, so every way that leads nearer to none of them stays free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from magma_ros.guard.fences import NEGLIGIBLE
from magma_ros.guard.track import Motion
from magma_ros.types import FloatArray

MOST_VECTORS = 64
"""Most vectors of one measurement."""

_LIKE_NEAREST = 0.005
"""How much farther than the nearest an obstacle counts like it: what an arm creeps while a
measurement grows old, and the error of one [m]."""

DRIFT = 0.0005
"""Speed towards an obstacle that a motion along it may have, however near it is: what lies between
two fingers leans into the way out by the error of a measurement, from both sides [m/s]."""

_SHORTEST = 1e-6
"""Length below which a vector has no direction [m]."""


@dataclass(frozen=True, slots=True, eq=False)
class Obstacles:
    """What stands round the arm, as measured at one time.

    Attributes:
        stamp: When it was measured [s].
        frame_id: Frame of the vectors.
        vectors: (N, 3) from the body's nearest point to each obstacle [m]; none means that
            nothing is within reach.
        levers: (N, 3) from the end effector to that point of the body [m], zero where the point
            does not turn with the end effector; or empty for zeros.
    """

    stamp: float
    frame_id: str
    vectors: FloatArray
    levers: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def nearest(self) -> float:
        """Distance to the nearest obstacle [m]; inf without one."""
        return float(np.linalg.norm(self.vectors, axis=1).min(initial=math.inf))


def malformation(obstacles: Obstacles, frame: str) -> str:
    """What is wrong with a measurement in itself, in one sentence, or empty."""
    vectors, levers = obstacles.vectors, obstacles.levers
    if vectors.ndim != 2 or vectors.shape[1] != 3 or len(vectors) > MOST_VECTORS:
        return f"clearance vectors must be (N, 3) with N up to {MOST_VECTORS}, not {vectors.shape}"
    if levers.size and levers.shape != vectors.shape:
        return f"there must be as many levers as clearance vectors, not {levers.shape}"
    if not (np.isfinite(vectors).all() and np.isfinite(levers).all()):
        return "clearance vectors must be finite; check the perception node"
    if (np.linalg.norm(vectors, axis=1) < _SHORTEST).any():
        return "a clearance vector must have a length, because its direction counts"
    if obstacles.frame_id != frame:
        return f"clearance vectors must be in '{frame}', not in '{obstacles.frame_id}'"
    return ""


class Sides(NamedTuple):
    """Obstacles as rows: how far each is now, and how a twist comes nearer to it.

    Attributes:
        gaps: (N,) distance to each [m].
        towards: (N, 6) speed towards each is this times the twist.
    """

    gaps: FloatArray
    towards: FloatArray


def sides(obstacles: Obstacles, since: Motion) -> Sides:
    """The obstacles as they are now, after the arm has moved on ``since`` they were measured.

    A motion towards an obstacle shortens its vector, by the most of several candidates. One away
    from it counts only once it is measured, as the arm may not have carried it out.
    """
    vectors = obstacles.vectors
    levers = obstacles.levers if obstacles.levers.size else np.zeros_like(vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / lengths[:, None]
    shifts = since.moved[:, None, :] + (levers @ since.turned.transpose(0, 2, 1) - levers)
    gained = np.einsum("cni,ni->cn", shifts, units)
    # u . (w x r) = w . (r x u)
    nearer = np.maximum(gained.max(axis=0), 0.0)
    return Sides(lengths - nearer, np.concatenate([units, np.cross(levers, units)], axis=1))


def kept(
    twist: FloatArray, rows: Sides, allowed: FloatArray, *, straighten: bool = True
) -> tuple[FloatArray, float, int]:
    """What is left of a ``twist`` (6,) if it may come nearer to each obstacle only so fast.

    Args:
        twist: What is asked for.
        rows: The obstacles.
        allowed: (N,) greatest speed towards each [m/s].
        straighten: Whether components may be left out that cannot be meant.

    Returns:
        The twist, without components towards obstacles that are so small beside the rest that they
        cannot be meant; the share of it to keep; and the index of the obstacle that demands it,
        or -1.
    """
    pace = math.hypot(*twist[:3])
    scale, index = _share(twist, rows, allowed, pace)
    if scale == 1.0 or not straighten:
        return twist, scale, index
    straight, left_out = _without_slight(twist, rows, allowed)
    share, at = _share(straight, rows, allowed + 1e-9, pace)
    if left_out < 0 or share < scale:  # between two walls, to leave one is to near the other
        return twist, scale, index
    return straight, share, left_out if share == 1.0 else at


def _share(twist: FloatArray, rows: Sides, allowed: FloatArray, pace: float) -> tuple[float, int]:
    """The share of ``twist`` (6,) to keep, and the index of what demands it, or -1."""
    speeds = rows.towards @ twist
    along = speeds <= NEGLIGIBLE * pace
    allowed = np.where(along, np.maximum(allowed, DRIFT), allowed)
    over = speeds > allowed
    if not over.any():
        return 1.0, -1
    shares = np.divide(allowed, speeds, out=np.ones(len(allowed)), where=over)
    index = int(np.argmin(shares))
    return float(shares[index]), index


def _without_slight(twist: FloatArray, rows: Sides, allowed: FloatArray) -> tuple[FloatArray, int]:
    """``twist`` (6,) without slight components towards obstacles, and the index of the first.

    They are left out one after the other, since to leave out one may bring forth another: an arm
    that leaves a gap between obstacles moves along all of them. All together may turn the path no
    further than one may; otherwise it stays as it was asked for.
    """
    bound = NEGLIGIBLE * math.hypot(*twist[:3])
    left, first = twist, -1
    for _ in range(len(allowed)):
        speeds = rows.towards @ left
        slight = (speeds > allowed + (1e-9 if first >= 0 else 0.0)) & (speeds <= bound)
        if not slight.any():
            break
        index = int(np.argmax(np.where(slight, speeds - allowed, -math.inf)))
        left = left.copy()
        left[:3] -= (speeds - allowed)[index] * rows.towards[index, :3]
        if math.hypot(*(left - twist)[:3]) > bound:
            return twist, -1
        first = index if first < 0 else first
    return left, first


def way_out(twist: FloatArray, rows: Sides, creep: float) -> float:
    """Share of a ``twist`` (6,) at which a person may leave the nearest obstacle, or 0.

    Between obstacles no way may lead away from all of them. A motion that leads no nearer to the
    nearest, nor to any about as near, still makes the least distance no smaller, so it may creep
    towards those that are farther away until they are as near.

    Args:
        twist: What is asked for.
        rows: The obstacles.
        creep: Greatest speed of the arm, and towards any obstacle [m/s].
    """
    speeds = rows.towards @ twist
    pace = math.hypot(*twist[:3])
    nearest = rows.gaps <= rows.gaps.min(initial=math.inf) + _LIKE_NEAREST
    if (speeds[nearest] > NEGLIGIBLE * pace).any():
        return 0.0
    fastest = max(pace, float(speeds.max(initial=0.0)))
    return min(1.0, creep / fastest) if fastest > 0.0 else 1.0


def separating_speed(
    gaps: FloatArray, approach: float, reaction: float, deceleration: float
) -> FloatArray:
    """Greatest speed towards what itself approaches, so that the arm stands before both meet.

    This is the speed and separation monitoring of ISO/TS 15066:2016, 5.5.4: the separation must
    hold what a person walks while the robot reacts and brakes, what the robot goes while it
    reacts, and its braking distance: gap = u (t + v / a) + v t + v^2 / (2 a), solved for v. The
    standard's allowances for reach and for errors of measurement are left to the stop distance.

    Args:
        gaps: (N,) distance beyond the stop distance [m].
        approach: Speed u of what approaches [m/s].
        reaction: Time t from a measurement until the arm brakes [s].
        deceleration: Of the arm, a [m/s^2].
    """
    left = np.maximum(gaps - approach * reaction, 0.0)
    slow = reaction + approach / deceleration
    speed: FloatArray = deceleration * (np.sqrt(slow**2 + 2.0 * left / deceleration) - slow)
    return speed
