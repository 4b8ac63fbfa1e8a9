# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ticks of a bench in real time add up to, as a table, a page and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.evaluation.bench.wall import Tick, WallBench
from magma_ros.evaluation.computers.hog import TOOL
from magma_ros.evaluation.figures.statistics import ratio, wilson_interval
from magma_ros.evaluation.report.tables import Grid, number, percentage
from magma_ros.files import make_folder, whole, write_json

FORMAT = "magma-wall-bench/1"
"""Mark of the JSON."""

CONTENT = "wall.json"
PAGE = "wall.md"


@dataclass(frozen=True, slots=True)
class WallRow:
    """The ticks of one contender under one condition; None where there is nothing to average.

    Attributes:
        condition: What else the machine did.
        contender: How it decides.
        ticks: How many.
        misses: Of these, without their action at the deadline.
        interval: 95 % Wilson interval of the share of misses.
        answered: Ticks that had an action sooner or later.
        median: Of the time from an observation to its action, late ones included [s].
        p99: Its 99th percentile [s].
        longest: Its maximum [s].
        mean_depth: Mean exit of the actions.
        flops_fraction: Operations of an observation that was thought about, as a share of
            always thinking to the end.
        loop_late: Ticks at which the loop itself woke up too late.
        missed_by_loop: Of these, misses.
        reasons: How often each ``Reason`` ended a decision.
    """

    condition: str
    contender: str
    ticks: int
    misses: int
    interval: tuple[float, float]
    answered: int
    median: float | None
    p99: float | None
    longest: float | None
    mean_depth: float | None
    flops_fraction: float | None
    loop_late: int
    missed_by_loop: int
    reasons: dict[str, int]


def wall_rows(bench: WallBench) -> list[WallRow]:
    """One row for each condition and contender, in the order they were played."""
    full = sum(stage.flops for stage in bench.manifest.stages)
    return [
        wall_row(condition, contender, ticks, bench.spec.deadline, full)
        for condition, by_contender in bench.ticks.items()
        for contender, ticks in by_contender.items()
    ]


def wall_row(
    condition: str, contender: str, ticks: Sequence[Tick], deadline: float, full_flops: int
) -> WallRow:
    """What the ticks of one contender under one condition add up to."""
    missed = [tick for tick in ticks if tick.waited is None or tick.waited > deadline]
    waited = [tick.waited for tick in ticks if tick.waited is not None]
    seen = [tick for tick in ticks if tick.reason is not None]
    median, p99, longest = np.quantile(waited, [0.5, 0.99, 1.0]).tolist() if waited else [None] * 3
    return WallRow(
        condition=condition,
        contender=contender,
        ticks=len(ticks),
        misses=len(missed),
        interval=wilson_interval(len(missed), len(ticks)),
        answered=len(waited),
        median=median,
        p99=p99,
        longest=longest,
        mean_depth=ratio(sum(tick.depth for tick in ticks), len(waited)),
        flops_fraction=ratio(sum(tick.flops for tick in seen), len(seen) * full_flops),
        loop_late=sum(tick.loop_late for tick in ticks),
        missed_by_loop=sum(tick.loop_late for tick in missed),
        reasons=dict(Counter(tick.reason.name for tick in seen if tick.reason is not None)),
    )


ROW_HEADINGS = (
    "ticks",
    "misses",
    "[%], 95 % interval",
    "p50 [ms]",
    "p99 [ms]",
    "max [ms]",
    "depth",
    "FLOPs",
    "loop late (missed)",
)
"""What the cells of a row are about."""


def row_cells(row: WallRow) -> tuple[str, ...]:
    """The figures of a row, as in :data:`ROW_HEADINGS`."""
    return (
        str(row.ticks),
        str(row.misses),
        rare(row.misses / row.ticks, row.interval),
        *(_milliseconds(value) for value in (row.median, row.p99, row.longest)),
        number(row.mean_depth, 2),
        percentage(row.flops_fraction),
        f"{row.loop_late} ({row.missed_by_loop})",
    )


def wall_table(bench: WallBench) -> Grid:
    """All rows."""
    spec, machine = bench.spec, bench.machine
    lines = [
        (
            row.condition,
            row.contender,
            *row_cells(row),
        )
        for row in wall_rows(bench)
    ]
    return Grid(
        f"{bench.manifest.name} in real time: an action every {1e3 * spec.period:g} ms, due after "
        f"{1e3 * spec.deadline:g} ms",
        ("while", "who", *ROW_HEADINGS),
        lines,
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads a policy, one run; "
        f"load before it {machine.load:.1f}; hog: {TOOL} --cpu {machine.cores}. A "
        "miss is a tick without its action at the deadline; p50, p99, max: from an observation to "
        "its action, late ones included; FLOPs: share of always thinking to the end; loop late: "
        f"the loop itself woke up more than {1e3 * spec.tolerance:g} ms too late.",
        text_columns=2,
    )  # fmt: skip


def write_wall_bench(bench: WallBench, folder: Path) -> None:
    """Write everything into a folder; the page comes last.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    write_json(_to_json(bench), folder / CONTENT)
    parts = [wall_table(bench).markdown(level=1), f"Manifest `{bench.checksum}`."]
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _to_json(bench: WallBench) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "spec": asdict(bench.spec),
        "machine": asdict(bench.machine),
        "bundle": {"name": bench.manifest.name, "manifest_sha256": bench.checksum},
        "rows": [asdict(row) for row in wall_rows(bench)],
    }


def rare(part: float, interval: tuple[float, float]) -> str:
    """A share with its interval in percent, fine enough for rare events."""
    low, high = interval
    return f"{100 * part:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def _milliseconds(seconds: float | None) -> str:
    return number(None if seconds is None else 1e3 * seconds, 1)
