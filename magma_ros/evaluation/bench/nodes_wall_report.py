# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency from camera to guard as a table, a page and JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from magma_ros.evaluation.bench.nodes_wall import LEAST_SEEN, Block, NodesBench, contenders
from magma_ros.evaluation.bench.wall_report import ROW_HEADINGS, WallRow, row_cells, wall_row
from magma_ros.evaluation.computers.hog import TOOL
from magma_ros.evaluation.report.tables import Grid
from magma_ros.files import make_folder, whole, write_json

FORMAT = "magma-camera-to-guard/1"
"""Mark of the JSON."""

CONTENT = "camera_to_guard.json"
PAGE = "camera_to_guard.md"


def nodes_rows(bench: NodesBench) -> list[tuple[float, WallRow, int]]:
    """Rate [Hz], figures, and how often the guard held; one for each key of the bench."""
    full = sum(stage.flops for stage in bench.manifest.stages)
    return [
        (rate, wall_row(condition, who, ticks, 1.0 / rate, full), bench.holds[rate, condition, who])
        for (rate, condition, who), ticks in bench.ticks.items()
    ]


def seen_rates(bench: NodesBench, key: tuple[float, str, str]) -> tuple[float, ...]:
    """Pictures a second that each watcher took in each block [Hz]; none where none watched."""
    return tuple(rate for seen in bench.seen.get(key, []) for rate in seen.rates)


def nodes_table(bench: NodesBench) -> Grid:
    """All rows."""
    machine = bench.machine
    settings = "; ".join(_settings(bench, rate) for rate in bench.spec.rates)
    return Grid(
        f"{bench.manifest.name} from camera to guard: policy and guard as nodes over DDS",
        ("rate [Hz]", "while", "who", *ROW_HEADINGS, "holds", "seen [Hz]"),
        [
            (
                f"{rate:g}",
                row.condition,
                row.contender,
                *row_cells(row),
                str(held),
                _seen(seen_rates(bench, (rate, row.condition, row.contender))),
            )
            for rate, row, held in nodes_rows(bench)
        ],
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads of inference, one "
        f"run, contenders in turns of {bench.spec.block} ticks; load before it {machine.load:.1f}; "
        f"hog: {TOOL} --cpu {machine.cores}. Time from the stamp of a picture to the stamp of the "
        "first command of the guard that follows its plan. A miss is a picture without such a "
        "command within one period, pictures skipped or never answered included; loop late: the "
        "picture itself came more than 5 % of a period too late; holds: how often the guard held. "
        f"{settings}.{_watchers(bench.spec.browsers)}",
        text_columns=3,
    )


def write_nodes_bench(bench: NodesBench, folder: Path) -> None:
    """Write everything into a folder; the page comes last.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    content = {
        "format": FORMAT,
        "spec": asdict(bench.spec),
        "machine": asdict(bench.machine),
        "bundle": {"name": bench.manifest.name, "manifest_sha256": bench.checksum},
        "rows": [
            {"rate": rate, "holds": held, "seen_hz": seen_rates(bench, (rate, *_names(row)))}
            | asdict(row)
            for rate, row, held in nodes_rows(bench)
        ],
    }
    write_json(content, folder / CONTENT)
    parts = [nodes_table(bench).markdown(level=1), f"Manifest `{bench.checksum}`."]
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _names(row: WallRow) -> tuple[str, str]:
    return row.condition, row.contender


def _seen(rates: tuple[float, ...]) -> str:
    """What the watchers saw, from the least to the most, or that the row shows nothing."""
    if not rates:
        return "-"
    void = "void: " if min(rates) <= LEAST_SEEN else ""
    return f"{void}{min(rates):.1f} to {max(rates):.1f}"


def _watchers(count: int) -> str:
    if not count:
        return ""
    return (
        f" Served: beside a console node of which {count} programs take every picture; watched: "
        f"beside one that {count} headless Chromium show. Both run on the same cores, but only if "
        "nobody else wants them (SCHED_IDLE), as they stand for the computers of operators; pages "
        "are loaded and live before the arm is handed over. Seen: pictures a second that a watcher "
        "took of the camera of which it took fewest; a row with one of "
        f"{LEAST_SEEN:g} or less is void."
    )


def _settings(bench: NodesBench, rate: float) -> str:
    adaptive = Block(rate, contenders(bench.manifest.exits)[0], bench.spec.block)
    return (
        f"at {rate:g} Hz the guard commands at {adaptive.guard_rate:g} Hz and the gate is given "
        f"{1e3 * adaptive.policy_deadline:g} ms, full depth as long as it takes"
    )
