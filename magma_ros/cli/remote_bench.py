# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench network``: what a policy elsewhere is worth, by the line to it."""

from __future__ import annotations

import os
from pathlib import Path

from magma_ros.cli.common import Bundle, JsonFile, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder, write_json
from magma_ros.share import find_bundle


def network(
    *,
    bundle: Bundle = "magma-nano",
    depth: int | None = None,
    far: Bundle = "magma-nano",
    far_depth: int | None = None,
    suite: str = "tabletop,moving",
    tasks: str = "",
    episodes: int = 20,
    seed: int = 1000,
    lines: str = "",
    hardware: str = "cpu-2core",
    deadline: float = 0.08,
    longest_age: float = 0.3,
    workers: int = 0,
    plot: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Play the policy here, one elsewhere, and both, over lines of every quality.

    Lines are modelled and drawn by seed, without any socket.

    Args:
        bundle: Policy here.
        depth: Exit that it acts on always, instead of its gate: a small policy.
        far: Policy elsewhere.
        far_depth: Exit that it answers from; the deepest by default.
        suite: Task suites, separated by commas.
        tasks: Which of their tasks, separated by commas; all by default.
        episodes: Episodes a task.
        seed: Seed of the first one.
        lines: Which lines, separated by semicolons; all by default.
        hardware: Modelled computer of the robot.
        deadline: Time from observation to action [s].
        longest_age: How old an observation may be whose late plan is followed [s].
        workers: Parallel processes; 0 for one a core.
        plot: Also draw success by line there (PNG).
        json_file: Also write the result there.
    """
    require("remote", "sim")
    from magma_ros.evaluation.bench.network import QUALITIES, network_bench
    from magma_ros.evaluation.bench.network_report import network_table, plot_network
    from magma_ros.evaluation.computers.modelled import Conditions
    from magma_ros.evaluation.play.far import Far
    from magma_ros.evaluation.play.spec import EvaluationSpec
    from magma_ros.evaluation.suites import extras_of

    require(*extras_of(names(suite)))
    spec = EvaluationSpec(
        suites=names(suite),
        tasks=names(tasks),
        episodes=episodes,
        seed=seed,
        clock="modelled",
        conditions=Conditions(hardware),
        deadline=deadline,
        workers=workers or os.cpu_count() or 1,
    )
    spec = spec if depth is None else spec.at_depth(depth)
    chosen = [line.strip() for line in lines.split(";") if line.strip()] or list(QUALITIES)
    for target in (plot, json_file):
        if target is not None:
            make_folder(target.parent)  # fail now, not after an hour
    elsewhere = Far(find_bundle(far), far_depth, longest_age=longest_age)
    found = network_bench(spec, find_bundle(bundle), elsewhere, chosen, console=complaints)
    console.print(network_table(found), highlight=False, soft_wrap=True)
    if plot is not None:
        plot_network(found, plot)
    if json_file is not None:
        write_json(found.to_json(), json_file)
    return 0
