# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of evaluations, for the terminal and for Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from magma_ros.evaluation.figures.summary import (
    ALL,
    BLIND_LIMIT,
    FOLLOWED_LEAST,
    KEPT_LIMIT,
    Summary,
)
from magma_ros.evaluation.play.clocks import CLOCKS
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.evaluation.world import Control
from magma_ros.types import TRACE_MARKS


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, however it is shown.

    Attributes:
        title: What it is about.
        header: Headings; all columns but the first ``text_columns`` hold figures.
        rows: As many cells each.
        caption: What a reader must know besides; may be empty.
        text_columns: Columns at the left that hold text.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1

    def __rich__(self) -> Table:
        """For a terminal."""
        table = Table(title=escape(self.title), caption=escape(self.caption) or None)
        for index, heading in enumerate(self.header):
            table.add_column(
                escape(heading), justify="left" if index < self.text_columns else "right"
            )
        for row in self.rows:
            table.add_row(*(escape(cell) for cell in row))
        return table

    def markdown(self, level: int = 2) -> str:
        """For a page, under a heading of that level."""
        parts = [
            f"{level * '#'} {self.title}",
            markdown_table(self.header, self.rows),
            self.caption,
        ]
        return "\n\n".join(part for part in parts if part)


def evaluation_tables(evaluation: Evaluation) -> tuple[Grid, ...]:
    """Success and cost, endings; tiers, traces and controls where there are."""
    tables = [_success_table(evaluation), *_tier_tables(evaluation), _endings_table(evaluation)]
    if evaluation.summary().trace_errors:
        tables.append(_traces_table(evaluation))
    if evaluation.spec.controls:
        tables += [_controls_table(evaluation), _honesty_table(evaluation)]
    return tuple(tables)


def _success_table(evaluation: Evaluation) -> Grid:
    spec = evaluation.spec
    waits = CLOCKS[spec.clock].waits
    costs = ("time [s]", "depth", "FLOPs", "weights", "jerk [m/s³]")
    rows = []
    for task, row in _rows(evaluation, Control.NONE):
        late = (f"{row.late}/{row.decisions}", str(row.stalls), f"{row.lag:.2f}")
        rows.append(
            (
                task,
                share(row.successes, row.episodes),
                percentages(row.interval),
                number(row.completion_time, 1),
                number(row.mean_depth, 2),
                percentage(row.flops_fraction),
                percentage(row.weight_fraction),
                number(row.jerk, 1),
                *(() if waits else late),
            )
        )
    lateness = () if waits else ("late", "stalls", "lag [s]")
    return Grid(
        f"{evaluation.manifest.name} on {', '.join(evaluation.suites)}; split {spec.split}, "
        f"{spec.clock} clock",
        ("task", "success", "95 % interval", *costs, *lateness),
        rows,
        f"Seeds {spec.seed} to {spec.seed + spec.episodes - 1}; gate {_gate(evaluation)}; "
        "Wilson intervals; FLOPs and weights: share of always thinking to the end; "
        "jerk: of the tool path.",
    )


def _tier_tables(evaluation: Evaluation) -> Iterator[Grid]:
    """Success by tier of every suite that has tiers."""
    for suite in evaluation.suites:
        if (tiers := evaluation.tiers(suite)) is None:
            continue
        overall = evaluation.summary(suite=suite)
        rows = [
            (tier, str(mean.tasks), str(mean.episodes), tenths(mean.success), spread(mean.interval))
            for tier, mean in {**tiers.means, "average of the tiers": tiers.average}.items()
        ]
        tasks, episodes = str(tiers.average.tasks), str(overall.episodes)
        whole = tenths(overall.success), spread(overall.interval)
        rows.append(("average of the episodes", tasks, episodes, *whole))
        partly = f" {tiers.missing} tasks were not played." if tiers.missing else ""
        yield Grid(
            f"Tiers of {suite}",
            ("tier", "tasks", "episodes", "success", "95 % interval"),
            rows,
            "Within a tier every task counts the same, and so does every tier in their average, "
            f"which is the figure that is published; square-and-add intervals.{partly}",
        )


def _endings_table(evaluation: Evaluation) -> Grid:
    rows = [
        (task, _counts(row.reasons), _counts(row.failures))
        for task, row in _rows(evaluation, Control.NONE)
    ]
    return Grid(
        "Endings", ("task", "why thinking stopped", "why episodes failed"), rows, text_columns=3
    )


def _traces_table(evaluation: Evaluation) -> Grid:
    headings = [f"{mark}, {what}" for mark in TRACE_MARKS for what in ("median", "p90")]
    rows = []
    for task, row in _rows(evaluation, Control.NONE):
        errors = [row.trace_errors.get(mark) for mark in TRACE_MARKS]
        figures = [(number(e.median, 1), number(e.p90, 1)) if e else ("-", "-") for e in errors]
        points = next((str(e.points) for e in errors if e), "0")
        rows.append((task, points, *(figure for pair in figures for figure in pair)))
    return Grid(
        "Traces against the truth",
        ("task", "points", *headings),
        rows,
        "Distance in cells of the 256 x 256 grid across the image, over all predicted points whose "
        "time came before the episode ended.",
    )


def _controls_table(evaluation: Evaluation) -> Grid:
    rows = []
    for control in evaluation.spec.variants:
        for task, row in _rows(evaluation, control):
            swapped = control is Control.SWAPPED
            named = row.swapped_successes if swapped else None
            served = "" if named is None else share(named, row.episodes)
            done = share(row.successes, row.episodes)
            rows.append((control.value, task, done, percentages(row.interval), served))
    return Grid(
        "Controls: success must collapse",
        ("control", "task", "success", "95 % interval", "named"),
        rows,
        "Named: the task was done to the other object, the one that the instruction named.",
        text_columns=2,
    )


def _honesty_table(evaluation: Evaluation) -> Grid:
    rows = []
    for task in evaluation.tasks:
        if (honesty := evaluation.honesty(task)) is None:
            rows.append((task, "-", "-", "-", "never done, so not judged"))
            continue
        verdict = "honest" if honesty.passed else "FAILS"
        blind, kept = percentage(honesty.blind), percentage(honesty.kept)
        rows.append((task, blind, kept, percentage(honesty.followed), verdict))
    return Grid(
        "Honesty",
        ("task", "blind", "kept", "followed", "verdict"),
        rows,
        f"Blind: success with black cameras as a share of normal, at most {100 * BLIND_LIMIT:.0f} "
        f"%. Kept: original object served though another is named, at most {100 * KEPT_LIMIT:.0f} "
        f"%. Followed: the named one served, as a share of normal, at least "
        f"{100 * FOLLOWED_LEAST:.0f} %.",
    )


def _rows(evaluation: Evaluation, control: Control) -> Iterator[tuple[str, Summary]]:
    """By task; by suite, where there are several; of all, where there is more than one task."""
    for task in evaluation.tasks:
        yield task, evaluation.summary(control, task=task)
    if len(evaluation.suites) > 1:
        for suite in evaluation.suites:
            yield f"{ALL} of {suite}", evaluation.summary(control, suite=suite)
    if len(evaluation.tasks) > 1:
        yield ALL, evaluation.summary(control)


def _gate(evaluation: Evaluation) -> str:
    options = ", ".join(f"{name} {value}" for name, value in evaluation.spec.gate_options)
    return f"{evaluation.spec.gate} ({options})" if options else evaluation.spec.gate


def share(part: int, whole: int) -> str:
    """Count and percentage."""
    return f"{part}/{whole} {100 * part / whole:.0f} %"


def percentage(part: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if part is None else f"{100 * part:.0f} %"


def percentages(interval: tuple[float, float]) -> str:
    """An interval of shares in percent."""
    low, high = interval
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def tenths(part: float) -> str:
    """A share in percent, to a tenth."""
    return f"{100 * part:.1f} %"


def spread(interval: tuple[float, float]) -> str:
    """An interval of shares in percent, to a tenth."""
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def number(value: float | None, places: int) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:.{places}f}"


def _counts(counts: dict[str, int]) -> str:
    named = (f"{name.lower().replace('_', ' ')} {n}" for name, n in sorted(counts.items()))
    return ", ".join(named) or "-"
