# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma demo`` and ``magma launch``: nodes as processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.common import Bundle, JsonFile, complaints
from magma_ros.cli.common import console as said
from magma_ros.doctor import require
from magma_ros.files import json_mapping, make_folder, write_json
from magma_ros.policy.marks import named_marks
from magma_ros.remote.address import OFF, read_address
from magma_ros.share import find_bundle, share_file
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.policy.manifest import Manifest

WAITS_FOR_A_PERSON = (
    "the arm waits for a person: open the console's page in a browser (its address follows), then "
    "hand back to let the policy work, or take over; Ctrl-C ends the demo"
)

MAX_SEED = 2**31 - 1
"""The last seed of a scene."""


def demo(
    *,
    task: str = "place",
    suite: str = "tabletop",
    split: Literal["seen", "shift"] = "seen",
    seed: int = 0,
    instruction: str = "",
    bundle: Bundle = "magma-nano",
    gate: str = "adaptive",
    remote: str = "",
    run_dir: Path | None = None,
    domain: int | None = None,
    console: Annotated[bool, Parameter(name="--console", negative="")] = False,
    console_port: int = 8080,
    perception: Annotated[bool, Parameter(negative="")] = False,
    json_file: JsonFile = None,
) -> int:
    """Carry out one instruction on a simulated robot, every node its own process.

    With --console the arm waits for a person at the operator's console, who takes over or hands it
    to the policy; then there is no report and no time limit, and all goes on until Ctrl-C.

    Args:
        task: Task of the suite.
        suite: Task suite.
        split: Variation of scene and instruction.
        seed: Seed of the scene.
        instruction: Instruction to give instead of the task's own.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        remote: Server of a policy elsewhere that continues the bundle's exits, such as magma serve:
            ws://HOST:PORT or wss://HOST:PORT. By default what the bundle says; off for none.
        run_dir: Folder for the report and the recording; runs/<time> by default.
        domain: DDS domain to be in, whoever else may be in it. By default the demo takes one that
            nobody on this machine is in, ROS_DOMAIN_ID if that is one, and stays on this machine.
        console: Wait for a person at the operator's console.
        console_port: Port of its page.
        perception: Look for obstacles in depth images, and slow down for them; always done if the
            instruction names a mark, as in "pick the one marked 2".
        json_file: Also write the summary there.
    """
    from magma_ros.agent.tuned_gate import GATE_OPTIONS
    from magma_ros.embedded.launch import launch as run_launch
    from magma_ros.policy.manifest import read_manifest
    from magma_ros.sim.suite import load_suite

    elsewhere = remote not in ("", OFF)
    require("embedded", "sim", *["console"] * console, *["remote"] * elsewhere)
    # A wrong request fails here with one sentence, not in five processes.
    load_suite(suite).task(task)
    if gate not in GATE_OPTIONS:
        raise MagmaError(f"there is no gate {gate!r}; known: {', '.join(GATE_OPTIONS)}")
    if not 0 <= seed <= MAX_SEED:
        raise MagmaError(f"the seed must lie between 0 and {MAX_SEED}, not be {seed}")
    if elsewhere:
        read_address(remote)
    sighted = perception or _is_about_a_mark(instruction, read_manifest(find_bundle(bundle)))
    folder = run_dir or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    arguments = {
        "task": task,
        "suite": suite,
        "split": split,
        "seed": str(seed),
        "instruction": instruction,
        "bundle": str(bundle),
        "gate": gate,
        "remote": remote,
        "namespace": "",
        "run_dir": str(folder.absolute()),
        "console": str(console).lower(),
        "console_port": str(console_port),
        "perception": str(sighted).lower(),
    }
    file = share_file("launch", "demo.launch.yaml")
    with _demo_environment(domain) as environment:
        make_folder(folder)
        if console:
            said.print(WAITS_FOR_A_PERSON)
        status = run_launch(file, arguments, environment=environment)
    if console:
        said.print(f"the episodes are in {folder}", highlight=False)
        return status
    return _told_outcome(folder, status, json_file)


def _told_outcome(folder: Path, status: int, json_file: Path | None) -> int:
    """Say what came of a demo; the exit status that it means."""
    summary_file = folder / "summary.json"
    if not summary_file.is_file():
        complaints.print(f"the run ended (status {status}) before it had an outcome; see above")
        return 1
    summary = json_mapping(summary_file)
    said.print(f"{summary['outcome']}: {summary['instruction']!r}; report in {folder}")
    if json_file is not None:
        write_json(summary, json_file)
    return 0 if summary["success"] else 1


def _is_about_a_mark(instruction: str, manifest: Manifest) -> bool:
    """Whether an instruction names something by its mark.

    Raises:
        MagmaError: It does, but the policy takes no marks.
    """
    if not named_marks(instruction):
        return False
    if manifest.observation.point is None:
        raise MagmaError(
            f"bundle {manifest.name} takes no marks: name the object, or give a bundle that does "
            "(magma bundle inspect tells)"
        )
    return True


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
    from magma_ros.embedded.launch import launch as run_launch

    require("embedded")
    path = Path(file) if Path(file).is_file() else share_file("launch", file)
    if show_args:
        said.print(describe_arguments(path), markup=False, highlight=False, soft_wrap=True)
        return 0
    return run_launch(path, parse_arguments(arguments))


@contextmanager
def _demo_environment(domain: int | None) -> Iterator[dict[str, str]]:
    """The environment that keeps a demo apart from every other robot, or in a given domain."""
    from magma_ros.embedded.domains import MAX_DOMAIN_ID, own_domain

    if domain is not None:
        if not 0 <= domain <= MAX_DOMAIN_ID:
            raise MagmaError(f"a DDS domain lies between 0 and {MAX_DOMAIN_ID}, not at {domain}")
        yield {"ROS_DOMAIN_ID": str(domain)}
        return
    given = os.environ.get("ROS_DOMAIN_ID", "")
    usable = given.isdecimal() and int(given) <= MAX_DOMAIN_ID
    with own_domain([int(given)] if usable else []) as number:
        said.print(
            f"the demo is in DDS domain {number}; to look into it: export ROS_DOMAIN_ID={number}",
            highlight=False,
        )
        yield {"ROS_DOMAIN_ID": str(number), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
