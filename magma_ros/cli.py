# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ``magma`` command.

Exit status: 0 when what was asked for succeeded, 1 when it ran and did not, 2 when the request
itself was wrong (one sentence on standard error says how), 130 when interrupted.

Rooms are imported inside the commands, so that every command starts fast and needs only its extra.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from magma_ros import __version__
from magma_ros.doctor import require
from magma_ros.share import find_bundle, share_file
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = App(name="magma", help="Vision-language-action policies that are never late.")
bundle_app = App(name="bundle", help="Look into a policy bundle.")
app.command(bundle_app)
app.version = __version__

# A file or a pipe has no width; tables cut to the usual 80 columns would be hard to read there.
console = Console(width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True)

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Also write the result here.")]
Bundle = Annotated[str, Parameter(help="A shipped bundle's name, or a folder.")]


@app.command
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
        split: Variation of scene and words.
        seed: Seed of the scene.
        instruction: Words to give instead of the task's own.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        run_dir: Folder for the report and the recording; runs/<time> by default.
        json_file: Also write the summary there.
    """
    from magma_ros.policy.manifest import read_manifest
    from magma_ros.sim.suite import load_suite

    require("embedded", "sim")
    load_suite(suite).task(task)  # a wrong name is told here, not by five processes
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
    summary = json.loads(summary_file.read_text())
    console.print(f"{summary['outcome']}: {summary['instruction']!r}; report in {folder}")
    if json_file is not None:
        _write_json(summary, json_file)
    return 0 if summary["success"] else 1


@app.command
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


@app.command(name="eval")
def run_evaluation(
    *,
    suite: str = "tabletop",
    tasks: str = "reach,push,pick,place",
    episodes: int = 50,
    seed: int = 1000,
    split: Literal["seen", "shift"] = "seen",
    clock: Literal["ideal", "wall"] = "ideal",
    bundle: Bundle = "magma-nano",
    gate: str = "adaptive",
    depth: int | None = None,
    execute: int = 2,
    deadline: float = 0.08,
    controls: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 2,
    json_file: JsonFile = None,
) -> int:
    """Measure a policy in simulation: success with intervals, depth, compute, honesty controls.

    Args:
        suite: Task suite.
        tasks: Tasks, separated by commas.
        episodes: Episodes a task.
        seed: Seed of the first episode; the others follow. The same seeds give the same result.
        split: Variation of scene and words.
        clock: ideal waits for the policy (the upper bound); wall does not.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        depth: Act at this exit always, instead of the gate.
        execute: Steps of a chunk to execute before the next is planned.
        deadline: Time from observation to action under the wall clock [s].
        controls: Repeat everything with black cameras, and with the instruction swapped.
        workers: Parallel processes (ideal clock only).
        json_file: Also write the result there.
    """
    from magma_ros.sim.eval_tables import evaluation_tables
    from magma_ros.sim.evaluation import EvaluationSpec, evaluate

    require("sim")
    spec = EvaluationSpec(
        tasks=tuple(task.strip() for task in tasks.split(",")),
        suite=suite,
        split=split,
        episodes=episodes,
        seed=seed,
        clock=clock,
        gate=gate if depth is None else "fixed",
        gate_options=() if depth is None else (("depth", depth),),
        execute=execute,
        deadline=deadline,
        controls=controls,
        workers=workers,
    )
    evaluation = evaluate(spec, find_bundle(bundle), console=complaints)
    for table in evaluation_tables(evaluation):
        console.print(table)
    if json_file is not None:
        _write_json(evaluation.to_json(), json_file)
    return 0


@app.command
def train(*, config: Path, out: Path | None = None, resume: bool = False, workers: int = 0) -> int:
    """Train a policy, from nothing to a checkpoint; demonstrations are made if they are missing.

    Args:
        config: Training recipe, for example models/magma-nano.train.yaml.
        out: Folder for checkpoints and curves; checkpoints/<name> by default.
        resume: Go on from the newest checkpoint in that folder.
        workers: Processes that make demonstrations; 0 for one a core.
    """
    require("sim", "train")
    from magma_ros.models.train import train as run_training

    checkpoint = run_training(config, out=out, resume=resume, workers=workers)
    console.print(f"last checkpoint: {checkpoint}")
    return 0


@app.command
def export(
    *,
    checkpoint: Path,
    out: Path,
    precision: Literal["int8", "fp32"] = "int8",
    episodes: int = 0,
) -> int:
    """Turn a checkpoint into a bundle: one ONNX file a stage, manifest, checksums, model card.

    Args:
        checkpoint: Folder that ``magma train`` wrote.
        out: Folder of the bundle; replaced only once the new one is complete.
        precision: Number format of the weights.
        episodes: Episodes per task and exit to play with the bundle, for its card; 0 for none.
    """
    require("sim", "train")
    from magma_ros.models.export import export as run_export

    run_export(checkpoint, out, precision=precision, episodes=episodes)
    console.print(f"bundle written to {out}")
    return 0


@bundle_app.command
def verify(bundle: Bundle = "magma-nano") -> int:
    """Check every file, checksum and shape of a bundle, and run it once.

    Args:
        bundle: Policy bundle.
    """
    from magma_ros.policy.report import verify as run_checks

    checks = run_checks(find_bundle(bundle))
    for check in checks:
        console.print(f"{'ok ' if check.problem is None else 'BAD'} {check.subject}")
        if check.problem is not None:
            console.print(f"    {check.problem}")
    return 0 if all(check.problem is None for check in checks) else 1


@bundle_app.command
def inspect(bundle: Bundle = "magma-nano", *, json_file: JsonFile = None) -> int:
    """Show what a bundle expects, what it costs, and where it came from.

    Args:
        bundle: Policy bundle.
        json_file: Also write the manifest there.
    """
    from magma_ros.policy.report import inspect as summarise
    from magma_ros.tables import bundle_tables

    summary = summarise(find_bundle(bundle))
    for table in bundle_tables(summary):
        console.print(table)
    if json_file is not None:
        _write_json(summary.manifest.model_dump(mode="json"), json_file)
    return 0


@app.command
def doctor(*, json_file: JsonFile = None) -> int:
    """Say what is missing on this machine, and the one command that fixes it.

    Args:
        json_file: Also write the findings there.
    """
    from magma_ros.doctor import examine
    from magma_ros.tables import doctor_table

    findings = examine()
    console.print(doctor_table(findings))
    if json_file is not None:
        _write_json([finding.as_dict() for finding in findings], json_file)
    return 0 if all(finding.ok or finding.optional for finding in findings) else 1


def _launch(path: Path, arguments: dict[str, str]) -> int:
    from magma_ros.embedded.launch import launch as run_launch

    return run_launch(path, arguments)


def _write_json(result: Any, path: Path) -> None:
    """Write ``result`` to ``path`` whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
        draft.replace(path)
    except OSError as error:
        raise MagmaError(f"cannot write {path}: {error.strerror}") from error


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``magma``; returns the exit status."""
    from magma_ros.embedded.launch import LaunchError

    try:
        return int(app(args, exit_on_error=True, result_action="return_value") or 0)
    except (MagmaError, LaunchError) as error:
        complaints.print(f"error: {error}", soft_wrap=True, highlight=False, markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
