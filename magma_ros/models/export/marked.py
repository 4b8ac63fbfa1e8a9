# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a point is worth to a bundle: success with words, with a mark, and with neither.

Played at full depth while the world waits. Without its point a marked instruction must fail, and
with the point on another object, that one must be served.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.evaluation.figures.statistics import wilson_interval
from magma_ros.evaluation.play.workers import processes
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.pipeline import PolicyError
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.sim.language import base_of, marked_instructions
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.sim.suite import load_suite
from magma_ros.spaces import GRIPPER
from magma_ros.types import TRACE_GRID, ActionChunk, Observation

FIRST_SEED = 50_000
"""Seed of the first episode; training uses no seeds below a million."""

FOLLOWED = frozenset({"moving"})
"""Suites in which the mark follows its object; in the others it stays where it was set."""


class Condition(Enum):
    """What the policy is told and shown; the value is the heading for people."""

    WORDS = "named by words, no point"
    MARKED = "named by its mark, with the point"
    POINTLESS = "named by its mark, without the point"
    ELSEWHERE = "the point on another object"


@dataclass(frozen=True, slots=True)
class Played:
    """One episode.

    Attributes:
        task: The task.
        condition: What the policy was told and shown.
        success: Whether it was done to the object that the scene is about.
        other: Whether it was done to the other object.
    """

    task: str
    condition: Condition
    success: bool
    other: bool


@dataclass(frozen=True, slots=True)
class MarkedRate:
    """Success in one task under one condition.

    Attributes:
        task: The task, or ``all``.
        condition: What the policy was told and shown.
        episodes: Episodes played.
        successes: Episodes in which the object that the scene is about was served.
        others: Episodes in which the other one was.
    """

    task: str
    condition: Condition
    episodes: int
    successes: int
    others: int

    def row(self) -> tuple[str, ...]:
        """As text: condition, task, success, 95 % interval, how often the other was served."""
        low, high = wilson_interval(self.successes, self.episodes)
        return (
            self.condition.value,
            self.task,
            f"{self.successes}/{self.episodes} {self.successes / self.episodes:.0%}",
            f"{low:.0%} to {high:.0%}",
            f"{self.others}/{self.episodes} {self.others / self.episodes:.0%}",
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "condition": self.condition.name.lower(),
            "task": self.task,
            "episodes": self.episodes,
            "successes": self.successes,
            "others": self.others,
        }


def study_marks(
    bundle: Path, tasks: Sequence[tuple[str, str]], episodes: int, *, workers: int = 1
) -> list[MarkedRate]:
    """Play every task under every condition that the bundle admits.

    Args:
        bundle: The bundle; one that takes no point is only played with words.
        tasks: Suite and name of each.
        episodes: Episodes a task and condition, seeds from :data:`FIRST_SEED` on.
        workers: Processes.

    Returns:
        By condition: every task, then all.
    """
    takes = read_manifest(bundle).observation.point is not None
    conditions = tuple(Condition) if takes else (Condition.WORDS,)
    plan = [
        (bundle, suite, task, FIRST_SEED + number, condition)
        for condition in conditions
        for suite, task in tasks
        for number in range(episodes)
    ]
    with processes(workers) as pool:
        played = list(pool.map(_play, *zip(*plan, strict=True), chunksize=4))
    return [
        rate
        for condition in conditions
        for rate in _rates([one for one in played if one.condition is condition], condition)
    ]


def _rates(played: Sequence[Played], condition: Condition) -> Iterator[MarkedRate]:
    for task in (*dict.fromkeys(one.task for one in played), "all"):
        mine = [one for one in played if task in {one.task, "all"}]
        done, other = sum(one.success for one in mine), sum(one.other for one in mine)
        yield MarkedRate(task, condition, len(mine), done, other)


@cache
def loaded(bundle: Path) -> StagedPolicy:
    """The policy, loaded once per process."""
    return StagedPolicy.load(bundle, threads=1)


def _play(bundle: Path, suite: str, task: str, seed: int, condition: Condition) -> Played:
    """One episode."""
    policy, execute = loaded(bundle), load_suite(suite).execute
    with closing(Simulation(task, suite=suite, seed=seed)) as simulation:
        target, other = simulation.target_name, simulation.swapped_target_name
        told = _instruction(
            simulation, seed, policy.manifest.observation.max_tokens or 0, condition
        )
        shown = other if condition is Condition.ELSEWHERE else target
        point = None
        for step in range(0, simulation.task.step_limit, execute):
            if condition in {Condition.MARKED, Condition.ELSEWHERE} and (
                step == 0 or suite in FOLLOWED
            ):
                point = _place(simulation, shown, policy)
            seen = replace(simulation.observation(), instruction=told, point=point)
            for action in deepest(policy, seen).actions[:execute]:
                simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
                simulation.step(ENV_STEP)
            if simulation.served(shown):
                break
        return Played(task, condition, simulation.served(target), simulation.served(other))


def _instruction(simulation: Simulation, seed: int, longest: int, condition: Condition) -> str:
    if condition is Condition.WORDS:
        return simulation.instruction
    task = simulation.task_name
    rng = np.random.default_rng([zlib.crc32(task.encode()), seed, 3])
    ways = marked_instructions(task, base_of(task, simulation.instruction), rng)
    return str(rng.choice([way for way in ways if len(way.split()) <= longest]))


def _place(simulation: Simulation, name: str, policy: StagedPolicy) -> tuple[float, float]:
    """Where an object is on the grid of the image that points lie in."""
    contract = policy.manifest.observation.point
    assert contract is not None
    camera = simulation.cameras[contract.camera]
    pixel = simulation.project(contract.camera, simulation.object_position(name))
    column, row = np.clip(pixel / [camera.width, camera.height], 0.0, 1.0) * TRACE_GRID
    return float(column), float(row)


def deepest(policy: StagedPolicy, seen: Observation) -> ActionChunk:
    """The plan of the deepest exit."""
    inference = policy.start(seen)
    reading = None
    for _ in policy.manifest.stages:
        reading = inference.advance() or reading
    if reading is None:
        raise PolicyError("no exit gave a plan")
    return reading.chunk
