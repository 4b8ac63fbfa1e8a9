# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the guard lets through: random messages in any order, and late poses at the walls.

Random messages go to a robot that takes twists, and as many to one that takes joint targets: half
of them by positions and half by velocities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID

from magma_ros.evaluation.bench.guard_bounds import Delays, largest_excursion
from magma_ros.evaluation.bench.guard_fuzz import FuzzResult, fuzz_guard
from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.evaluation.bench.joint_fuzz import fuzz_joints
from magma_ros.evaluation.report.tables import Grid
from magma_ros.guard import CommandInterface
from magma_ros.types import MagmaError

FORMAT = "magma-guard-bench/1"
"""Mark of the JSON."""

ROBOTS = ("sim", "franka_fr3")
"""Robots whose limits are tried."""

LATENCIES = (0.0, 0.1, 0.2, 0.28)
"""Ages of a pose when it comes [s]."""

JOINT_INTERFACES = (CommandInterface.JOINT_TRAJECTORY, CommandInterface.FORWARD_VELOCITY)
"""How joints are commanded: by positions, and by velocities."""

RUN = 20.0
"""Duration of each drive against the walls [s]."""


@dataclass(frozen=True, slots=True)
class Excursion:
    """The worst of several drives against the walls.

    Attributes:
        robot: Whose limits and box.
        latency: Age of the poses when they come [s].
        response: Time from a twist to its effect [s].
        worst: Largest distance of the end effector beyond a face [m]; negative inside.
    """

    robot: str
    latency: float
    response: float
    worst: float


@dataclass(frozen=True, slots=True)
class GuardBench:
    """What came out.

    Attributes:
        seed: Of the random numbers.
        runs: Drives behind each excursion.
        fuzz: Of the random messages to a robot that takes twists.
        joints: Likewise to one that takes joint targets, by how it is commanded.
        excursions: Of late poses.
    """

    seed: int
    runs: int
    fuzz: FuzzResult
    joints: Mapping[CommandInterface, FuzzResult]
    excursions: tuple[Excursion, ...]

    @property
    def violations(self) -> Counter[str]:
        """What must not be seen and was, as sentences, with their counts."""
        return sum((each.violations for each in (self.fuzz, *self.joints.values())), Counter())

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "format": FORMAT,
            "seed": self.seed,
            "runs": self.runs,
            "fuzz": self.fuzz.to_json(),
            "joints": {by.value: fuzz.to_json() for by, fuzz in self.joints.items()},
            "excursions": [asdict(each) for each in self.excursions],
        }


def run_guard_bench(
    messages: int, runs: int, seed: int, console: Console | None = None
) -> GuardBench:
    """Send random messages to a guard, then drive against the walls with late poses.

    Args:
        messages: Random messages and requests to each robot.
        runs: Drives at each latency.
        seed: Of the random numbers.
        console: Where progress is shown.

    Raises:
        MagmaError: A number is out of range.
    """
    if messages < 1 or runs < 0 or seed < 0:
        raise MagmaError("bench guard needs at least 1 message, no negative runs and seed")
    cases = [
        (robot, latency, response)
        for robot in ROBOTS
        for latency in LATENCIES
        for response in (0.0, robot_config(robot).response_time)
    ]
    with Progress(console=console, disable=console is None) as progress:
        sent = progress.add_task("random messages", total=messages)
        driven = progress.add_task("late poses at the walls", total=len(cases) if runs else 0)
        fuzz = fuzz_guard(messages, seed, tell=_shown(progress, sent))
        joints = {}
        for by in JOINT_INTERFACES:
            task = progress.add_task(f"to joints: {by.value}", total=messages // 2)
            joints[by] = fuzz_joints(messages // 2, seed, by, _shown(progress, task))
        excursions = []
        for case in cases if runs else ():
            excursions.append(_excursion(*case, runs, seed))
            progress.advance(driven)
    return GuardBench(seed, runs, fuzz, joints, tuple(excursions))


def guard_tables(bench: GuardBench) -> tuple[Grid, ...]:
    """What must be zero, and how far out the arm got."""
    grids = [_fuzz_grid("Random messages in any order", bench.fuzz)]
    grids += [
        _fuzz_grid(f"The same to joints, by {by.value}", fuzz) for by, fuzz in bench.joints.items()
    ]
    if bench.excursions:
        grids.append(_excursion_grid(bench))
    return tuple(grids)


def _shown(progress: Progress, task: TaskID) -> Callable[[int], None]:
    """What shows how much of a task is done."""
    return lambda done: progress.update(task, completed=done)


def _fuzz_grid(title: str, fuzz: FuzzResult) -> Grid:
    rows = [
        ("random messages and requests", f"{fuzz.messages}"),
        ("messages a second", f"{fuzz.rate:.0f}"),
        ("commands that came out", f"{fuzz.updates}"),
        ("of these with motion", f"{fuzz.moving}"),
        ("commands beyond the limits", f"{fuzz.beyond_limits}"),
        ("motions without leave", f"{fuzz.without_leave}"),
        ("exceptions", f"{fuzz.exceptions}"),
    ]
    return Grid(title, ("", "count"), rows, _modes(fuzz))


def _excursion(robot: str, latency: float, response: float, runs: int, seed: int) -> Excursion:
    # The longest latency must not count as silence, though updates come irregularly.
    config = robot_config(robot, state_timeout=0.4)
    delays = Delays(latency, 0.0, response)
    worst = max(
        largest_excursion(config, delays, np.random.default_rng(seed + run), RUN)
        for run in range(runs)
    )
    return Excursion(robot, latency, response, worst)


def _excursion_grid(bench: GuardBench) -> Grid:
    rows = [
        (each.robot, f"{1e3 * each.latency:.0f}", f"{1e3 * each.response:.0f}",
         f"{1e3 * each.worst:.3f}")
        for each in bench.excursions
    ]  # fmt: skip
    return Grid(
        "Drives against the walls with late poses",
        ("limits of", "latency [ms]", "response [ms]", "furthest out [mm]"),
        rows,
        f"Worst of {bench.runs} drives of {RUN:.0f} s each; negative: inside all the time.",
    )


def _modes(fuzz: FuzzResult) -> str:
    seen: Sequence[tuple[str, int]] = [*fuzz.modes.most_common(), *fuzz.reasons.most_common()]
    return "Seen: " + ", ".join(f"{name} {count}" for name, count in seen) + "."
