# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma calibrate``: when a bundle's gate may stop thinking, with a guarantee."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.common import Bundle, JsonFile, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import write_json
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.gate.gate_file import GateFile

CALIBRATION_SEED = 200_000
"""First seed of the episodes to calibrate on, unless another is given."""

CHECK_SEED = 400_000
"""First seed of the episodes to check on, unless another is given."""

REGRET_SEED = 500_000
"""First seed of the episodes that regret is learnt from, unless another is given."""

FIT_EPISODES = 200
"""Episodes to fit models of agreement on: every decision tells how far it deviates."""

FIT_REGRET_EPISODES = 3000
"""Episodes to fit models of regret on: of a whole episode only the end is known."""


def calibrate(
    *,
    bundle: Bundle = "magma-nano",
    epsilon: float = 0.25,
    delta: float = 0.08,
    alpha: float = 0.05,
    episodes: int = 400,
    fit_episodes: int | None = None,
    budget: float | None = None,
    by_exit: str = "",
    suites: Annotated[str | None, Parameter(name=["--suites", "--suite"])] = None,
    tasks: str = "",
    split: Literal["seen", "shift"] | None = None,
    seed: int | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 0,
    json_file: JsonFile = None,
) -> int:
    """Find when the gate may act early, and write it to gate.yaml; or check what it promised.

    The promise: with confidence 1 - alpha, on average at most delta of an episode's decisions
    deviate from full depth by more than epsilon. With --check, exit status 1 means that the
    measured share is above delta on episodes of the kind that the promise is about.

    With --budget, a bundle that is calibrated is given the rule of --gate regret besides: act where
    thinking to the end would gain less success than its operations are worth, learnt from episodes
    with random exits, at the price that spends the budget. With --by-exit it also learns which
    words stand for tasks that need depth: from the same scenes, played by magma eval --depth at
    the deepest exit and at shallower ones.

    Args:
        bundle: Policy bundle.
        epsilon: Deviation accepted, in shares of the action range.
        delta: Share of decisions that may deviate further.
        alpha: Probability that the promise is wrong.
        episodes: Episodes for each threshold tested, or to check with.
        fit_episodes: Episodes to fit the models on; 200 by default, and with --budget 3000.
        budget: Operations to spend on average, as a share of full depth.
        by_exit: JSON files of magma eval --depth, one an exit, separated by commas.
        suites: Task suites, separated by commas; tabletop,moving by default. What is checked are
            those calibrated on.
        tasks: Which of their tasks, separated by commas; all by default.
        split: Variation of scene and instruction; seen by default, and to check with, the one
            calibrated on.
        seed: Seed of the first episode; 200000, or to check with, 400000 by default.
        check: Measure the promised share on fresh episodes instead.
        workers: Parallel processes; 0 for one a core.
        json_file: Also write the result there.
    """
    folder = find_bundle(bundle)
    if episodes < 1:
        raise MagmaError(f"episodes must be at least 1, not {episodes}")
    workers = workers or os.cpu_count() or 1
    if (check or budget is not None) and (suites is not None or tasks):
        raise MagmaError(
            "--check and --budget are about the suites and tasks of gate.yaml; leave out --suites "
            "and --tasks"
        )
    if by_exit and budget is None:
        raise MagmaError("--by-exit is about the gate by regret; give its --budget as well")
    if budget is not None:
        if check or split is not None:
            raise MagmaError("--budget goes with neither --check nor --split")
        return _budget(
            folder,
            budget=budget,
            episodes=episodes,
            fit_episodes=FIT_REGRET_EPISODES if fit_episodes is None else fit_episodes,
            seed=REGRET_SEED if seed is None else seed,
            workers=workers,
            by_exit=tuple(map(Path, names(by_exit))),
            json_file=json_file,
        )
    if check:
        first = CHECK_SEED if seed is None else seed
        return _check(
            folder,
            split=split,
            episodes=episodes,
            seed=first,
            workers=workers,
            json_file=json_file,
        )

    chosen = names(suites or "tabletop,moving")
    from magma_ros.evaluation.suites import extras_of

    require(*extras_of(chosen))
    from magma_ros.evaluation.calibrate.certify import CalibrationSpec
    from magma_ros.evaluation.calibrate.certify import calibrate as run_calibration
    from magma_ros.evaluation.calibrate.readings import TaskSet

    spec = CalibrationSpec(
        task_set=TaskSet(chosen, names(tasks), split or "seen"),
        epsilon=epsilon,
        delta=delta,
        alpha=alpha,
        episodes=episodes,
        fit_episodes=FIT_EPISODES if fit_episodes is None else fit_episodes,
        seed=CALIBRATION_SEED if seed is None else seed,
        workers=workers,
    )
    _keep(folder, run_calibration(spec, folder, complaints), json_file)
    return 0


def _budget(
    folder: Path,
    *,
    budget: float,
    episodes: int,
    fit_episodes: int,
    seed: int,
    workers: int,
    by_exit: tuple[Path, ...],
    json_file: Path | None,
) -> int:
    _require_simulators(folder)
    from magma_ros.evaluation.calibrate.regret_rule import RegretSpec, find_rule

    spec = RegretSpec(budget, episodes, fit_episodes, seed, workers, by_exit)
    _keep(folder, find_rule(spec, folder, complaints), json_file)
    return 0


def _keep(folder: Path, file: GateFile, json_file: Path | None) -> None:
    """Show what was found, and write it into the bundle."""
    from magma_ros.evaluation.calibrate.report import calibration_tables, write_card_section
    from magma_ros.gate.gate_file import write_gate_file

    for table in calibration_tables(file):
        console.print(table)
    if json_file is not None:
        write_json(file.model_dump(mode="json"), json_file)
    path = write_gate_file(folder, file)
    write_card_section(folder, file)
    console.print(f"{path} is written; magma calibrate --check measures it on fresh episodes")


def _require_simulators(folder: Path) -> None:
    """Refuse to begin where a simulator that the bundle was calibrated in is missing."""
    from magma_ros.evaluation.suites import extras_of
    from magma_ros.gate.gate_file import find_gate_file

    if (file := find_gate_file(folder)) is not None:
        require(*extras_of(file.guarantee.suites))


def _check(
    folder: Path,
    *,
    split: str | None,
    episodes: int,
    seed: int,
    workers: int,
    json_file: Path | None,
) -> int:
    _require_simulators(folder)
    from magma_ros.evaluation.calibrate.certify import check as run_check
    from magma_ros.evaluation.calibrate.report import check_table

    found = run_check(
        folder, split=split, episodes=episodes, seed=seed, workers=workers, console=complaints
    )
    console.print(check_table(found))
    if json_file is not None:
        write_json(found.to_json(), json_file)
    return 0 if found.kept or not found.exchangeable else 1
