# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table and the plot of success by network quality."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from magma_ros.evaluation.bench.network import ALONE, NetworkBench, Row, Way
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import whole

COLOURS = {Way.HERE: "tab:gray", Way.FAR: "tab:orange", Way.BOTH: "tab:blue"}

COLUMNS = ("line", "decides", "success", "95 %", "late", "far in time", "far late", "against")


def network_table(bench: NetworkBench) -> str:
    """Every row as Markdown; of both, the difference to each alone."""
    return markdown_table(COLUMNS, [_cells(bench, row) for row in bench.rows])


def _cells(bench: NetworkBench, row: Row) -> tuple[str, ...]:
    low, high = row.interval
    against = ""
    if row.way is Way.BOTH:
        pairs = {way: bench.pairs(row.quality, way) for way in ALONE}
        against = "; ".join(
            f"{way.name.lower()} {100 * found.difference:+.0f} points (p = {found.p_value():.2g})"
            for way, found in pairs.items()
        )
    return (
        row.quality,
        row.way.value,
        f"{row.successes}/{len(row.results)}",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        f"{100 * row.late:.2f} %",
        f"{100 * row.share('FAR'):.0f} %",
        f"{100 * row.share('FAR_LATE'):.0f} %",
        against,
    )


def plot_network(bench: NetworkBench, path: Path) -> None:
    """Draw success over the lines, a curve for each way of deciding.

    Raises:
        MagmaError: The file cannot be written.
    """
    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    qualities = list(dict.fromkeys(row.quality for row in bench.rows))
    for place, way in enumerate(Way):
        rows = [row for row in bench.rows if row.way is way]
        rates = [100.0 * row.successes / len(row.results) for row in rows]
        ends = [(100.0 * row.interval[0], 100.0 * row.interval[1]) for row in rows]
        spread = [
            [rate - low for rate, (low, _) in zip(rates, ends, strict=True)],
            [high - rate for rate, (_, high) in zip(rates, ends, strict=True)],
        ]
        places = [index + 0.06 * (place - 1) for index in range(len(rates))]
        axes.errorbar(
            places, rates, spread, label=way.value, color=COLOURS[way], marker="o", capsize=3
        )
    axes.set_xticks(range(len(qualities)), [name.replace(", ", "\n") for name in qualities])
    axes.set_xlabel("line: delay of each way, loss, cuts of 2 s")
    axes.set_ylabel("success [%]")
    axes.set_ylim(0.0, 102.0)
    axes.set_title(f"{', '.join(bench.spec.suites)}: {len(bench.rows[0].results)} episodes a point")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower left")
    with whole(path) as draft:
        figure.savefig(draft, dpi=150)
