# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of demonstrations: their columns, and which files of a folder can be used.

One row is one step. Images are PNG, so a shard opens in any Parquet viewer.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.types import MagmaError

CARD = "data.json"
"""Name of the file that says what a folder of shards holds; it is written last."""

CAMERAS = ("front", "wrist")
"""Cameras that are recorded."""

COLUMNS = {
    "suite": "name of the task's suite",
    "task": "name of the task",
    "seed": "seed of the scene",
    "step": "step of the episode, 0.1 s each",
    "instruction": "what the robot is told",
    "image_front": "PNG, RGB, what the front camera saw before the step",
    "image_wrist": "PNG, RGB, what the wrist camera saw before the step",
    "proprioception": f"measured before the step: {', '.join(PROPRIOCEPTION)} [m, 1]",
    "action": "the expert's action in this state: dx dy dz droll dpitch dyaw [m, rad], gripper",
    "astray": "whether something else than that action was executed",
    "target_position": "centre of the object that the instruction names [m]",
    "goal_position": "where the task wants it (reach: the tool) [m]",
    "tool_pixel_front": "column and row of the tool centre in the front image, 0 to 1 across it",
    "target_pixel_front": "column and row of the target in the front image, 0 to 1 across it",
    "target_pixel_wrist": "the same in the wrist image",
    "goal_pixel_front": "column and row of the goal in the front image, 0 to 1 across it",
    "goal_pixel_wrist": "the same in the wrist image",
    "success": "whether the task had been done before the step",
}

SCHEMA = pa.schema(
    [
        ("suite", pa.string()),
        ("task", pa.string()),
        ("seed", pa.int64()),
        ("step", pa.int32()),
        ("instruction", pa.string()),
        ("image_front", pa.binary()),
        ("image_wrist", pa.binary()),
        ("proprioception", pa.list_(pa.float32(), len(PROPRIOCEPTION))),
        ("action", pa.list_(pa.float32(), 7)),
        ("astray", pa.bool_()),
        ("target_position", pa.list_(pa.float32(), 3)),
        ("goal_position", pa.list_(pa.float32(), 3)),
        ("tool_pixel_front", pa.list_(pa.float32(), 2)),
        ("target_pixel_front", pa.list_(pa.float32(), 2)),
        ("target_pixel_wrist", pa.list_(pa.float32(), 2)),
        ("goal_pixel_front", pa.list_(pa.float32(), 2)),
        ("goal_pixel_wrist", pa.list_(pa.float32(), 2)),
        ("success", pa.bool_()),
    ]
)

_log = logging.getLogger(__name__)


class DataError(MagmaError):
    """Demonstrations are missing, damaged, or belong to another configuration."""


def find_shards(folder: Path, *, skip_damaged: bool = False) -> dict[Path, int]:
    """The shards of a folder that is meant to hold some, and how many steps each holds.

    Args:
        folder: Where they lie.
        skip_damaged: Leave out what cannot be opened as a shard, with a warning.

    Raises:
        DataError: There is no shard, or a file is cut short or is no shard.
    """
    found = check_shards(folder, skip_damaged=skip_damaged)
    if not any(found.values()):
        raise DataError(f"{folder} holds no demonstrations; generate them first")
    return found


def check_shards(folder: Path, *, skip_damaged: bool = False) -> dict[Path, int]:
    """Like :func:`find_shards`, but the folder may be empty.

    Raises:
        DataError: A file is cut short or is no shard.
    """
    found: dict[Path, int] = {}
    skipped: list[Path] = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            found[path] = _count(path)
        except DataError:
            if not skip_damaged:
                raise
            skipped.append(path)
    if skipped:
        names = ", ".join(path.name for path in skipped)
        _log.warning("left out of %s, because damaged or foreign: %s", folder, names)
    return found


def read_columns(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a shard, or some of its columns.

    Raises:
        DataError: The file is cut short or is no shard.
    """
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error


def _count(path: Path) -> int:
    """The steps of a shard, without reading them."""
    try:
        metadata = pq.read_metadata(path)
        columns = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error
    for wanted in SCHEMA:
        if wanted.name not in columns.names or columns.field(wanted.name).type != wanted.type:
            raise DataError(
                f"{path} is no shard of demonstrations: it has no column {wanted.name} of type "
                f"{wanted.type}; move it away, or set data.skip_damaged to leave it out"
            )
    return int(metadata.num_rows)


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged; delete it and it will be made again, "
        "or set data.skip_damaged to leave it out"
    )
