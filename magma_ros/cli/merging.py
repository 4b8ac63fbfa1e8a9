# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma merge``: checkpoints that were fine-tuned from one base become one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from magma_ros.cli.common import JsonFile, console
from magma_ros.doctor import require
from magma_ros.files import make_folder, write_json

Several = Parameter(consume_multiple=True)
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def merge(
    *,
    base: Path,
    parents: Annotated[tuple[Path, ...], Several],
    out: Path,
    method: Literal["task-arithmetic", "ties"] = "task-arithmetic",
    scale: float | None = None,
    density: float = 0.2,
    magic: Literal["wsc", "fsc", "dsc"] | None = None,
    length: Literal["ellipsoid", "mean", "projection"] = "ellipsoid",
    observations: Annotated[tuple[Path, ...], Several] = (),
    per_task: Count = 4,
    guard: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 10,
    camera: str = "front",
    seed: int = 0,
    name: str | None = None,
    report: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Merge checkpoints that were fine-tuned from one base, without training.

    Takes the trainer's checkpoints and those in the layout of Magma-8B, one tensor after the other.
    What is merged is a checkpoint again: magma export, or magma import, makes a bundle of it, and
    magma calibrate its gate.

    Args:
        base: Checkpoint that all parents were fine-tuned from; a run's newest will do.
        parents: The checkpoints to merge.
        out: Folder of the merged one; replaced only if it holds a merged one.
        method: How what the parents learned is combined: added up, or with TIES trimmed to what
            changed most and averaged where signs agree.
        scale: Factor on the sum (on the mean with TIES); by default the parents' mean.
        density: Share of the elements of a tensor that TIES keeps.
        magic: Calibrate the magnitude afterwards: of weights (needs no data), of features, or both.
        length: With wsc and dsc: onto the ellipsoid that the parents' rows span, as long as they
            are on average, or as long along each of them as they are (projection: a form of ours).
        observations: Demonstrations to measure features on, one folder, or one for each parent.
        per_task: Observations a task that are drawn from them.
        guard: How many sensitive weights are never enlarged, while all others are never shrunk;
            found on the observations; 0 for no guard.
        camera: That a network of Magma-8B's layout sees with.
        seed: Of the draw of observations.
        name: What it is called; the folder's name by default.
        report: Write figures of every layer there as JSON, and beside it a page and a plot.
        json_file: Also write the result there.
    """
    require("sim", "train")
    from magma_ros.models.merging.methods import Method
    from magma_ros.models.merging.report import as_dict, write_report
    from magma_ros.models.merging.run import Plan, merge_checkpoints
    from magma_ros.tables import merge_table

    plan = Plan(
        base=base,
        parents=parents,
        out=out,
        name=name or out.resolve().name,
        method=Method(method, scale, density),
        magic=magic,
        length=length,
        observations=observations,
        per_task=per_task,
        guard=guard,
        seed=seed,
        camera=camera,
        command=shlex.join(["magma", *sys.argv[1:]]),
    )
    for file in filter(None, (report, json_file)):
        make_folder(file.parent)  # fail now, not after an hour
    outcome = merge_checkpoints(plan)
    if report is not None:
        write_report(outcome, report)
    if json_file is not None:
        write_json(as_dict(outcome), json_file)
    console.print(merge_table(outcome))
    console.print(f"{outcome.ancestry.sentence}; checkpoint written to {out}", markup=False)
    return 0
