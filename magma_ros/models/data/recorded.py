# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes that were played in a simulator, one file each, on their way into a data set.

A file is numpy's ``.npz``: columns of one row each per row of the episode, and for every camera the
pictures as PNG, one after the other, with the place where each ends. An episode that failed has no
pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from magma_ros.episodes.episode import POLICY, Episode
from magma_ros.episodes.events import Outcome
from magma_ros.files import whole
from magma_ros.models.data.shards import DataError
from magma_ros.types import ImageArray

Columns = Mapping[str, Any]

KNOWN = ("state", "fields", "instruction", "action", "period")
"""Columns that have a place of their own in an episode."""

_BYTES, _ENDS = "pictures ", "ends "


def write_recorded(path: Path, columns: Columns, pictures: Mapping[str, Sequence[bytes]]) -> None:
    """Write an episode; the file appears when it is whole.

    Raises:
        MagmaError: It cannot be written.
    """
    stored = dict(columns)
    for camera, taken in pictures.items():
        stored[f"{_BYTES}{camera}"] = np.frombuffer(b"".join(taken), np.uint8)
        stored[f"{_ENDS}{camera}"] = np.cumsum([len(picture) for picture in taken])
    with whole(path) as draft:
        np.savez(draft, **stored)


def read_recorded(path: Path) -> Columns | None:
    """Read an episode; None where there is no such file, or it is damaged.

    Raises:
        MagmaError: It cannot be opened.
    """
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (BadZipFile, ValueError, EOFError, KeyError):
        return None  # cut short, by a full disk say; it is made again
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def recorded_episode(path: Path, action_names: Sequence[str]) -> Episode:
    """A recorded episode as one of a data set.

    Args:
        path: The file.
        action_names: Names of the columns of its actions.

    Raises:
        DataError: It is missing or damaged.
    """
    columns = read_recorded(path)
    if columns is None:
        raise DataError(f"{path} is missing or damaged; run the same command again")
    rows, period = len(columns["action"]), float(columns["period"])
    cameras = tuple(n.removeprefix(_BYTES) for n in columns if n.startswith(_BYTES))
    own = (*KNOWN, *(f"{what}{camera}" for what in (_BYTES, _ENDS) for camera in cameras))
    return Episode(
        name=path.stem,
        period=period,
        times=np.arange(rows) * period,
        cameras=cameras,
        look=partial(_look, columns),
        picture_ages={camera: np.zeros(rows) for camera in cameras},
        fields=tuple(columns["fields"].tolist()),
        proprioception=columns["state"],
        instructions=(str(columns["instruction"]),) * rows,
        points=np.full((rows, 2), np.nan, np.float32),
        point_camera="",
        actions=columns["action"],
        sources=(POLICY,) * rows,
        interventions=np.zeros(rows, np.bool_),
        modes=("",) * rows,
        depths=np.zeros(rows, np.int64),
        outcome=Outcome("SUCCEEDED"),
        events=(),
        methods={},
        warnings=(),
        action_names=tuple(action_names),
        extra={name: column for name, column in columns.items() if name not in own},
    )


def _look(columns: Columns, camera: str, rows: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    data, ends = columns[f"{_BYTES}{camera}"], columns[f"{_ENDS}{camera}"]
    for row in rows:
        begin = ends[row - 1] if row else 0
        picture = cv2.imdecode(data[begin : ends[row]], cv2.IMREAD_COLOR_RGB)
        yield row, np.asarray(picture, np.uint8)
