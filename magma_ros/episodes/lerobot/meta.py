# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set says of itself: its info, tasks, and where each episode is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.episodes.lerobot import layout
from magma_ros.episodes.lerobot.layout import Info, LeRobotError
from magma_ros.files import read_json


@dataclass(frozen=True, slots=True)
class VideoPart:
    """Where the pictures of one camera in one episode are.

    Attributes:
        path: The video file.
        start: Time of the first picture in it [s].
    """

    path: Path
    start: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An episode of a data set.

    Attributes:
        index: Its number.
        length: Rows that it should have.
        tasks: What the robot was told in it.
        data: The Parquet file with its rows.
        videos: By the feature's key.
        shared: Whether other episodes are in the same file.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    data: Path
    videos: Mapping[str, VideoPart]
    shared: bool


def read_info(folder: Path) -> Info:
    """Read ``meta/info.json``.

    Raises:
        LeRobotError: It is missing, or is none of the versions that are read.
    """
    path = folder / layout.INFO
    if not path.is_file():
        raise LeRobotError(f"{folder} is no LeRobot data set: it has no {layout.INFO}")
    return read_json(path, Info, error=LeRobotError)


def read_tasks(folder: Path) -> dict[int, str]:
    """The words of each task by its number; empty if the file is missing.

    Raises:
        LeRobotError: It is damaged.
    """
    if (path := folder / layout.TASKS).is_file():
        table = read_table(path)
        # pandas names the column, and its type, as its version pleases.
        words = next((n for n in table.column_names if is_text(table.field(n).type)), "")
        if not words or "task_index" not in table.column_names:
            raise LeRobotError(f"{path} has no column of words and task_index")
        numbers = table.column("task_index").to_pylist()
        return dict(zip(numbers, table.column(words).to_pylist(), strict=True))
    if (path := folder / layout.TASKS_LINES).is_file():
        return {int(line["task_index"]): str(line["task"]) for line in _lines(path)}
    return {}


def read_entries(folder: Path, info: Info) -> list[Entry]:
    """Where each episode should be; whether it is there is not looked at.

    Raises:
        LeRobotError: The list of episodes is missing or damaged.
    """
    cameras = [key for key, feature in info.features.items() if feature.dtype == "video"]
    try:
        if info.codebase_version == layout.VERSION:
            return list(_entries(folder, info, cameras))
        return list(_entries_of_lines(folder, info, cameras))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LeRobotError(
            f"{folder}: the list of episodes is damaged or incomplete ({error!r})"
        ) from error


def _entries(folder: Path, info: Info, cameras: list[str]) -> Iterator[Entry]:
    files = sorted((folder / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise LeRobotError(f"{folder} has no list of episodes below meta/episodes")
    for file in files:
        table = read_table(file)
        columns = [n for n in table.column_names if not n.startswith("stats/")]
        for row in table.select(columns).to_pylist():
            yield Entry(
                index=int(row["episode_index"]),
                length=int(row["length"]),
                tasks=tuple(row.get("tasks") or ()),
                data=folder / info.data_path.format(**_indices(row, "data")),
                videos={
                    key: VideoPart(
                        folder
                        / str(info.video_path).format(
                            video_key=key, **_indices(row, f"videos/{key}")
                        ),
                        float(row[f"videos/{key}/from_timestamp"]),
                    )
                    for key in cameras
                },
                shared=True,
            )


def _indices(row: Mapping[str, Any], prefix: str) -> dict[str, int]:
    names = ("chunk_index", "file_index")
    return {name: int(row[f"{prefix}/{name}"]) for name in names}


def _entries_of_lines(folder: Path, info: Info, cameras: list[str]) -> Iterator[Entry]:
    path = folder / layout.EPISODES_LINES
    if not path.is_file():
        raise LeRobotError(f"{folder} has no list of episodes, {layout.EPISODES_LINES}")
    for line in _lines(path):
        index = int(line["episode_index"])
        place = {"episode_chunk": index // info.chunks_size, "episode_index": index}
        yield Entry(
            index=index,
            length=int(line["length"]),
            tasks=tuple(line.get("tasks") or ()),
            data=folder / info.data_path.format(**place),
            videos={
                key: VideoPart(folder / str(info.video_path).format(video_key=key, **place), 0.0)
                for key in cameras
            },
            shared=False,
        )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise LeRobotError(f"{path}: line {number} is no object")
                yield line
    except (OSError, ValueError, RecursionError) as error:
        raise LeRobotError(f"{path} cannot be read ({error})") from error


def is_there(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file.

    Raises:
        LeRobotError: It is damaged.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise LeRobotError(f"{path} is damaged or no Parquet file") from error
