# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Success by how hard tasks are, and the mean of the tiers' means, as benchmarks quote it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from magma_ros.evaluation.figures.statistics import mean_interval
from magma_ros.evaluation.figures.summary import Summary


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of success rates over tasks.

    Attributes:
        tasks: How many.
        episodes: Played in all.
        success: The mean, 0..1.
        interval: Its 95 % interval.
    """

    tasks: int
    episodes: int
    success: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tiers:
    """Success by tier.

    Attributes:
        means: Of the tasks of each tier, every task counting the same.
        average: The mean of these means.
        missing: Tasks of the benchmark that were not played.
    """

    means: dict[str, Mean]
    average: Mean
    missing: int


def by_tier(tiers: Mapping[str, Collection[str]], played: Mapping[str, Summary]) -> Tiers:
    """Average by tier.

    Args:
        tiers: The tasks of each.
        played: What those that were played add up to; at least one.
    """
    groups = {
        tier: [played[task] for task in tasks if task in played] for tier, tasks in tiers.items()
    }
    groups = {tier: rows for tier, rows in groups.items() if rows}
    means = {tier: _mean([(row, 1.0 / len(rows)) for row in rows]) for tier, rows in groups.items()}
    share = 1.0 / len(groups)
    average = _mean([(row, share / len(rows)) for rows in groups.values() for row in rows])
    return Tiers(means, average, sum(map(len, tiers.values())) - average.tasks)


def _mean(weighted: list[tuple[Summary, float]]) -> Mean:
    rows, weights = zip(*weighted, strict=True)
    counts = [row.successes for row in rows], [row.episodes for row in rows]
    return Mean(
        tasks=len(rows),
        episodes=sum(row.episodes for row in rows),
        success=sum(weight * row.success for row, weight in weighted),
        interval=mean_interval(weights, *counts),
    )
