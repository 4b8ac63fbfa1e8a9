# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma demo`` and ``magma launch``: nodes as processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.common import Bundle, JsonFile, complaints, console
from magma_ros.doctor import require
from magma_ros.files import json_mapping, write_json
from magma_ros.share import find_bundle, share_file


def demo(
    *,
    task: str = "place",
    suite: str = "tabletop",
    split: Literal["seen", "shift"] = "seen",
    seed: int = 0,
    instruction: str = "",
    bundle: Bundle = "magma-nano",
    gate: str = "adaptive",
    run_dir: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Carry out one instruction on a simulated robot, every node its own process.

    Args:
        task: Task of the suite.
        suite: Task suite.
        split: Variation of scene and instruction.
        seed: Seed of the scene.
        instruction: Instruction to give instead of the task's own.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        run_dir: Folder for the report and the recording; runs/<time> by default.
        json_file: Also write the summary there.
    """
    from magma_ros.policy.manifest import read_manifest
    from magma_ros.sim.suite import load_suite

    require("embedded", "sim")
    load_suite(suite).task(task)  # a wrong name fails here, not in five processes
    read_manifest(find_bundle(bundle))
    folder = run_dir or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    status = _launch(
        share_file("launch", "demo.launch.yaml"),
        {
            "task": task,
            "suite": suite,
            "split": split,
            "seed": str(seed),
            "instruction": instruction,
            "bundle": str(bundle),
            "gate": gate,
            "run_dir": str(folder.absolute()),
        },
    )
    summary_file = folder / "summary.json"
    if not summary_file.is_file():
        complaints.print(f"the run ended (status {status}) before it had an outcome; see above")
        return 1
    summary = json_mapping(summary_file)
    console.print(f"{summary['outcome']}: {summary['instruction']!r}; report in {folder}")
    if json_file is not None:
        write_json(summary, json_file)
    return 0 if summary["success"] else 1


def launch(
    file: str,
    *arguments: str,
    show_args: Annotated[bool, Parameter(name=["--show-args", "-s"], negative="")] = False,
) -> int:
    """Run a ``*.launch.yaml`` file as ``ros2 launch`` would, without a ROS installation.

    Args:
        file: A path, or the name of a file below the package's launch folder.
        arguments: Values for its arguments, as ``name:=value``.
        show_args: List the arguments of the file instead of running it.
    """
    from magma_ros.embedded.launch import describe_arguments, parse_arguments

    require("embedded")
    path = Path(file) if Path(file).is_file() else share_file("launch", file)
    if show_args:
        console.print(describe_arguments(path), markup=False, highlight=False, soft_wrap=True)
        return 0
    return _launch(path, parse_arguments(arguments))


def _launch(path: Path, arguments: dict[str, str]) -> int:
    from magma_ros.embedded.launch import launch as run_launch

    return run_launch(path, arguments)
