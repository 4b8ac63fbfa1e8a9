# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench marks`` and ``magma bench corrections``: what a policy learned, measured."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal

from magma_ros.cli.common import Bundle, JsonFile, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder, write_json
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError


def marks(
    *,
    bundle: Bundle = "magma-nano-marks",
    episodes: int = 20,
    suite: str = "tabletop,moving",
    tasks: str = "",
    workers: int = 0,
    json_file: JsonFile = None,
) -> int:
    """Measure what a point is worth: objects named by words, by a mark, and by neither.

    Args:
        bundle: Policy bundle; one that takes no point is only played with words.
        episodes: Episodes a task and condition.
        suite: Task suites, separated by commas.
        tasks: Which of their tasks, separated by commas; all by default.
        workers: Parallel processes; 0 for one a core.
        json_file: Also write the result there.
    """
    require("sim", "train")
    from magma_ros.evaluation.report.markdown import markdown_table
    from magma_ros.models.export.marked import study_marks
    from magma_ros.sim.suite import load_suite

    if episodes < 1:
        raise MagmaError(f"episodes must be at least 1, not {episodes}")
    wanted = names(tasks)
    chosen = [
        (name, task)
        for name in names(suite)
        for task in load_suite(name).tasks
        if not wanted or task in wanted
    ]
    if not chosen:
        raise MagmaError(f"there is no task {tasks} in {suite}")
    cores = workers or os.cpu_count() or 1
    found = study_marks(find_bundle(bundle), chosen, episodes, workers=cores)
    columns = ("condition", "task", "success", "95 % interval", "other object served")
    console.print(markdown_table(columns, [rate.row() for rate in found]), highlight=False)
    if json_file is not None:
        write_json([rate.to_json() for rate in found], json_file)
    return 0


def corrections(
    *,
    bundle: Bundle = "magma-nano",
    task: str = "place",
    suite: str = "tabletop",
    dimension: str = "dy",
    shift: int = 18,
    takeovers: int = 20,
    episodes: int = 50,
    steps: int = 300,
    through: Literal["console", "simulator"] = "console",
    out: Path = Path("runs/corrections"),
    workers: int = 0,
    json_file: JsonFile = None,
) -> int:
    """Weaken a policy, let a scripted stand-in correct it, train it, and compare both.

    Exits with 1 if the new one is not surely better.

    Args:
        bundle: The healthy bundle.
        task: Task that is shown and judged.
        suite: Its suite.
        dimension: Column of the action in which the weakened policy is off.
        shift: By how many of the 255 bins.
        takeovers: Episodes in which the stand-in takes over.
        episodes: Scenes that both policies are judged by.
        steps: Optimiser steps.
        through: Where the stand-in acts: as a person would, at the console of a robot that runs in
            real time and records what happens, or in the simulator itself.
        out: Folder for the bundles and the episodes.
        workers: Parallel processes; 0 for one a core.
        json_file: Also write the result there.
    """
    require("sim", "train", "lerobot")
    from magma_ros.models.export.improvement import LoopSpec, run_loop
    from magma_ros.models.training.corrections import Tuning

    show = None
    if through == "console":
        require("embedded", "console")
        from magma_ros.cli.corrections_run import correct_at_console

        show = partial(correct_at_console, console=complaints)
    spec = LoopSpec(task, suite, dimension, shift, takeovers, episodes, tuning=Tuning(steps=steps))
    make_folder(out)
    found = run_loop(
        spec,
        find_bundle(bundle),
        out,
        show=show,
        workers=workers or os.cpu_count() or 1,
        tell=complaints.print,
    )
    result = found.to_json()
    low, high = result["interval"]
    console.print(
        f"{task}: {result['before']:.0%} before and {result['after']:.0%} after {found.takeovers} "
        f"take-overs, a difference of {result['difference']:+.0%} (95 % interval {low:+.0%} to "
        f"{high:+.0%}, paired over {result['pairs']} scenes, p = {result['p_value']:.2g})"
    )
    if json_file is not None:
        write_json(result, json_file)
    return 0 if low > 0.0 else 1
