# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much the command stream jumps when policy and person hand the arm to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.evaluation.report.tables import Grid
from magma_ros.types import FloatArray

FORMAT = "magma-handovers-bench/1"
"""Mark of the JSON."""

LONGEST = 2.0
"""Periods that one tick counts for at most, as in the guard."""

TO_PERSON, TO_POLICY = "take_over", "hand_back"


@dataclass(frozen=True, slots=True)
class HandOver:
    """One hand-over.

    Attributes:
        way: ``take_over`` or ``hand_back``.
        speed: Linear speed of the arm when it was asked for [m/s].
        jump: Largest change of the commanded twist from one command to the next, in units of what
            the acceleration or braking limits allow in the time between them.
        duration: From the request to the first motion of the new driver [s].
    """

    way: str
    speed: float
    jump: float
    duration: float


def largest_jump(twists: Sequence[tuple[float, FloatArray]], robot: str = "sim") -> float:
    """The largest change between two successive commands, in units of the one-tick limit.

    A command that makes the arm slower may use the braking limits, any other the acceleration
    limits of each axis.

    Args:
        twists: Stamp [s] and twist (6,) of each command, in order.
        robot: Whose limits count.
    """
    config = robot_config(robot)
    limits, longest = config.limits, LONGEST * config.period
    worst = 0.0
    for (before, old), (after, new) in pairwise(twists):
        elapsed = min(max(after - before, config.period), longest)
        for part, acceleration, braking in (
            (slice(0, 3), limits.linear_acceleration, limits.linear_braking),
            (slice(3, 6), limits.angular_acceleration, limits.angular_braking),
        ):
            slower = np.linalg.norm(new[part]) < np.linalg.norm(old[part])
            change = float(np.abs(new[part] - old[part]).max())
            worst = max(worst, change / ((braking if slower else acceleration) * elapsed))
    return worst


def handovers_grid(handed: Sequence[HandOver]) -> Grid:
    """Both ways as a table."""
    rows = []
    for way in (TO_PERSON, TO_POLICY):
        these = [each for each in handed if each.way == way]
        if these:
            jumps = [each.jump for each in these]
            moving = sum(each.speed > 0.01 for each in these)
            times = [each.duration for each in these if math.isfinite(each.duration)]
            rows.append(
                (way, str(len(these)), str(moving), f"{max(jumps):.2f}", f"{np.median(jumps):.2f}",
                 f"{np.median(times):.2f}" if times else "-")
            )  # fmt: skip
    return Grid(
        "Jumps of the command stream at hand-overs",
        ("way", "hand-overs", "of these in motion", "largest", "median", "until motion [s]"),
        rows,
        "Changes from one command to the next, in units of the one-tick limit.",
    )


def handovers_json(handed: Sequence[HandOver]) -> dict[str, Any]:
    """Everything as plain data."""
    rows = [asdict(each) for each in handed]
    return {"format": FORMAT, "hand_overs": rows, "largest": max(each.jump for each in handed)}
