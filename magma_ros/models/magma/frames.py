# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Single frames of demonstrations, drawn from all episodes; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.models.data.shards import SCHEMA, DataError, find_shards, read_columns
from magma_ros.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A moment of a demonstration.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        instruction: What the robot was told.
        action: (7,) what the expert did [m, rad], gripper.
        episode: Task and seed of the episode.
    """

    image: ImageArray
    instruction: str
    action: FloatArray
    episode: tuple[str, int]


def draw_frames(folder: Path, camera: str, count: int, seed: int) -> list[Frame]:
    """Frames from all files of a folder alike.

    Args:
        folder: Demonstrations, as ``magma data generate`` writes them.
        camera: Whose pictures.
        count: How many at most.
        seed: Of the draw.

    Raises:
        DataError: There are no demonstrations, a file is damaged, or the camera was not recorded.
    """
    if f"image_{camera}" not in SCHEMA.names:
        raise DataError(f"camera {camera} is not recorded in demonstrations; use front or wrist")
    shards = find_shards(folder)
    total = sum(shards.values())
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(total, size=min(count, total), replace=False))
    first = 0
    frames: list[Frame] = []
    for path, length in shards.items():
        inside = chosen[(chosen >= first) & (chosen < first + length)] - first
        frames += _frames(path, camera, inside)
        first += length
    return frames


def _frames(path: Path, camera: str, rows: npt.NDArray[np.int64]) -> Iterator[Frame]:
    columns = ["task", "seed", "instruction", "action", f"image_{camera}"]
    for row in read_columns(path, columns).take(rows).to_pylist():
        data = np.frombuffer(row[f"image_{camera}"], np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None:
            raise DataError(f"{path} holds an image that is no PNG; delete it and make it again")
        yield Frame(
            image=np.ascontiguousarray(picture[..., ::-1]),
            instruction=row["instruction"],
            action=np.array(row["action"]),
            episode=(row["task"], row["seed"]),
        )
