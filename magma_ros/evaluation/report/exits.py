# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of every exit of a policy, beside those of an evaluation."""

from __future__ import annotations

from magma_ros.evaluation.figures.summary import ALL
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.exits import ExitStudy
from magma_ros.evaluation.report.tables import (
    Grid,
    evaluation_tables,
    percentage,
    percentages,
    share,
)


def exit_tables(study: ExitStudy) -> tuple[Grid, ...]:
    """Success of every exit: one table with the intervals, and one over the tasks."""
    spec, name = study.deepest.spec, study.deepest.manifest.name
    overall = []
    for depth, evaluation in study.exits.items():
        row = evaluation.summary()
        done = share(row.successes, row.episodes)
        cost = percentage(row.flops_fraction), percentage(row.weight_fraction)
        overall.append((str(depth), *cost, done, percentages(row.interval)))
    by_task = []
    for task in study.deepest.tasks:
        rows = [evaluation.summary(task=task) for evaluation in study.exits.values()]
        by_task.append(
            (task, *(f"{percentage(r.success)} ({percentages(r.interval)})" for r in rows))
        )
    heads = [f"exit {depth}" for depth in study.exits]
    seeds = f"Seeds {spec.seed} to {spec.seed + spec.episodes - 1}, split {spec.split}"
    return (
        Grid(
            f"{name}: every exit, {ALL} tasks",
            ("exit", "FLOPs", "weights", "success", "95 % interval"),
            overall,
            f"{seeds}, {spec.clock} clock; Wilson intervals.",
        ),
        Grid(f"{name}: every exit by task", ("task", *heads), by_task),
    )


def report_tables(played: Evaluation | ExitStudy) -> tuple[Grid, ...]:
    """All tables about what was played; of every exit first, then of the deepest one."""
    if isinstance(played, ExitStudy):
        return (*exit_tables(played), *evaluation_tables(played.deepest))
    return evaluation_tables(played)
