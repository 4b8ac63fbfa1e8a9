# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench``: what policies, gates, the guard and the eyes cost, and what they stand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from magma_ros.cli.common import Bundle, JsonFile, RayAddress, cluster, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder, whole, write_json
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.evaluation.bench.nodes_wall import NodesSpec

bench_app = App(
    name="bench",
    help="Time policies, compare gates where nothing waits, try to get past guard and eyes.",
)


@bench_app.command
def gate(
    *,
    bundle: Bundle = "magma-nano",
    out: Path = Path("runs/bench"),
    quick: Annotated[bool, Parameter(negative="")] = False,
    episodes: int | None = None,
    suite: str = "tabletop,moving",
    tasks: str = "",
    split: str = "seen",
    seed: int = 600_000,
    hardware: str = "",
    sections: str = "",
    slowness: str = "",
    workers: int = 0,
    ray: RayAddress = "",
) -> int:
    """Compare gates on modelled computers: success, late decisions, compute; tables and plots.

    Every claim about the adaptive gate is made against a coin: two fixed exits mixed at random to
    the same operations, in the same episodes.

    What has been played is kept in the folder, so an interrupted run goes on where it was.

    Args:
        bundle: Policy bundle.
        out: Folder for the report and for what has been played.
        quick: A few episodes of the most important comparisons, for an impression.
        episodes: Episodes a task for what is claimed, with fewer for the rest; 100, or 3 with
            --quick.
        suite: Task suites, separated by commas.
        tasks: Which of their tasks, separated by commas; all by default.
        split: Variation of scenes and instructions: seen, or shift.
        seed: Seed of the first episode.
        hardware: Computers to model, separated by commas: names of config/hardware, or files; all
            those by default.
        sections: Which questions to ask, separated by commas: slowness, fast, loads, computers,
            budgets; all by default.
        slowness: Periods that full depth takes, separated by commas, in place of 1, 2, 4 and 8;
            each is played as often as what is claimed.
        workers: Parallel processes; 0 for one a core.
        ray: Ray cluster that plays instead of them, with the same result: host:port of its head,
            auto for that of this computer, local to start one.
    """
    from magma_ros.evaluation.suites import extras_of

    require(*extras_of(names(suite)))
    from magma_ros.evaluation.bench.gate import run_bench
    from magma_ros.evaluation.bench.gate_plan import BenchSpec, Counts
    from magma_ros.evaluation.bench.gate_report import brief_tables, write_bench
    from magma_ros.evaluation.computers.hardware import hardware_names

    count = episodes if episodes is not None else (3 if quick else 100)
    spec = BenchSpec(
        suites=names(suite),
        tasks=names(tasks),
        counts=Counts.of(count, brief=quick),
        seed=seed,
        hardware=names(hardware) or hardware_names(),
        brief=quick,
        split=split,
        sections=names(sections),
        slowness=_numbers(slowness),
    )
    with cluster(ray):
        bench = run_bench(
            spec,
            find_bundle(bundle),
            out,
            workers=workers or os.cpu_count() or 1,
            console=complaints,
        )
    write_bench(bench, out)
    for table in brief_tables(bench):
        console.print(table)
    console.print(f"report in {out}")
    return 0


@bench_app.command
def wall(
    *,
    through: Literal["nodes", "process"] = "nodes",
    bundle: Bundle = "magma-nano",
    out: Path = Path("runs/wall"),
    ticks: int = 10_000,
    hog: bool = True,
    browsers: int = 0,
    full_depth: bool = True,
    rates: str | None = None,
    block: int | None = None,
    period: float | None = None,
    deadline: float | None = None,
) -> int:
    """Measure in real time, beside a CPU hog, how often the action is not there when it is due.

    Through the nodes: from the stamp of a camera's picture to the guard's command that follows its
    plan, with policy and guard as processes over DDS; the gate and full depth take turns.

    Through a process: from showing an observation to the policy's answer alone; the gate, thinking
    as deep as fits, full depth and the first exit take turns.

    Both first on an idle machine, then while stress-ng keeps every core
    busy.

    Args:
        through: nodes for what a robot waits for, process for the policy alone.
        bundle: Policy bundle.
        out: Folder for the report.
        ticks: Observations of each contender. Through a process, a fifth as many without the hog.
        hog: Whether to repeat everything beside the hog.
        browsers: Nodes: how many browsers, on the same cores but with the lowest priority, watch
            the console while everything is repeated; before them, as many programs that take its
            pictures without drawing them.
        full_depth: Nodes: whether full depth takes turns with the gate.
        rates: Nodes: pictures a second, separated by commas [Hz]; the deadline is one period. 10
            and 50 by default.
        block: Nodes: observations of one contender before it is the other one's turn; 1000 by
            default.
        period: Process: time between two observations [s]; 0.02 by default.
        deadline: Process: time from an observation to its action [s]; by default 80 % of the
            period.
    """
    from magma_ros.evaluation.bench.gate_plan import DEADLINE_SHARE
    from magma_ros.evaluation.bench.wall import WallSpec, run_wall_bench
    from magma_ros.evaluation.bench.wall_report import wall_table, write_wall_bench

    require("sim")
    folder = find_bundle(bundle)
    if through == "nodes":
        _refuse("process", period=period, deadline=deadline)
        shown = _numbers("10,50" if rates is None else rates)
        from magma_ros.evaluation.bench.nodes_wall import NodesSpec

        asked = NodesSpec(ticks, shown, 1000 if block is None else block, hog, browsers, full_depth)
        return _through_nodes(folder, out, asked)
    _refuse("nodes", rates=rates, block=block, browsers=browsers or None)
    _refuse("nodes", full_depth=None if full_depth else False)
    period = 0.02 if period is None else period
    spec = WallSpec(ticks, period, DEADLINE_SHARE * period if deadline is None else deadline, hog)
    make_folder(out)  # fail now, not after minutes
    measured = run_wall_bench(spec, folder, console=complaints)
    write_wall_bench(measured, out)
    console.print(wall_table(measured))
    console.print(f"report in {out}")
    return 0


def _refuse(through: str, **options: object) -> None:
    """Refuse options that would have no effect.

    Raises:
        MagmaError: One was given.
    """
    for name, value in options.items():
        if value is not None:
            option = name.replace("_", "-")
            raise MagmaError(
                f"--{option} belongs to --through {through}; leave it out, or give both"
            )


def _through_nodes(bundle: Path, out: Path, spec: NodesSpec) -> int:
    from magma_ros.cli.latency_run import run_nodes_bench
    from magma_ros.evaluation.bench.nodes_wall_report import nodes_table, write_nodes_bench

    require("embedded", *(["console"] if spec.browsers else []))
    make_folder(out)
    measured = run_nodes_bench(spec, bundle, out, console=complaints)
    write_nodes_bench(measured, out)
    console.print(nodes_table(measured))
    console.print(f"report in {out}")
    return 0


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in names(text))
    except ValueError:
        raise MagmaError(f"{text!r} must be numbers, separated by commas") from None


@bench_app.command
def latency(
    *,
    bundles: str = "magma-nano",
    threads: int = 2,
    runs: int = 200,
    json_file: JsonFile = None,
) -> int:
    """Measure how long each exit takes on this machine, of several bundles side by side.

    Args:
        bundles: Policy bundles, separated by commas.
        threads: Threads of each.
        runs: Timed runs of each exit.
        json_file: Also write the result there.
    """
    require("sim")
    from magma_ros.evaluation.bench.latency import latency_table, time_exits

    timed = time_exits(names(bundles), threads=threads, runs=runs)
    console.print(latency_table(timed))
    if json_file is not None:
        write_json(timed.to_json(), json_file)
    return 0


@bench_app.command
def guard(
    *,
    messages: int = 100_000,
    runs: int = 5,
    seed: int = 0,
    json_file: JsonFile = None,
) -> int:
    """Try to get past the guard: random messages in any order, and late poses at the walls.

    Exits with 1 if anything came out that must not.

    Args:
        messages: Random messages and requests.
        runs: Drives against the walls at each latency; 0 for none.
        seed: Of the random numbers.
        json_file: Also write the result there.
    """
    from magma_ros.evaluation.bench.guard import guard_tables, run_guard_bench

    bench = run_guard_bench(messages, runs, seed, console=complaints)
    for table in guard_tables(bench):
        console.print(table)
    for what, count in bench.violations.items():
        complaints.print(f"{what}: {count} times")
    if json_file is not None:
        write_json(bench.to_json(), json_file)
    return 1 if bench.violations else 0


@bench_app.command
def perception(
    *,
    pictures: Annotated[int, Parameter(validator=validators.Number(gte=20))] = 300,
    width: Annotated[int, Parameter(validator=validators.Number(gte=32, lte=1280))] = 320,
    height: Annotated[int, Parameter(validator=validators.Number(gte=24, lte=960))] = 240,
    json_file: JsonFile = None,
) -> int:
    """Time how long it takes from a depth image to the clearance.

    Args:
        pictures: Pictures that are timed.
        width: Columns of the depth image.
        height: Its rows.
        json_file: Also write the result there.
    """
    from magma_ros.evaluation.bench.perception import run_perception_bench

    bench = run_perception_bench(pictures, width, height)
    console.print(bench.grid())
    if json_file is not None:
        write_json(bench.to_json(), json_file)
    return 0


@bench_app.command
def faults(
    *,
    only: str = "",
    repeats: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1,
    out: Path = Path("runs/faults"),
    json_file: JsonFile = None,
) -> int:
    """Let parts fail while a simulated arm moves, in real processes; exits with 1 if it moves on.

    Args:
        only: Faults to try, separated by commas; all without.
        repeats: How often to try each; the table shows the longest times and the medians.
        out: Folder for the table, and for what the processes say and record.
        json_file: Also write the result there.
    """
    require("embedded", "sim", "console", "perception")
    from magma_ros.cli.faults_run import run_faults
    from magma_ros.evaluation.bench.faults import faults_grid, faults_json, find_faults

    try:
        chosen = find_faults(names(only))
    except ValueError as error:
        raise MagmaError(str(error)) from None
    make_folder(out)
    trials = run_faults(chosen, out, repeats, console=complaints)
    grid = faults_grid(trials)
    console.print(grid)
    with whole(out / "faults.md") as draft:
        draft.write_text(grid.markdown(level=1) + "\n", encoding="utf-8")
    if json_file is not None:
        write_json(faults_json(trials), json_file)
    outcomes = {fault.name: fault.outcome for fault in chosen}
    return 1 if any(trial.failure(outcomes[trial.fault]) for trial in trials) else 0


@bench_app.command
def handovers(
    *,
    count: int = 200,
    seed: int = 0,
    out: Path = Path("runs/handovers"),
    json_file: JsonFile = None,
) -> int:
    """Hand a moving simulated arm between policy and person; exits with 1 if it is jolted.

    Args:
        count: Hand-overs, both ways together.
        seed: Of the random moments and motions.
        out: Folder for what the processes say and record.
        json_file: Also write the result there.
    """
    require("embedded", "sim", "console")
    from magma_ros.cli.faults_run import run_handovers
    from magma_ros.evaluation.bench.handovers import handovers_grid, handovers_json

    make_folder(out)
    handed = run_handovers(count, seed, out, console=complaints)
    console.print(handovers_grid(handed))
    if json_file is not None:
        write_json(handovers_json(handed), json_file)
    return 1 if any(each.jump > 1.0 for each in handed) else 0


@bench_app.command
def obstacles(
    *,
    bundle: Bundle = "magma-nano",
    episodes: int = 100,
    seed: int = 800_000,
    workers: int = 0,
    ray: RayAddress = "",
    json_file: JsonFile = None,
) -> int:
    """Let a policy work beside obstacles, with braking and without, and count what it touches.

    Exits with 1 if the arm touched anything while it braked, or if too little of the success is
    left beside obstacles.

    Args:
        bundle: Policy bundle.
        episodes: Episodes of each condition; the same scenes in all.
        seed: Seed of the first one.
        workers: Parallel processes; 0 for one a core.
        ray: Ray cluster that plays instead of them, with the same result.
        json_file: Also write the result there.
    """
    require("sim")
    from magma_ros.evaluation.bench.obstacles import obstacle_table, run_obstacle_bench

    with cluster(ray):
        bench = run_obstacle_bench(
            episodes,
            seed,
            find_bundle(bundle),
            workers=workers or os.cpu_count() or 1,
            console=complaints,
        )
    console.print(obstacle_table(bench))
    for shortfall in bench.shortfalls:
        complaints.print(shortfall)
    if json_file is not None:
        write_json(bench.to_json(), json_file)
    return 1 if bench.shortfalls else 0
