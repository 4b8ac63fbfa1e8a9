# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far an arm gets out of its box while its poses come late, out of order and irregularly."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from magma_ros.evaluation.bench.guard_robot import IdealArm
from magma_ros.guard import Guard, GuardConfig, PolicyHealth
from magma_ros.types import FloatArray, Pose, Source, TwistCommand

PUSHES = (0.1, 1.5)
"""Shortest and longest time for which the arm is driven one way [s]."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How far the guard lags behind the arm.

    Attributes:
        latency: Age of a pose when it comes [s].
        jitter: By how much more it may be late [s].
        response: Time from a twist to its effect [s].
    """

    latency: float
    jitter: float = 0.0
    response: float = 0.0


def largest_excursion(
    config: GuardConfig, delays: Delays, rng: np.random.Generator, seconds: float = 20.0
) -> float:
    """Drive an ideal arm against the walls of its box at full speed, every way, over and over.

    Updates come at 0.2 to 2 times their period. Poses overtake each other where the jitter is
    longer than their distance.

    Returns:
        The largest distance of the end effector beyond a face [m]; negative if it stayed inside.
    """
    guard, now, end = Guard(config), 0.0, seconds
    box = config.workspace
    arm = IdealArm(0.5 * (np.asarray(box.lower) + np.asarray(box.upper)), delays.response)
    guard.activate(now)
    coming: list[tuple[float, int, Pose]] = []
    order, worst = itertools.count(), -np.inf
    twist: FloatArray = np.zeros(6)
    until = 0.0
    while now < end:
        now += config.period * rng.uniform(0.2, 2.0)
        arm.move(now)
        worst = max(worst, float(-box.gaps(arm.position).min()))
        late = delays.latency + rng.uniform(0.0, delays.jitter)
        heapq.heappush(coming, (now + late, next(order), arm.pose()))
        while coming and coming[0][0] <= now:
            guard.report_pose(heapq.heappop(coming)[2], now)
        if now >= until:
            twist, until = _push(config, rng), now + rng.uniform(*PUSHES)
        guard.submit(TwistCommand(now, config.base_frame, twist, Source.POLICY), now)
        guard.report_health(PolicyHealth(0.1), now)
        guard.hand_back(now)
        arm.send(now, guard.update(now).twist)
    return worst


def _push(config: GuardConfig, rng: np.random.Generator) -> FloatArray:
    """A twist at full speed, along an axis or any way, seldom a stop."""
    if rng.random() < 0.1:
        return np.zeros(6)
    way = rng.normal(size=3)
    if rng.random() < 0.5:
        way = np.eye(3)[rng.integers(3)] * rng.choice([-1.0, 1.0])
    return np.concatenate(
        [1.5 * config.limits.linear_speed * way / np.linalg.norm(way), np.zeros(3)]
    )
