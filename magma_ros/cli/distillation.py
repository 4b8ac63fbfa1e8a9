# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma distill-exits``: exits for a checkpoint of Magma's layout."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.common import JsonFile, console
from magma_ros.doctor import require
from magma_ros.files import write_json


def distill_exits(
    *,
    checkpoint: Path,
    data: Path,
    after: Annotated[tuple[int, ...], Parameter(consume_multiple=True)],
    camera: str = "front",
    frames: int = 2000,
    rank: int = 32,
    steps: int = 600,
    batch: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16"] = "float32",
    out: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Make layers before the last readable; the checkpoint's own weights stay as they are.

    Each exit learns, on frames of demonstrations, to answer as the last layer does. The table says
    how often it does on frames of other episodes, before and after.

    Args:
        checkpoint: Folder in the layout of microsoft/Magma-8B.
        data: Demonstrations, as ``magma data generate`` writes them.
        after: After how many layers an exit sits, for example --after 8 16 24.
        camera: Whose pictures are seen.
        frames: How many, drawn from all episodes; a quarter of the episodes is only measured on.
        rank: Width between the two small matrices that an exit adds to the head.
        steps: Optimiser steps an exit.
        batch: Frames a step.
        learning_rate: At the beginning; it falls to zero.
        seed: Of the draw and of the training.
        device: Where the network runs, as torch calls it; Magma-8B needs 18 GB there in bfloat16.
        dtype: Number format of the network's weights.
        out: File of the exits; exits.safetensors in the checkpoint's folder by default.
        json_file: Also write the result there.
    """
    require("train", "data")
    from magma_ros.models.magma.distil import Distillation, distil_checkpoint
    from magma_ros.models.magma.exits import EXITS
    from magma_ros.tables import exits_table

    plan = Distillation(
        depths=tuple(sorted(set(after))),
        rank=rank,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
    )
    path = out or checkpoint / EXITS
    reports = distil_checkpoint(
        checkpoint, data, path, plan, camera=camera, frames=frames, device=device, dtype=dtype
    )
    console.print(exits_table(reports))
    console.print(f"exits written to {path}")
    if json_file is not None:
        write_json([asdict(report) for report in reports], json_file)
    return 0
