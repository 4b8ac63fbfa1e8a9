# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma eval``: how good a policy is, and how much better than another one."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from magma_ros.cli.common import Bundle, JsonFile, RayAddress, cluster, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder, write_json
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.evaluation.play.evaluate import Evaluation
    from magma_ros.evaluation.play.exits import ExitStudy
    from magma_ros.evaluation.play.far import Far
    from magma_ros.evaluation.play.spec import EvaluationSpec
    from magma_ros.evaluation.report.replay import Pictures

eval_app = App(name="eval")

Flag = Annotated[bool, Parameter(negative="")]


@eval_app.default
def run_evaluation(
    *,
    suite: str = "tabletop,moving",
    tasks: str = "",
    episodes: int | None = None,
    seed: int = 1000,
    split: Literal["seen", "shift"] = "seen",
    clock: Literal["ideal", "modelled", "wall"] = "ideal",
    bundle: Bundle = "magma-nano",
    gate: str = "adaptive",
    depth: int | None = None,
    per_exit: Flag = False,
    coin: str = "",
    coin_exits: str = "",
    execute: int | None = None,
    deadline: float = 0.08,
    hardware: str = "cpu-2core",
    load: str = "steady",
    costs: str | None = None,
    slowness: float | None = None,
    patient: Flag = False,
    far: str = "",
    far_depth: int | None = None,
    far_only: Flag = False,
    line: str = "",
    controls: Flag = False,
    workers: int = 0,
    ray: RayAddress = "",
    json_file: JsonFile = None,
    out: Path | None = None,
    sheet: Flag = False,
    videos: str = "",
) -> int:
    """Measure a policy in simulation: success with intervals, failures, depth, compute, honesty.

    Args:
        suite: Task suites, separated by commas: names, or package.module:attribute for one from
            another package.
        tasks: Which of their tasks, separated by commas; all by default.
        episodes: Episodes a task; by default as the suite lays down, or 50.
        seed: Seed of the first episode; the others follow. The same seeds give the same result.
        split: Variation of scene and instruction.
        clock: ideal waits for the policy (the upper bound); wall does not, and modelled does not
            either, but as if the policy ran on another computer.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        depth: Act at this exit always, instead of the gate.
        per_exit: Play everything at each exit in turn, instead of the gate.
        coin: JSON of an evaluation with a gate. Draw one of two exits for each decision instead, so
            that the same operations are spent.
        coin_exits: The two exits, separated by a comma; by default those whose operations lie next
            to the gate's.
        execute: Steps of a chunk to execute before the next is planned; by default as the suite
            defines: 2 on tabletop, 1 on moving, as many as make 0.1 s on metaworld.
        deadline: Time from observation to action, under a clock that does not wait [s].
        hardware: Modelled computer: a name of config/hardware, or a file.
        load: What else it is busy with: steady, bursts, thermal or co-running.
        costs: Cost table of another policy: a name of config/costs, or a file.
        slowness: Scale the computer until full depth takes so many periods at its 99th percentile.
        patient: Think on past the deadline until the gate is confident, as if there were no clock.
        far: Bundle of a policy elsewhere that continues this one, under the modelled clock.
        far_depth: Exit that it answers from; the deepest by default.
        far_only: Act on its plans alone.
        line: The line to it, as name=value,...: delay, jitter, cut_every, cut and compute [s], loss
            (share of packets), rate [bit/s], quality (JPEG, 0 for none).
        controls: Repeat everything with black cameras, and with the instruction swapped; with
            --per-exit at the deepest exit alone.
        workers: Parallel processes (not under the wall clock); 0 for one a core.
        ray: Ray cluster that plays instead of processes here, with the same result (not under the
            wall clock): host:port of its head, auto for that of this computer, local to start one.
        json_file: Also write the result there.
        out: Folder for a report: figures as JSON, a page, plots.
        sheet: Put a contact sheet of the failures into the report (not under the wall clock).
        videos: Seeds, separated by commas, whose episodes become clips in the report (not under the
            wall clock).
    """
    from magma_ros.evaluation.computers.modelled import Conditions
    from magma_ros.evaluation.play.evaluate import evaluate
    from magma_ros.evaluation.play.exits import evaluate_exits
    from magma_ros.evaluation.play.spec import EvaluationSpec
    from magma_ros.evaluation.report.replay import Pictures
    from magma_ros.evaluation.suites import extras_of, trials_of

    require(*extras_of(names(suite)))
    if per_exit and depth is not None:
        raise MagmaError("--per-exit plays every exit, so --depth has nothing to choose")
    if ray and clock == "wall":
        raise MagmaError("the wall clock is that of one computer; leave --ray out, or the clock")
    spec = EvaluationSpec(
        suites=names(suite),
        tasks=names(tasks),
        split=split,
        episodes=trials_of(names(suite)) if episodes is None else episodes,
        seed=seed,
        clock=clock,
        conditions=Conditions(hardware, load, costs, slowness),
        patient=patient,
        gate=gate,
        execute=execute,
        deadline=deadline,
        far=_far(far, far_depth, line, only=far_only),
        controls=controls,
        workers=workers or os.cpu_count() or 1,
    )
    spec = spec if depth is None else spec.at_depth(depth)
    if coin or coin_exits:
        if not coin or depth is not None or per_exit:
            raise MagmaError(
                "--coin FILE stands in for a gate: with neither --depth nor --per-exit"
            )
        spec = _tossed(spec, Path(coin), coin_exits, find_bundle(bundle))
    pictures = Pictures(sheet=sheet, seeds=_seeds(videos))
    pictures.require_possible(spec)
    if out is None and (sheet or videos):
        raise MagmaError("--sheet and --videos are part of a report; say where with --out")
    folder = find_bundle(bundle)
    if out is not None:
        make_folder(out)  # fail now, not after an hour
    run = evaluate_exits if per_exit else evaluate
    with cluster(ray):
        played = run(spec, folder, console=complaints)
    _tell(played, folder, json_file, out, pictures)
    return 0


@eval_app.command
def compare(first: Path, second: Path, *, json_file: JsonFile = None) -> int:
    """Compare two evaluations of the same scenes, pair by pair.

    Args:
        first: JSON of policy A, from ``magma eval --json``.
        second: JSON of policy B.
        json_file: Also write the comparison there.
    """
    from magma_ros.evaluation.figures.compare import compare as run_comparison
    from magma_ros.evaluation.report.comparison import comparison_table

    comparison = run_comparison(first, second)
    console.print(comparison_table(comparison))
    if json_file is not None:
        write_json(comparison.to_json(), json_file)
    return 0


def _tell(
    played: Evaluation | ExitStudy,
    bundle: Path,
    json_file: Path | None,
    out: Path | None,
    pictures: Pictures,
) -> None:
    """Show what was measured, and write what was asked for."""
    from magma_ros.evaluation.report.evaluation import write_report
    from magma_ros.evaluation.report.exits import report_tables

    for table in report_tables(played):
        console.print(table)
    if json_file is not None:
        write_json(played.to_json(), json_file)
    if out is not None:
        write_report(played, out, bundle=bundle, pictures=pictures, console=complaints)
        console.print(f"report in {out}")


def _tossed(spec: EvaluationSpec, gate: Path, exits: str, bundle: Path) -> EvaluationSpec:
    """The same with a coin at the operations of an evaluation."""
    from magma_ros.evaluation.bench.gate import coin_beside

    wanted = names(exits)
    if wanted and not (len(wanted) == 2 and all(each.isdecimal() for each in wanted)):
        raise MagmaError(f"--coin-exits takes two exits separated by a comma, not {exits!r}")
    tossed = coin_beside(gate, bundle, tuple(map(int, wanted))).contender
    return replace(spec, gate=tossed.gate, gate_options=tossed.options)


def _far(bundle: str, depth: int | None, line: str, *, only: bool) -> Far | None:
    """The policy elsewhere, if there is one."""
    if not bundle:
        if depth is not None or only or line:
            raise MagmaError(
                "--far-depth, --far-only and --line are about a policy elsewhere: --far"
            )
        return None
    require("remote")
    from magma_ros.evaluation.computers.line import LineConditions
    from magma_ros.evaluation.play.far import Far

    known = {field.name for field in fields(LineConditions)}
    figures: dict[str, Any] = {}
    for part in names(line):
        name, _, value = part.partition("=")
        try:
            figures[name] = int(value) if name == "quality" else float(value)
        except ValueError:
            figures[name] = None
        if name not in known or figures[name] is None:
            raise MagmaError(
                f"--line takes {', '.join(sorted(known))} as name=number, not {part!r}"
            )
    return Far(find_bundle(bundle), depth, only, LineConditions(**figures))


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in names(text))
    except ValueError:
        raise MagmaError(f"--videos takes seeds separated by commas, not {text!r}") from None
