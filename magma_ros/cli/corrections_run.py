# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Take-overs through the console: a demo's processes, and a stand-in in this one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from magma_ros.cli.faults_run import START_TIME, Robot
from magma_ros.console.operator import Operator, OperatorError
from magma_ros.embedded.domains import own_domain
from magma_ros.environment import environment
from magma_ros.evaluation.bench.corrections import Patience
from magma_ros.files import make_folder, yaml_mapping
from magma_ros.machine import free_port
from magma_ros.models.export.improvement import PATIENCE, SHOWN_SEED, LoopSpec, scenes
from magma_ros.share import share_file
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.sim.suite import load_suite
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.nodes.correction_trial import CorrectionTrial


def correct_at_console(
    spec: LoopSpec, weak: Path, folder: Path, *, console: Console | None = None
) -> tuple[Path, ...]:
    """Let a stand-in take over at the console until there are enough episodes of it.

    Args:
        spec: Task, suite and number of take-overs.
        weak: The bundle that drives.
        folder: For the recordings and the log.
        console: Where to draw a progress bar, or None for none.

    Returns:
        Folders of the recordings in which it took over and the task was then done.

    Raises:
        MagmaError: There was no such episode, or the robot did not do as asked.
    """
    from magma_ros.nodes.correction_trial import CorrectionTrial, ShownScene
    from magma_ros.nodes.gripper import GripperJoint

    limit = load_suite(spec.suite).task(spec.task).step_limit * ENV_STEP
    patience = Patience(policy=PATIENCE * limit, person=limit)
    robot_file = yaml_mapping(share_file("config", "robots", "sim.yaml"))
    gripper = GripperJoint(**robot_file["/**"]["ros__parameters"]["gripper"])
    make_folder(folder)
    port, log = free_port(), folder / "robot.log"
    with own_domain() as domain, environment(ROS_DOMAIN_ID=str(domain)):
        robot = Robot(_arguments(spec, weak, folder, port), log, "demo.launch.yaml")
        scene = ShownScene(gripper)
        operator: Operator | None = None
        try:
            operator = _at_console(port)
            return _shown(CorrectionTrial(scene, operator, patience), spec, console)
        except (TimeoutError, OperatorError) as error:
            raise MagmaError(f"no more take-overs: {error}; see {log}") from error
        finally:
            if operator is not None:
                operator.close()
            robot.close()
            scene.close()


def _shown(trial: CorrectionTrial, spec: LoopSpec, console: Console | None) -> tuple[Path, ...]:
    """Play scenes until there are enough; the recordings of those that show something."""
    found: list[Path] = []
    with Progress(console=console, disable=console is None) as progress:
        bar = progress.add_task("take-overs", total=spec.takeovers)
        for seed in scenes(spec):
            played = trial.play(seed)
            if played.taken and played.done:
                found.append(played.episode)
            progress.update(bar, completed=len(found))
            if len(found) == spec.takeovers:
                return tuple(found)
    if not found:
        raise MagmaError(f"no take-over led to {spec.task}; choose another task or shift")
    return tuple(found)


def _arguments(spec: LoopSpec, weak: Path, folder: Path, port: int) -> dict[str, str]:
    """Of ``launch/demo.launch.yaml``."""
    return {
        "bundle": str(weak.absolute()),
        "suite": spec.suite,
        "task": spec.task,
        "seed": str(SHOWN_SEED),
        "namespace": "",
        "run_dir": str(folder.absolute()),
        "console": "true",
        "console_port": str(port),
        "show_expert": "true",
    }


def _at_console(port: int) -> Operator:
    """A stand-in who holds the lease.

    Raises:
        TimeoutError: There is no console in time.
    """
    end = time.monotonic() + START_TIME
    while True:
        try:
            operator = Operator(f"http://127.0.0.1:{port}", "stand-in")
        except OperatorError as error:
            if time.monotonic() > end:
                raise TimeoutError(str(error)) from error
            time.sleep(0.2)
        else:
            operator.take_lease()
            return operator
