# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What depth buys: every exit of a policy by itself, on the same episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from magma_ros.evaluation.play.evaluate import Evaluation, EvaluationSpec, evaluate
from magma_ros.evaluation.report.tables import (
    ALL,
    Grid,
    evaluation_tables,
    percentage,
    percentages,
    share,
)
from magma_ros.policy.manifest import read_manifest

FORMAT = "magma-exits/1"
"""Mark of the JSON of all exits."""


@dataclass(frozen=True, slots=True)
class ExitStudy:
    """Evaluations of all exits.

    Attributes:
        exits: By depth, the shallowest first.
    """

    exits: Mapping[int, Evaluation]

    @property
    def deepest(self) -> Evaluation:
        """That of the deepest exit, the one with the controls."""
        return self.exits[max(self.exits)]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        exits = {str(depth): evaluation.to_json() for depth, evaluation in self.exits.items()}
        return {"format": FORMAT, "exits": exits}


def evaluate_exits(
    spec: EvaluationSpec, bundle_folder: Path, *, console: Console | None = None
) -> ExitStudy:
    """Play all episodes of ``spec`` at every exit, whatever its gate.

    The controls, where asked for, are played at the deepest exit alone.

    Raises:
        MagmaError: As :func:`~magma_ros.evaluation.play.evaluate.evaluate`.
    """
    deepest = read_manifest(bundle_folder).exits
    exits: dict[int, Evaluation] = {}
    for depth in range(1, deepest + 1):
        at_depth = replace(spec.at_depth(depth), controls=spec.controls and depth == deepest)
        exits[depth] = evaluate(at_depth, bundle_folder, console=console)
    return ExitStudy(exits)


def exit_tables(study: ExitStudy) -> tuple[Grid, ...]:
    """Success of every exit: one table with the intervals, and one over the tasks."""
    spec, name = study.deepest.spec, study.deepest.manifest.name
    tasks = study.deepest.tasks
    overall, by_task = [], []
    for depth, evaluation in study.exits.items():
        row = evaluation.summary()
        done = share(row.successes, row.episodes)
        cost = percentage(row.flops_fraction), percentage(row.weight_fraction)
        overall.append((str(depth), *cost, done, percentages(row.interval)))
        rows = [evaluation.summary(task=task) for task in tasks]
        cells = [f"{percentage(r.success)} ({percentages(r.interval)})" for r in rows]
        by_task.append((str(depth), *cells))
    seeds = f"Seeds {spec.seed} to {spec.seed + spec.episodes - 1}, split {spec.split}"
    return (
        Grid(
            f"{name}: every exit, {ALL} tasks",
            ("exit", "FLOPs", "weights", "success", "95 % interval"),
            overall,
            f"{seeds}, {spec.clock} clock; Wilson intervals.",
        ),
        Grid(f"{name}: every exit by task", ("exit", *tasks), by_task),
    )


def report_tables(played: Evaluation | ExitStudy) -> tuple[Grid, ...]:
    """All tables about what was played; of every exit first, then of the deepest one."""
    if isinstance(played, ExitStudy):
        return (*exit_tables(played), *evaluation_tables(played.deepest))
    return evaluation_tables(played)
