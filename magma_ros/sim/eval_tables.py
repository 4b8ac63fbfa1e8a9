# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from magma_ros.sim.clocks import CLOCKS
from magma_ros.sim.eval_episode import Control
from magma_ros.sim.evaluation import Evaluation, Summary

ALL = "all"
"""Name of the row that adds up all tasks."""


def evaluation_tables(evaluation: Evaluation) -> tuple[Table, ...]:
    """Success and cost, why thinking and episodes ended, and the honesty controls if played."""
    tables = [_success_table(evaluation), _endings_table(evaluation)]
    if evaluation.spec.controls:
        tables.append(_controls_table(evaluation))
    return tuple(tables)


def _success_table(evaluation: Evaluation) -> Table:
    spec = evaluation.spec
    table = Table(
        title=f"{evaluation.manifest.name} on {spec.suite}, split {spec.split}, {spec.clock} clock",
        caption=f"seeds {spec.seed} to {spec.seed + spec.episodes - 1}; gate {spec.gate}; "
        "FLOPs and weights: share of always thinking to the end; jerk: of the tool path",
    )
    table.add_column("task")
    waits = CLOCKS[spec.clock].waits
    lateness = () if waits else ("late", "stalls", "lag [s]")
    costs = ("time [s]", "depth", "FLOPs", "weights", "jerk [m/s³]")
    for heading in ("success", "95 % interval", *costs, *lateness):
        table.add_column(heading, justify="right")
    for task, row in _rows(evaluation, Control.NONE):
        late = (f"{row.late}/{row.decisions}", str(row.stalls), f"{row.lag:.2f}")
        table.add_row(
            task,
            _share(row.successes, row.episodes),
            _interval(row),
            _number(row.completion_time, 1),
            _number(row.mean_depth, 2),
            _percent(row.flops_fraction),
            _percent(row.weight_fraction),
            _number(row.jerk, 1),
            *(() if waits else late),
            end_section=task == evaluation.spec.tasks[-1],
        )
    return table


def _endings_table(evaluation: Evaluation) -> Table:
    table = Table("task", "why thinking stopped", "why episodes failed", title="Endings")
    for task, row in _rows(evaluation, Control.NONE):
        table.add_row(task, _counts(row.reasons), _counts(row.failures))
    return table


def _controls_table(evaluation: Evaluation) -> Table:
    table = Table(
        title="Honesty controls: success must collapse",
        caption="named: the task was done to the other cube, the one that the instruction named",
    )
    table.add_column("control")
    table.add_column("task")
    for heading in ("success", "95 % interval", "named"):
        table.add_column(heading, justify="right")
    for control in evaluation.spec.variants:
        for task, row in _rows(evaluation, control):
            swapped = control is Control.SWAPPED
            table.add_row(
                control.value,
                task,
                _share(row.successes, row.episodes),
                _interval(row),
                _share(row.swapped_successes, row.episodes) if swapped else "",
                end_section=task == ALL,
            )
    return table


def _rows(evaluation: Evaluation, control: Control) -> Iterator[tuple[str, Summary]]:
    for task in evaluation.spec.tasks:
        yield task, evaluation.summary(control, task)
    yield ALL, evaluation.summary(control)


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} {100 * part / whole:.0f} %"


def _interval(row: Summary) -> str:
    low, high = row.interval
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _counts(counts: dict[str, int]) -> str:
    named = (f"{name.lower().replace('_', ' ')} {n}" for name, n in sorted(counts.items()))
    return ", ".join(named) or "-"
