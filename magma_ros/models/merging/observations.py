# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A handful of unlabelled observations a task, drawn from demonstrations; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from magma_ros.models.data.shards import DataError, find_shards, read_columns
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.types import ImageArray, MagmaError, Observation

EVERY_CAMERA = ("front", "wrist")


class ObservationsError(MagmaError):
    """There is nothing to calibrate on."""


def draw_observations(
    folder: Path, tasks: Sequence[str], count: int, *, seed: int = 0
) -> list[Observation]:
    """Observations of tasks, drawn from all their episodes alike.

    Args:
        folder: Demonstrations, as ``magma data generate`` writes them.
        tasks: Which tasks; all that are there when none are given.
        count: Observations a task.
        seed: Of the draw.

    Raises:
        MagmaError: The folder holds none, or none of one of the tasks, or a damaged file.
    """
    files: dict[str, list[tuple[Path, int]]] = {}
    for path, rows in find_shards(folder).items():
        for task in set(read_columns(path, ["task"]).column(0).to_pylist()):
            files.setdefault(str(task), []).append((path, rows))
    if missing := [task for task in tasks if task not in files]:
        raise ObservationsError(
            f"{folder} holds no observation of {missing[0]}, which a parent learned; generate "
            f"demonstrations of it, or give each parent a folder of its own"
        )
    found: list[Observation] = []
    for number, task in enumerate(tasks or sorted(files)):
        rng = np.random.default_rng([seed, number])
        found += [_observation(files[task], task, rng) for _ in range(count)]
    return found


def _observation(
    files: Sequence[tuple[Path, int]], task: str, rng: np.random.Generator
) -> Observation:
    """One of these files' observations of a task."""
    sizes = np.array([rows for _, rows in files])
    path = files[rng.choice(len(files), p=sizes / sizes.sum())][0]
    told = read_columns(path, ["task"]).column(0).to_pylist()
    row = int(rng.choice([index for index, name in enumerate(told) if name == task]))
    columns = ["instruction", "proprioception", *(f"image_{name}" for name in EVERY_CAMERA)]
    (moment,) = read_columns(path, columns).slice(row, 1).to_pylist()
    return Observation(
        stamp=0.0,
        images={name: _picture(path, moment[f"image_{name}"]) for name in EVERY_CAMERA},
        proprioception=np.array(moment["proprioception"]),
        fields=PROPRIOCEPTION,
        instruction=moment["instruction"],
    )


def _picture(path: Path, data: bytes) -> ImageArray:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError(f"{path} holds an image that is no PNG; delete it and make it again")
    return np.ascontiguousarray(picture[..., ::-1])
