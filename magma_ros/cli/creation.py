# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bundle create``: somebody's ONNX file becomes a bundle."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.prompt import Prompt

from magma_ros.cli.common import console, names
from magma_ros.doctor import require
from magma_ros.files import check, yaml_mapping
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.models.export.foreign_answers import Answers

KINDS = "ee_delta, ee_pose, joint_position or joint_delta"

QUESTIONS = {
    "name": "Name of the policy",
    "kind": f"What its actions are ({KINDS})",
    "dims": "Their columns in order, with commas (joints; dx,dy,...; gripper)",
    "step_period": "Duration of one step [s]",
}
"""What cannot be done without, and what is asked for on a terminal."""


def create(
    onnx: Path,
    *,
    out: Path,
    answers: Path | None = None,
    name: str = "",
    kind: str = "",
    dims: str = "",
    step_period: float | None = None,
    fields: str = "",
) -> int:
    """Turn a policy trained elsewhere, an ONNX file, into a bundle with one exit.

    Options go before the file of answers; what neither says is asked for on a terminal.

    Args:
        onnx: The policy.
        out: Folder of the bundle; replaced only once the new one is complete.
        answers: YAML file that says what the ONNX file does not; see docs/action_spaces.md.
        name: Of the policy.
        kind: What its actions are: ee_delta, ee_pose, joint_position or joint_delta.
        dims: Columns of the action in order, separated by commas; joints turn [rad], one that
            slides is written name:m, and gripper is 1 for open.
        step_period: Duration of one step [s].
        fields: Measured values that it takes, in order, separated by commas; of actions of joints,
            the positions of these by default.
    """
    require("create")
    from magma_ros.models.export.foreign import create_bundle
    from magma_ros.policy.report import inspect
    from magma_ros.tables import bundle_tables

    said: dict[str, Any] = {} if answers is None else yaml_mapping(answers)
    given = {"name": name, "kind": kind, "dims": dims, "step_period": step_period}
    said |= {key: value for key, value in given.items() if value}
    if fields:
        said["fields"] = names(fields)
    ask = _asked if sys.stdin.isatty() else None
    known = complete(said, ask, answers)
    create_bundle(onnx, known, out, shlex.join(["magma", *sys.argv[1:]]))
    for table in bundle_tables(inspect(out)):
        console.print(table)
    console.print(f"{out} is whole and has run once; say bundle:={out} to a launch file.")
    return 0


def complete(
    said: dict[str, Any], ask: Callable[[str], str] | None, source: Path | None
) -> Answers:
    """The answers, with what was left out asked for or taken from the rest.

    Args:
        said: What was said so far.
        ask: Asks a person, or None where nobody can be.
        source: File that it came from, for what is wrong with it.

    Raises:
        MagmaError: Something is missing, and nobody can be asked, or makes no sense.
    """
    from magma_ros.models.export.foreign_answers import Answers

    for key, question in QUESTIONS.items():
        if key in said:
            continue
        if ask is None:
            raise MagmaError(
                f"the {key} is not known: {question}; say it with "
                f"--{key.replace('_', '-')} or in a file of --answers"
            )
        said[key] = ask(question)
    jointed = str(said["kind"]).startswith("joint_")
    if isinstance(said["dims"], str):
        said["dims"] = [_dimension(word, jointed=jointed) for word in names(said["dims"])]
    if jointed and "fields" not in said:
        named = [dim for dim in said["dims"] if isinstance(dim, dict) and "open" not in dim]
        grippers = [dim for dim in said["dims"] if dim not in named]
        said["fields"] = [f"{dim.get('name')}.position" for dim in named]
        said["fields"] += [f"{_gripper(dim, alone=len(grippers) == 1)}_opening" for dim in grippers]
    place = source or Path("the answers")
    return check(said, Answers, place, MagmaError, "see docs/action_spaces.md")


def _asked(question: str) -> str:
    return Prompt.ask(escape(question), console=console)


def _gripper(dim: Any, *, alone: bool) -> str:
    """What the opening that is measured of a gripper is called after."""
    return "gripper" if alone or not isinstance(dim, dict) else str(dim.get("name"))


def _dimension(word: str, *, jointed: bool) -> Any:
    """A column by its name, or name:unit."""
    name, _, unit = word.partition(":")
    if name == "gripper" or not jointed:
        return name
    return {"name": name, "unit": unit or "rad"}
