# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a policy does its task beside obstacles, and what the arm touches meanwhile.

The same scenes are played with nothing in the way, beside posts, against a post that stands in the
way, and while a person's hand comes in; each with braking and without. Policy, stream, guard and
eyes are those of the robot, in simulated time. The policy knows nothing of obstacles.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from magma_ros.evaluation.bench.guard_robot import robot_config, robot_sight
from magma_ros.evaluation.figures.statistics import PairedCounts, wilson_interval
from magma_ros.evaluation.play.evaluate import pace_of, require_match, start_clock
from magma_ros.evaluation.play.guarded import GuardedEpisode
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import spread
from magma_ros.evaluation.report.tables import Grid
from magma_ros.evaluation.world import Scene
from magma_ros.guard import ClearanceSource, GuardConfig, Proximity
from magma_ros.policy.manifest import read_manifest

FORMAT = "magma-obstacle-bench/1"
"""Mark of the JSON."""

LEAST_KEPT = 0.9
"""Share of the success with nothing in the way that must be left beside obstacles."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is in the arm's way, and whether it brakes for that.

    Attributes:
        label: For people.
        suite: Suite of the scenes.
        task: Task of the suite, which shares its scenes with the first condition's.
        braking: Whether the guard hears of obstacles.
        share: Share of the episodes that is played; the arm waits there until the time is up.
    """

    label: str
    suite: str
    task: str
    braking: bool = False
    share: float = 1.0

    def count(self, episodes: int) -> int:
        """How many of so many episodes are played."""
        return math.ceil(self.share * episodes)


CONDITIONS = (
    Condition("nothing in the way", "tabletop", "pick"),
    Condition("posts beside the way, braking", "obstacles", "pick", braking=True),
    Condition("posts beside the way", "obstacles", "pick"),
    Condition("a post in the way, braking", "obstacles", "pick-blocked", braking=True, share=0.5),
    Condition("a post in the way", "obstacles", "pick-blocked", share=0.5),
    Condition("a hand comes in, braking", "obstacles", "pick-visited", braking=True),
    Condition("a hand comes in", "obstacles", "pick-visited"),
)
"""The first is what the others are compared with."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one episode.

    Attributes:
        success: Whether the task was done.
        duration: Simulated time until then, or until the time was up [s].
        contacts: How often the arm, or what it held, began to touch something.
        nearest: How near they came [m]; None beyond 0.3 m.
        slowed: Share of the time in which the policy wanted to move and the arm was slowed.
        stops: Reasons for which the guard stopped the arm.
    """

    success: bool
    duration: float
    contacts: int
    nearest: float | None
    slowed: float
    stops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObstacleBench:
    """What came out.

    Attributes:
        bundle: Name of the policy.
        seed: Of the first episode.
        outcomes: Of each condition, by seed.
    """

    bundle: str
    seed: int
    outcomes: dict[Condition, list[Outcome]]

    def compared(self, condition: Condition) -> PairedCounts:
        """Success with nothing in the way and under a condition, pair by pair."""
        pairs = Counter(
            (without.success, hindered.success)
            for without, hindered in zip(  # of some conditions the first scenes alone are played
                self.outcomes[CONDITIONS[0]], self.outcomes[condition], strict=False
            )
        )
        return PairedCounts(
            pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False]
        )

    @property
    def shortfalls(self) -> list[str]:
        """What must not be, in a sentence each."""
        found = []
        for condition, outcomes in self.outcomes.items():
            touched = sum(outcome.contacts > 0 for outcome in outcomes)
            if condition.braking and touched:
                found.append(
                    f"{condition.label}: contacts in {touched} of {len(outcomes)} episodes"
                )
        without, beside = (_rate(self.outcomes[condition]) for condition in CONDITIONS[:2])
        if beside < LEAST_KEPT * without:
            found.append(
                f"{CONDITIONS[1].label}: success {beside:.0%}, less than {LEAST_KEPT:.0%} of the "
                f"{without:.0%} with {CONDITIONS[0].label}"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "format": FORMAT,
            "bundle": self.bundle,
            "seed": self.seed,
            "conditions": [
                asdict(condition) | {"episodes": [asdict(outcome) for outcome in outcomes]}
                for condition, outcomes in self.outcomes.items()
            ],
            "shortfalls": self.shortfalls,
        }


def run_obstacle_bench(
    episodes: int, seed: int, bundle: Path, *, workers: int, console: Console | None = None
) -> ObstacleBench:
    """Play all conditions.

    Args:
        episodes: Of each condition, and fewer of those with a smaller share.
        seed: Of the first one.
        bundle: The policy's bundle.
        workers: Processes that play side by side; no result depends on their number.
        console: Where progress is shown.

    Raises:
        MagmaError: A number is out of range, or the bundle or the simulator cannot be used.
    """
    spec = EvaluationSpec(
        suites=("tabletop",), tasks=("pick",), episodes=episodes, seed=seed, clock="modelled"
    )
    manifest = read_manifest(bundle)
    require_match(spec, manifest)
    cases = [
        (condition, seed + number)
        for condition in CONDITIONS
        for number in range(condition.count(episodes))
    ]
    played = spread(
        partial(play_case, spec, bundle),
        cases,
        workers=workers,
        console=console,
        description=f"{manifest.name} beside obstacles",
    )
    outcomes: dict[Condition, list[Outcome]] = {condition: [] for condition in CONDITIONS}
    for (condition, _), outcome in zip(cases, played, strict=True):
        outcomes[condition].append(outcome)
    return ObstacleBench(manifest.name, seed, outcomes)


def play_case(spec: EvaluationSpec, bundle: Path, case: tuple[Condition, int]) -> Outcome:
    """Play one scene under one condition in this process."""
    condition, seed = case
    scene = Scene(condition.suite, condition.task, spec.split, seed)
    sight = robot_sight() if condition.braking else None
    with GuardedEpisode(scene, guard_config(braking=condition.braking), sight) as episode:
        start_clock(spec, bundle).play(episode, pace_of(spec, condition.suite))
        result = episode.result()
        return Outcome(
            success=result.success,
            duration=result.duration,
            contacts=result.contacts or 0,
            nearest=result.nearest,
            slowed=episode.slowed / episode.driven if episode.driven else 0.0,
            stops=tuple(reason.name for reason in episode.stops.elements()),
        )


def guard_config(*, braking: bool) -> GuardConfig:
    """The simulated robot's guard, with eyes or without."""
    source = ClearanceSource.VECTORS if braking else ClearanceSource.RANGE
    return robot_config("sim", proximity=Proximity(source=source))


def obstacle_table(bench: ObstacleBench) -> Grid:
    """A row for each condition."""
    rows = [_row(bench, condition, outcomes) for condition, outcomes in bench.outcomes.items()]
    count = len(bench.outcomes[CONDITIONS[0]])
    return Grid(
        f"{bench.bundle} picks things up",
        (
            "condition",
            "success",
            "95 % interval",
            "difference",
            "p",
            "episodes with contact",
            "nearest [mm]",
            "time [s]",
            "slowed",
            "stopped",
        ),
        rows,
        f"The scenes of {count} seeds from {bench.seed} in every row, or the first half of them. "
        "Difference from the first row in points, paired, with McNemar's exact p. Nearest: over "
        "all episodes. Time: median of the successes. Slowed: share of the time in which the "
        "policy wanted to move. Stopped: episodes that the guard ended.",
    )


def _row(
    bench: ObstacleBench, condition: Condition, outcomes: Sequence[Outcome]
) -> tuple[str, ...]:
    done = [outcome for outcome in outcomes if outcome.success]
    low, high = wilson_interval(len(done), len(outcomes))
    nearest = min((o.nearest for o in outcomes if o.nearest is not None), default=None)
    pairs = bench.compared(condition)
    first = condition == CONDITIONS[0]
    times = [outcome.duration for outcome in done]
    return (
        condition.label,
        f"{len(done)}/{len(outcomes)}",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        "" if first else f"{100 * pairs.difference:+.1f}",
        "" if first else f"{pairs.p_value():.2g}",
        f"{sum(outcome.contacts > 0 for outcome in outcomes)}",
        "-" if nearest is None else f"{1000 * nearest:.0f}",
        f"{np.median(times):.1f}" if times else "-",
        f"{100 * np.mean([outcome.slowed for outcome in outcomes]):.0f} %",
        f"{sum(bool(outcome.stops) for outcome in outcomes)}",
    )


def _rate(outcomes: Sequence[Outcome]) -> float:
    return sum(outcome.success for outcome in outcomes) / len(outcomes)
