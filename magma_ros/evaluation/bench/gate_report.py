# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a bench: claims and measurements, gates against coins, tables, and two plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from magma_ros.evaluation.bench.coin import COIN, added
from magma_ros.evaluation.bench.gate import Bench, Duel, Row
from magma_ros.evaluation.bench.gate_plan import (
    ADAPTIVE,
    DEADLINE_SHARE,
    HARSH,
    HEADLINE,
    REGRET,
    Section,
)
from magma_ros.evaluation.figures.statistics import PairedCounts
from magma_ros.evaluation.figures.summary import ALL
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
    "regret": ("X", "tab:cyan"),
    COIN: ("P", "tab:brown"),
}
"""Marker and colour of each family in plots; exits are grey crosses."""


def write_bench(bench: Bench, folder: Path) -> None:
    """Write everything into a folder; the page comes last.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    write_json(bench.to_json(), folder / CONTENT)
    asked = {row.cell.section for row in bench.rows}
    plots = []
    for about, section, draw, file in (
        ("slowness", Section.SLOWNESS, _plot_slowness, SLOWNESS_PLOT),
        ("compute", Section.BUDGETS, _plot_compute, COMPUTE_PLOT),
    ):
        if section in asked:
            _plot_suites(bench, draw, folder / file)
            plots.append(f"![success over {about}]({file})")
    gate = "calibrated" if bench.calibrated else "not calibrated"
    parts = [
        f"# Gates of {bench.manifest.name}",
        f"Manifest `{bench.checksum}`, gate {gate}.",
        f"Split {bench.spec.split}, seeds from {bench.spec.seed} on.",
        f"A decision is due within {DEADLINE_SHARE:.0%} of the time between two observations.",
        *(table.markdown() for table in bench_tables(bench)),
        *plots,
    ]
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def bench_tables(bench: Bench) -> Iterator[Grid]:
    """What is claimed, the gates against the coins, then every section."""
    yield claims_table(bench)
    yield coins_table(bench)
    for section in Section:
        if rows := [row for suite in bench.suites for row in bench.select(section, suite)]:
            yield _section_table(section, rows)
    yield from budget_tables(bench)


def brief_tables(bench: Bench) -> Iterator[Grid]:
    """Those that fit most terminals."""
    yield claims_table(bench)
    yield from budget_tables(bench)


def claims_table(bench: Bench) -> Grid:
    """One line for each aim that these figures can judge."""
    lines = [
        (suite, *line)
        for suite in bench.suites
        for claims in (_slowness_claims, _fast_claims, _coin_claims)
        for line in claims(bench, suite)
    ]
    if len(bench.suites) > 1:
        lines += [(ALL, *line) for line in _coin_claims(bench, *bench.suites)]
    return Grid(
        "Aims and figures",
        ("suite", "figure", "aim", "measured"),
        lines,
        f"{HEADLINE:g} x: 99 % of full-depth decisions take at most {HEADLINE:g} periods. Kept: "
        "success as a share of that of full depth in a world that waits, same episodes. Coin: two "
        "fixed exits mixed at random to the gate's own operations, in the same episodes; the "
        "gate's success less the coin's [points], Newcombe's interval, McNemar's exact test.",
        text_columns=3,
    )


def _slowness_claims(bench: Bench, suite: str) -> Iterator[tuple[str, str, str]]:
    """Claims about lateness, and about success under latency."""
    at = {
        (_slowness(row), row.cell.contender.label): row
        for row in bench.select(Section.SLOWNESS, suite)
    }
    for (slowness, who), row in at.items():
        if who == ADAPTIVE.label and slowness in (HEADLINE, *bench.spec.slowness):
            sums = row.played.sums
            late = f"{sums.late} of {sums.decisions}"
            yield f"adaptive at {slowness:g} x: late decisions", "0", late
    moving = suite == "moving"
    for slowness, who, aim in (
        (HEADLINE, "adaptive", "at least 90 %" if moving else "at least 95 %"),
        (HEADLINE, "full depth", "at most 60 %" if moving else "shown"),
        (HARSH, "adaptive", "shown"),
        (HARSH, "full depth", "shown"),
    ):
        if (slowness, who) in at:
            kept = percentage(at[slowness, who].kept)
            yield f"{who} at {slowness:g} x: success kept", aim, kept


def _fast_claims(bench: Bench, suite: str) -> Iterator[tuple[str, str, str]]:
    """Claims about compute saved where there is time, and success lost by it."""
    for row in bench.select(Section.FAST, suite):
        if row.cell.contender == ADAPTIVE:
            sums = row.played.sums
            shares = f"{percentage(sums.flops_fraction)}, {percentage(sums.weight_fraction)}"
            yield "adaptive with time to spare: FLOPs, weights", "at most 40 %", shares
            difference = _points(row.paired)
            yield "adaptive with time to spare: difference [points]", "within 1", difference


def _coin_claims(bench: Bench, *suites: str) -> Iterator[tuple[str, str, str]]:
    """What the gate adds to a coin that spends as much, in one suite or in several together."""
    claimed = [duel for duel in bench.duels if duel.gate.cell.suite in suites]
    places = [
        *(
            (who, Section.SLOWNESS, f"{slowness:g} x", f"at {slowness:g} x")
            for slowness in bench.spec.slowness or (HEADLINE, HARSH)
            for who in (ADAPTIVE, REGRET)
        ),
        (ADAPTIVE, Section.FAST, None, "with time to spare"),
        (REGRET, Section.FAST, None, "with time to spare"),
    ]
    for who, section, place, told in places:
        for best, pair in ((False, "coin"), (True, "best coin")):
            counts = added(
                duel.paired
                for duel in claimed
                if duel.best is best
                and duel.gate.cell.contender == who
                and duel.gate.cell.section is section
                and place in (None, duel.gate.cell.place)
            )
            if counts.pairs:
                figures = f"{_points(counts)}, p = {counts.p_value():.2g}, n = {counts.pairs}"
                yield f"{who.label} {told}: better than the {pair}", "p < 0.01", figures


def coins_table(bench: Bench) -> Grid:
    """Every gate beside the coins that spend as much."""
    return Grid(
        "Is the gate better than a coin?",
        ("suite", "where", "who", "coin", "mixes", "pairs", "success", "coin's", "only gate / coin",
         "difference [points]", "p", "FLOPs", "coin's FLOPs"),
        [_duel_line(duel) for duel in bench.duels],
        "Coin 2-3 41%: acts on exit 3 in 41 % of the decisions and on exit 2 in the others, drawn "
        "anew each time, so that its operations are those of the gate. It drives episodes of its "
        "own, the same scenes, and keeps to the deadline. It mixes the two neighbours whose "
        "operations bracket the gate's, or the best pair: the two on the lower convex hull of all "
        "fixed exits' failures over operations, as they did in these very episodes, which favours "
        "the coin; past the best exit it takes that one and spends less. Difference: the gate's "
        "success less the coin's, Newcombe's interval. p: McNemar's exact test.",
        text_columns=5,
    )  # fmt: skip


def _duel_line(duel: Duel) -> tuple[str, ...]:
    counts, cell = duel.paired, duel.gate.cell
    gate, coin = duel.gate.played.sums, duel.coin.played.sums
    return (
        cell.suite,
        cell.place,
        cell.contender.label,
        duel.coin.cell.contender.setting,
        "best pair" if duel.best else "neighbours",
        str(counts.pairs),
        percentage(gate.success),
        percentage(coin.success),
        f"{counts.only_second} / {counts.only_first}",
        _points(counts),
        f"{counts.p_value():.3f}",
        percentage(gate.flops_fraction),
        percentage(coin.flops_fraction),
    )


def _points(counts: PairedCounts) -> str:
    """A difference of success with its interval [points]."""
    low, high = (100.0 * bound for bound in counts.difference_interval())
    return f"{100.0 * counts.difference:+.1f} ({low:+.1f} to {high:+.1f})"


def _section_table(section: Section, rows: Sequence[Row]) -> Grid:
    lines = []
    for row in rows:
        sums, paired = row.played.sums, row.paired
        lines.append(
            (
                row.cell.suite,
                row.cell.place,
                row.cell.contender.label,
                f"{sums.successes}/{sums.episodes}",
                percentage(sums.success),
                percentages(sums.interval),
                _points(paired),
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


def budget_tables(bench: Bench) -> Iterator[Grid]:
    """Best success that each family reaches within the compute of each fixed exit, if asked."""
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
    if lines:
        yield Grid(
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
    """Success over how slow the computer is, by family."""
    rows = bench.select(Section.SLOWNESS, suite)
    for name in dict.fromkeys(row.cell.contender.family for row in rows):
        own = sorted((row for row in rows if row.cell.contender.family == name), key=_slowness)
        _errorbar(axes, [_slowness(row) for row in own], own, name)
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
