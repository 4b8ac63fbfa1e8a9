# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sums over evaluated episodes: rates, costs, reasons, and the controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import ratio, wilson_interval
from magma_ros.policy.manifest import Manifest
from magma_ros.types import TRACE_MARKS

ALL = "all"
"""Name of what all tasks add up to."""

BLIND_LIMIT = 0.05
"""Success with black cameras that still passes, as a share of the normal success."""

KEPT_LIMIT = 0.05
"""Rate of serving the original object, though another one is named, that still passes."""

FOLLOWED_LEAST = 0.85
"""Success with the object named instead that passes, as a share of the normal success."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of episodes adds up to; None where there is nothing to average.

    Attributes:
        episodes: How many.
        successes: Of these, done to the object that the scene's own instruction names.
        interval: 95 % Wilson interval of the success rate.
        swapped_successes: Done to the object that the swapped instruction names; None where a world
            cannot tell.
        completion_time: Mean simulated time of the successes [s].
        jerk: Mean over episodes of the root mean square jerk of the tool path [m/s^3].
        decisions: Observations that the policy judged.
        mean_depth: Mean exit over the decisions that gave a chunk.
        flops: Floating-point operations a decision.
        flops_fraction: Operations spent, as a share of always thinking to the end.
        weight_fraction: Bytes of weights read, as a share of always thinking to the end.
        reasons: How often each ``Reason`` ended a decision.
        failures: How often each ``Failure`` ended an episode.
        late: Decisions after their deadline, or never made for lack of time.
        stalls: Times that the command stream ran dry.
        lag: Longest time by which a world fell behind its clock [s].
        trace_errors: Of the gripper's and the target's predicted points by mark; empty without.
    """

    episodes: int
    successes: int
    interval: tuple[float, float]
    swapped_successes: int | None
    completion_time: float | None
    jerk: float
    decisions: int
    mean_depth: float | None
    flops: float | None
    flops_fraction: float | None
    weight_fraction: float | None
    reasons: dict[str, int]
    failures: dict[str, int]
    late: int
    stalls: int
    lag: float
    trace_errors: dict[str, TraceError]

    @property
    def success(self) -> float:
        """Success rate, 0..1."""
        return self.successes / self.episodes


@dataclass(frozen=True, slots=True)
class TraceError:
    """How far predicted points of one mark lie from the truth, in cells of the trace grid.

    Attributes:
        points: How many.
        median: Half of them are nearer.
        p90: Nine in ten are nearer.
    """

    points: int
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Honesty:
    """The controls: whether success depends on the images and on the instruction.

    Attributes:
        blind: Success with black cameras, as a share of the normal success.
        kept: Rate of serving the original object though another one was named.
        followed: Rate of serving the one named instead, as a share of the normal success; None
            where the world cannot tell.
    """

    blind: float
    kept: float
    followed: float | None

    @property
    def passed(self) -> bool:
        """Whether all that are known are within their limits."""
        following = self.followed is None or self.followed >= FOLLOWED_LEAST
        return self.blind <= BLIND_LIMIT and self.kept <= KEPT_LIMIT and following


def summarise(results: Sequence[EpisodeResult], manifest: Manifest) -> Summary:
    """Add up one or more episodes that a policy played."""
    done = [result for result in results if result.success]
    served = [result.swapped_success for result in results]
    decisions = sum(result.decisions for result in results)
    flops = sum(result.flops for result in results)
    full_flops = sum(stage.flops for stage in manifest.stages)
    weights = sum(result.weight_bytes for result in results)
    full_weights = sum(stage.weight_bytes for stage in manifest.stages)
    return Summary(
        episodes=len(results),
        successes=len(done),
        interval=wilson_interval(len(done), len(results)),
        swapped_successes=None if None in served else sum(map(bool, served)),
        completion_time=ratio(sum(result.duration for result in done), len(done)),
        jerk=sum(result.jerk for result in results) / len(results),
        decisions=decisions,
        mean_depth=ratio(sum(r.depth for r in results), sum(r.chunks for r in results)),
        flops=ratio(flops, decisions),
        flops_fraction=ratio(flops, decisions * full_flops),
        weight_fraction=ratio(weights, decisions * full_weights),
        reasons=dict(sum((Counter(result.reasons) for result in results), Counter())),
        failures=dict(Counter(r.failure.name for r in results if r.failure is not None)),
        late=sum(result.late for result in results),
        stalls=sum(result.stalls for result in results),
        lag=max(result.lag for result in results),
        trace_errors=trace_errors(results),
    )


def trace_errors(results: Sequence[EpisodeResult]) -> dict[str, TraceError]:
    """The errors of all points that the policy predicted, by mark; empty if it drew none."""
    rows = [row for result in results for row in result.trace_errors]
    if not rows:
        return {}
    return {
        mark: TraceError(len(rows), float(np.median(errors)), float(np.percentile(errors, 90)))
        for mark, errors in zip(TRACE_MARKS, np.array(rows).T, strict=True)
    }


def judge_honesty(normal: Summary, blackout: Summary, swapped: Summary) -> Honesty | None:
    """Judge by the two controls; None where the policy never succeeds."""
    if not normal.successes:
        return None
    served = swapped.swapped_successes
    return Honesty(
        blind=blackout.success / normal.success,
        kept=swapped.success,
        followed=None if served is None else served / swapped.episodes / normal.success,
    )
