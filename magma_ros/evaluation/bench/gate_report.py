# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a bench: what is claimed and what was measured, tables, and two plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from magma_ros.evaluation.bench.gate import Bench, Row
from magma_ros.evaluation.bench.gate_plan import ADAPTIVE, DEADLINE_SHARE, HARSH, HEADLINE, Section
from magma_ros.evaluation.report.tables import Grid, number, percentage, percentages
from magma_ros.files import make_folder, whole, write_json

CONTENT = "bench.json"
PAGE = "bench.md"
SLOWNESS_PLOT = "slowness.png"
COMPUTE_PLOT = "compute.png"

LOOKS = {
    "adaptive": ("o", "tab:blue"),
    "full depth": ("s", "tab:red"),
    "as deep as fits": ("^", "tab:orange"),
    "entropy": ("v", "tab:green"),
    "consistency": ("D", "tab:purple"),
    "oracle": ("*", "black"),
}
"""Marker and colour of each family in plots; exits are grey crosses."""


def write_bench(bench: Bench, folder: Path) -> None:
    """Write everything into a folder; the page comes last.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    write_json(bench.to_json(), folder / CONTENT)
    _plot_suites(bench, _plot_slowness, folder / SLOWNESS_PLOT)
    _plot_suites(bench, _plot_compute, folder / COMPUTE_PLOT)
    gate = "calibrated" if bench.calibrated else "not calibrated"
    parts = [
        f"# Gates of {bench.manifest.name}",
        f"Manifest `{bench.checksum}`, gate {gate}, seeds from {bench.spec.seed} on.",
        f"A decision is due within {DEADLINE_SHARE:.0%} of the time between two observations.",
        *(table.markdown() for table in bench_tables(bench)),
        f"![success over slowness]({SLOWNESS_PLOT})",
        f"![success over compute]({COMPUTE_PLOT})",
    ]
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def bench_tables(bench: Bench) -> Iterator[Grid]:
    """What is claimed, then every section."""
    yield claims_table(bench)
    for section in Section:
        if rows := [row for suite in bench.suites for row in bench.select(section, suite)]:
            yield _section_table(section, rows)
    yield budget_table(bench)


def claims_table(bench: Bench) -> Grid:
    """One line for each aim that these figures can judge."""
    lines = [
        (suite, *line)
        for suite in bench.suites
        for claims in (_slowness_claims, _fast_claims)
        for line in claims(bench, suite)
    ]
    return Grid(
        "Aims and figures",
        ("suite", "figure", "aim", "measured"),
        lines,
        f"{HEADLINE:g} x: 99 % of full-depth decisions take at most {HEADLINE:g} periods. Kept: "
        "success as a share of that of full depth in a world that waits, same episodes.",
        text_columns=3,
    )


def _slowness_claims(bench: Bench, suite: str) -> Iterator[tuple[str, str, str]]:
    """Claims about lateness, and about success under latency."""
    at = {
        (_slowness(row), row.cell.contender.label): row
        for row in bench.select(Section.SLOWNESS, suite)
    }
    sums = at[HEADLINE, "adaptive"].played.sums
    late = f"{sums.late} of {sums.decisions}"
    yield f"adaptive at {HEADLINE:g} x: late decisions", "0", late
    moving = suite == "moving"
    for slowness, who, aim in (
        (HEADLINE, "adaptive", "at least 90 %" if moving else "at least 95 %"),
        (HEADLINE, "full depth", "at most 60 %" if moving else "shown"),
        (HARSH, "adaptive", "shown"),
        (HARSH, "full depth", "shown"),
    ):
        yield f"{who} at {slowness:g} x: success kept", aim, percentage(at[slowness, who].kept)


def _fast_claims(bench: Bench, suite: str) -> Iterator[tuple[str, str, str]]:
    """Claims about compute saved where there is time, and success lost by it."""
    (row,) = (row for row in bench.select(Section.FAST, suite) if row.cell.contender == ADAPTIVE)
    sums = row.played.sums
    shares = f"{percentage(sums.flops_fraction)}, {percentage(sums.weight_fraction)}"
    yield "adaptive with time to spare: FLOPs, weights", "at most 40 %", shares
    low, high = (100 * bound for bound in row.paired.difference_interval())
    difference = f"{100 * row.paired.difference:+.1f} ({low:+.1f} to {high:+.1f})"
    yield "adaptive with time to spare: difference [points]", "within 1", difference


def _section_table(section: Section, rows: Sequence[Row]) -> Grid:
    lines = []
    for row in rows:
        sums, paired = row.played.sums, row.paired
        low, high = paired.difference_interval()
        lines.append(
            (
                row.cell.suite,
                row.cell.place,
                row.cell.contender.label,
                f"{sums.successes}/{sums.episodes}",
                percentage(sums.success),
                percentages(sums.interval),
                f"{100 * paired.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
                f"{sums.late}/{sums.decisions}",
                str(sums.stalls),
                number(sums.completion_time, 1),
                number(sums.jerk, 1),
                number(sums.mean_depth, 2),
                percentage(sums.flops_fraction),
                percentage(sums.weight_fraction),
            )
        )
    return Grid(
        section.value,
        ("suite", "where", "who", "done", "success", "95 % interval", "difference [points]",
         "late", "stalls", "time [s]", "jerk [m/s³]", "depth", "FLOPs", "weights"),
        lines,
        "Difference: to full depth in a world that waits, same episodes, Newcombe's interval. "
        "FLOPs and weights: share of always thinking to the end.",
        text_columns=3,
    )  # fmt: skip


def budget_table(bench: Bench) -> Grid:
    """Best success that each family reaches within the compute of each fixed exit."""
    lines = []
    for suite in bench.suites:
        rows = bench.select(Section.BUDGETS, suite) + bench.select(Section.FAST, suite)
        families = _families(rows)
        for exit_row in (row for row in rows if row.cell.contender.gate == "fixed"):
            budget = _compute(exit_row)
            within = [
                max((_success(row) for row in family if _compute(row) <= budget + 1e-9), default=-1)
                for family in families.values()
            ]
            shown = [f"{best:.1f}" if best >= 0.0 else "-" for best in within]
            lines.append((suite, f"{budget:.0f} %", *shown))
    return Grid(
        "Best success within a budget [%]",
        ("suite", "FLOPs", *families),
        lines,
        "Budgets are what the fixed exits cost; a dash: the gate has no setting so cheap.",
        text_columns=2,
    )


def _families(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by family; all fixed exits together."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        contender = row.cell.contender
        name = "fixed exits" if contender.gate == "fixed" else contender.family
        families.setdefault(name, []).append(row)
    return families


def _compute(row: Row) -> float:
    """Operations in percent of full depth."""
    return 100.0 * (row.played.sums.flops_fraction or 0.0)


def _slowness(row: Row) -> float:
    """Periods that full depth takes."""
    return row.cell.spec.conditions.slowness or 0.0


def _success(row: Row) -> float:
    return 100.0 * row.played.sums.success


def _plot_slowness(bench: Bench, suite: str, axes: Axes) -> None:
    """Success over how slow the computer is, by contender."""
    rows = bench.select(Section.SLOWNESS, suite)
    for label in dict.fromkeys(row.cell.contender.label for row in rows):
        own = sorted((row for row in rows if row.cell.contender.label == label), key=_slowness)
        _errorbar(axes, [_slowness(row) for row in own], own, label)
    (reference,) = bench.select(Section.REFERENCE, suite)
    axes.axhline(_success(reference), color="0.4", linestyle=":", label="full depth, no latency")
    axes.set_xscale("log", base=2)
    places = sorted({_slowness(row) for row in rows})
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.set_xlabel("full depth, 99 % [periods]")


def _plot_compute(bench: Bench, suite: str, axes: Axes) -> None:
    """Success over compute where there is time, by family, each from cheap to dear."""
    rows = bench.select(Section.BUDGETS, suite) + bench.select(Section.FAST, suite)
    for name, family in _families(rows).items():
        own = sorted(family, key=_compute)
        _errorbar(axes, [_compute(row) for row in own], own, name)
    axes.set_xlabel("FLOPs [% of full depth]")


def _errorbar(axes: Axes, places: Sequence[float], rows: Sequence[Row], label: str) -> None:
    """Success with its intervals."""
    rates = np.array([_success(row) for row in rows])
    low, high = 100.0 * np.array([row.played.sums.interval for row in rows]).T
    spans = np.clip([rates - low, high - rates], 0.0, None)
    marker, colour = LOOKS.get(label, ("x", "0.5"))
    axes.errorbar(
        places,
        rates,
        yerr=spans,
        marker=marker,
        color=colour,
        linewidth=1.0,
        elinewidth=0.6,
        capsize=2,
        label=label,
        zorder=3 if label == ADAPTIVE.label else 2,  # what it is about lies on top
    )


def _plot_suites(bench: Bench, draw: Callable[[Bench, str, Axes], None], path: Path) -> None:
    """One panel a suite."""
    suites = bench.suites
    figure = Figure(figsize=(5.0 * len(suites) + 2.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(suites), sharey=True, squeeze=False)[0]
    for suite, axes in zip(suites, panels, strict=True):
        draw(bench, suite, axes)
        axes.set(title=suite, ylim=(-2, 102))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("success [%], 95 % interval")
    panels[-1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    with whole(path) as draft:
        figure.savefig(draft, dpi=110)
