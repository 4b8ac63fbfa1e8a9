# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of many robots' questions to several servers, as tables, a plot, a page and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from magma_ros.evaluation.bench.serve import Measured, ServeBench
from magma_ros.evaluation.bench.serve_robots import Asked
from magma_ros.evaluation.bench.wall_report import rare
from magma_ros.evaluation.figures.statistics import wilson_interval
from magma_ros.evaluation.report.tables import Grid, number, percentages
from magma_ros.files import make_folder, whole, write_json
from magma_ros.types import FloatArray

FORMAT = "magma-serve-bench/1"
"""Mark of the JSON."""

CONTENT = "serve.json"
PAGE = "serve.md"
PLOT = "serve.png"

BIN = 0.5
"""Time over which a spike is averaged [s]."""

RECOVERED = 0.95
"""Share of the mean depth before a spike from which on it counts as recovered."""

STAYS = 1.0
"""Time for which it must stay so [s]."""


@dataclass(frozen=True, slots=True)
class ServeRow:
    """A server under a condition; None where there is nothing to average.

    Attributes:
        condition: Who asked.
        server: Who answered.
        line: How the network was made.
        ticks: Observations that were to be shown.
        misses: Of these, without a plan within the deadline, those never shown included.
        interval: 95 % Wilson interval of the share of misses.
        answered: Plans a second, late ones included [1/s].
        in_time: Plans a second within the deadline [1/s].
        median: From showing an observation to its plan, late ones included [s].
        p99: Its 99th percentile [s].
        mean_depth: Mean exit of the plans.
        deviation: Mean deviation of the plans from full depth, in normalised units.
        fairness: Jain's index of the robots' shares of plans in time.
        reconnected: How often a robot lost its connection.
        admitted: Observations whose plan the server meant to be in time.
        admitted_missed: Of these, not in time.
        unadmitted: Observations of whose plan it said that it could not be.
        refused: Answers that were an error.
        recovery: Time from the end of a spike until all is as before it [s].
        server_cores: Cores that the server kept busy.
        robot_cores: Cores that the robots kept busy.
    """

    condition: str
    server: str
    line: str
    ticks: int
    misses: int
    interval: tuple[float, float]
    answered: float
    in_time: float
    median: float | None
    p99: float | None
    mean_depth: float | None
    deviation: float | None
    fairness: float | None
    reconnected: int
    admitted: int
    admitted_missed: int
    unadmitted: int
    refused: int
    recovery: float | None
    server_cores: float
    robot_cores: float


def serve_rows(bench: ServeBench) -> list[ServeRow]:
    """One for each condition and server, in the order they were measured."""
    return [serve_row(each, bench.spec.deadline) for each in bench.measured]


def serve_row(measured: Measured, deadline: float) -> ServeRow:
    """What a server did under a condition."""
    asked, condition = measured.asked, measured.condition
    answered = ~np.isnan(asked.waited)
    timely = in_time(asked, deadline)
    waited, ticks = asked.waited[answered], len(asked.waited)
    misses = ticks - int(timely.sum())
    median, p99 = np.quantile(waited, [0.5, 0.99]).tolist() if waited.size else (None, None)
    admitted = asked.admitted > 0
    finite = asked.deviations[np.isfinite(asked.deviations)]
    return ServeRow(
        condition=condition.name,
        server=measured.server.label,
        line=measured.line,
        ticks=ticks,
        misses=misses,
        interval=wilson_interval(misses, ticks),
        answered=float(answered.sum() / condition.seconds),
        in_time=float(timely.sum() / condition.seconds),
        median=median,
        p99=p99,
        mean_depth=float(asked.depths[answered].mean()) if waited.size else None,
        deviation=float(finite.mean()) if finite.size else None,
        fairness=jain(per_robot(asked, timely)),
        reconnected=int(asked.reconnected),
        admitted=int(admitted.sum()),
        admitted_missed=int((admitted & ~timely).sum()),
        unadmitted=int((answered & ~admitted).sum()),
        refused=int(asked.refused.sum()),
        recovery=None if condition.spike is None else recovery(asked, deadline, condition.spike),
        server_cores=float(asked.server_cpu / asked.wall),
        robot_cores=float(asked.cpu / asked.wall),
    )


def in_time(asked: Asked, deadline: float) -> Any:
    """(N,) which observations had their plan within the deadline [s]."""
    with np.errstate(invalid="ignore"):
        return asked.waited <= deadline


def per_robot(asked: Asked, timely: Any) -> FloatArray:
    """Of each robot, the share of its observations that had their plan in time."""
    robots = asked.robots.astype(int)
    total = np.bincount(robots)
    return np.bincount(robots, weights=timely) / np.maximum(total, 1)


def jain(shares: FloatArray) -> float | None:
    """Jain's index of fairness: 1 where all get the same, 1/n where one gets all (DEC-TR-301)."""
    squares = float(len(shares) * np.square(shares).sum())
    return float(shares.sum() ** 2 / squares) if squares else None


def recovery(asked: Asked, deadline: float, spike: tuple[float, float]) -> float | None:
    """Time from the end of a spike until plans are as deep and as timely as before it [s].

    It is over at the first :data:`BIN` whose mean depth is at least :data:`RECOVERED` of the mean
    before the spike, if it is so for the :data:`STAYS` that follows as a whole, too, and no bin of
    these has more misses than the worst one before the spike. (Single bins are less deep than the
    mean now and then without any spike.)

    Args:
        asked: What became of the observations.
        deadline: Time from an observation to its plan [s].
        spike: When it begins and ends [s].

    Returns:
        None where that is not reached before the end.
    """
    begin, end = spike
    times, misses, depths = binned(asked, deadline)
    before = (times >= BIN) & (times + BIN <= begin)
    if not before.any():
        return None
    usual = RECOVERED * np.nanmean(depths[before])
    allowed, stays = misses[before].max(), round(STAYS / BIN)
    for place in np.flatnonzero(times >= end):
        later = slice(place + 1, place + 1 + stays)
        if len(times[later]) < stays:
            return None
        # NaN, no plan at all, is no depth that is reached.
        deep = depths[place] >= usual and depths[later].mean() >= usual
        if deep and misses[place : place + 1 + stays].max() <= allowed:
            return float(times[place] - end)
    return None


def binned(asked: Asked, deadline: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Beginning of each stretch of time [s], the share of misses in it, and the mean depth."""
    places = (asked.due / BIN).astype(int)
    count = places.max() + 1
    total = np.bincount(places, minlength=count)
    timely = np.bincount(places, weights=in_time(asked, deadline), minlength=count)
    answered = np.bincount(places, weights=asked.depths > 0, minlength=count)
    depth = np.bincount(places, weights=asked.depths, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return BIN * np.arange(count), 1.0 - timely / total, depth / answered


def serve_tables(bench: ServeBench) -> Iterator[Grid]:
    """All rows, what the gate's server gains, and success."""
    rows = serve_rows(bench)
    yield _rows_table(bench, rows)
    yield _claims_table(rows)
    if bench.success:
        yield Grid(
            "Success at the depths of the answers",
            ("server, condition", "success", "95 %", "mean exit"),
            [
                (
                    label,
                    f"{each.successes}/{each.episodes}",
                    percentages(each.interval),
                    number(each.mean_depth, 2),
                )
                for label, each in bench.success.items()
            ],
            "The same episodes of tabletop and moving for all, played in a world that waits, with "
            "each decision's exit drawn as often as it was the answer. What late plans cost is not "
            "in it.",
        )


def _rows_table(bench: ServeBench, rows: list[ServeRow]) -> Grid:
    spec, machine = bench.spec, bench.machine
    remarks = "".join(f" {remark}." for remark in bench.remarks)
    line = "" if spec.line.ideal else f" Line: {spec.line}, round trip."
    return Grid(
        f"{bench.manifest.name} served: {spec.rate:g} Hz a robot, plans due after "
        f"{1e3 * spec.deadline:g} ms",
        (
            "condition", "server", "line", "answers/s", "in time/s", "missed [%], 95 %",
            "of admitted", "not admitted", "refused", "p50 [ms]", "p99 [ms]", "depth",
            "deviation", "Jain", "recovery [s]", "cores: server", "robots",
        ),
        [
            (
                row.condition, row.server, row.line, f"{row.answered:.1f}", f"{row.in_time:.1f}",
                rare(row.misses / row.ticks, row.interval),
                f"{row.admitted_missed:,}/{row.admitted:,}", f"{row.unadmitted:,}",
                f"{row.refused:,}",
                _milliseconds(row.median), _milliseconds(row.p99), number(row.mean_depth, 2),
                number(row.deviation, 3), number(row.fairness, 3), number(row.recovery, 1),
                f"{row.server_cores:.2f}", f"{row.robot_cores:.2f}",
            )
            for row in rows
        ],
        f"{machine.processor}, {machine.cores} cores, which servers and robots share; load before "
        f"it {machine.load:.1f}; one run, seed {spec.seed}. A miss is an observation without its "
        "plan within the deadline, those that a waiting robot could not show included. Deviation: "
        "root mean square difference to the plan of full depth, in normalised units. Recovery: "
        "until depth and misses are as before the spike."
        f"{line}{remarks}",
        text_columns=3,
    )  # fmt: skip


def _claims_table(rows: list[ServeRow]) -> Grid:
    """Plans a second of the first server as multiples of the others'."""
    by = {(row.condition, row.server): row for row in rows}
    first = rows[0].server
    lines = [
        (
            row.condition,
            row.server,
            f"{by[row.condition, first].answered / row.answered:.2f}" if row.answered else "-",
            f"{by[row.condition, first].in_time / row.in_time:.2f}" if row.in_time else "-",
        )
        for row in rows
        if row.server != first
    ]
    return Grid(
        f"{first} as a multiple of the others",
        ("condition", "than", "answers/s", "in time/s"),
        lines,
        "Robots ask no faster than their rate, so a server that meets it gains nothing more.",
        text_columns=2,
    )


def write_serve_bench(bench: ServeBench, folder: Path) -> None:
    """Write everything into a folder; the page comes last.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    write_json(serve_json(bench), folder / CONTENT)
    _plot(bench, folder / PLOT)
    parts = [
        f"# {bench.manifest.name} under load",
        f"Manifest `{bench.checksum}`.",
        *(table.markdown() for table in serve_tables(bench)),
        f"![misses and depth during the spike]({PLOT})",
    ]
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def serve_json(bench: ServeBench) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "format": FORMAT,
        "spec": asdict(bench.spec),
        "machine": asdict(bench.machine),
        "bundle": {"name": bench.manifest.name, "manifest_sha256": bench.checksum},
        "remarks": bench.remarks,
        "rows": [asdict(row) for row in serve_rows(bench)],
        "success": {
            label: {"successes": each.successes, "episodes": each.episodes}
            for label, each in bench.success.items()
        },
    }


def _plot(bench: ServeBench, path: Path) -> None:
    """Misses and depth over time, of every server, during the spike."""
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for each in bench.measured:
        if each.condition.spike is None:
            continue
        times, misses, depths = binned(each.asked, bench.spec.deadline)
        above.plot(times, 100 * misses, label=each.server.label)
        below.plot(times, depths, label=each.server.label)
        begin, end = each.condition.spike
        above.set_title(each.condition.name)
    for axes in (above, below):
        axes.axvspan(begin, end, color="0.9")
    above.set_ylabel("missed [%]")
    below.set_ylabel("mean exit")
    below.set_xlabel("time [s]")
    above.legend()
    with whole(path) as draft:
        figure.savefig(draft, dpi=120)


def _milliseconds(seconds: float | None) -> str:
    return number(None if seconds is None else 1e3 * seconds, 1)
