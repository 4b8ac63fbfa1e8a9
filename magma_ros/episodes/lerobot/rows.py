# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of one episode of a data set, from its Parquet file and its videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magma_ros.episodes.episode import HUMAN, Episode
from magma_ros.episodes.events import BAD, GOOD, Outcome
from magma_ros.episodes.lerobot import layout
from magma_ros.episodes.lerobot.keys import Keys
from magma_ros.episodes.lerobot.layout import Info, LeRobotError
from magma_ros.episodes.lerobot.meta import Entry, is_text
from magma_ros.episodes.lerobot.video import frames, probe
from magma_ros.types import ImageArray

Array = npt.NDArray[np.generic]


def read_rows(entry: Entry, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one episode, by default without pictures.

    Raises:
        LeRobotError: The file is damaged.
    """
    try:
        if columns is None:
            table = _without_pictures(entry.data, entry.data.stat().st_mtime_ns)
            if not entry.shared:
                return table
            mine = np.flatnonzero(table.column("episode_index").to_numpy() == entry.index)
            if not len(mine) or mine[-1] - mine[0] + 1 > len(mine):
                return table.take(mine)
            return table.slice(mine[0], len(mine))
        only = [("episode_index", "==", entry.index)] if entry.shared else None
        return pq.read_table(entry.data, columns=list(columns), filters=only)
    except (pa.ArrowException, OSError) as error:
        raise LeRobotError("the file of its rows is damaged") from error


@lru_cache(maxsize=2)
def _without_pictures(path: Path, changed: int) -> pa.Table:
    """A whole file but its pictures; kept, because thousands of episodes may share it."""
    del changed  # part of the key
    columns = [field.name for field in pq.read_schema(path) if not _holds_bytes(field.type)]
    return pq.read_table(path, columns=columns).combine_chunks()


def values(table: pa.Table, key: str) -> Array:
    """A column as numbers, truth values or texts, (T,) or (T, D).

    Raises:
        LeRobotError: It has gaps or rows of different length, or is of another kind.
    """
    column = table.column(key).combine_chunks()
    if column.null_count:
        raise LeRobotError(f"{key} has gaps")
    width = 0
    if _is_list(column.type):
        lengths = pc.unique(pc.list_value_length(column)).to_pylist()
        if len(lengths) > 1:
            raise LeRobotError(f"{key} has rows of different length")
        width, column = (lengths or [0])[0], column.flatten()
    if not _simple(column.type) or column.null_count:
        raise LeRobotError(f"{key} holds {column.type}, not plain numbers or texts")
    flat = np.asarray(column.to_numpy(zero_copy_only=False))
    if is_text(column.type):
        flat = flat.astype(str)
    return flat.reshape(len(table), width) if width else flat


def episode_of(
    folder: Path,
    *,
    info: Info,
    fps: float,
    keys: Keys,
    tasks: Mapping[int, str],
    entry: Entry,
    table: pa.Table,
) -> Episode:
    """Put the rows of one episode together.

    Without columns for it, every row is a person's, who was driving: data sets are demonstrations.

    Args:
        folder: The data set.
        info: What it says of itself.
        fps: Rows a second [Hz].
        keys: Which columns are what.
        tasks: The words of each task; -1 for those that have none.
        entry: Which episode.
        table: What :func:`read_rows` gave.
    """
    length = len(table)
    state = np.zeros((length, 0), np.float32)
    if keys.state:
        state = values(table, keys.state).astype(np.float32).reshape(length, -1)
    verdicts = _texts(table, layout.VERDICT, "")
    named = set(verdicts) & {GOOD, BAD}
    sources = _texts(table, layout.SOURCE, HUMAN)
    points = np.full((length, 2), np.nan, np.float32)
    if layout.POINT in keys.own:
        points = values(table, layout.POINT).astype(np.float32)
    return Episode(
        name=f"episode {entry.index} of {folder}",
        period=1.0 / fps,
        times=np.arange(length) / fps,
        cameras=tuple(keys.cameras),
        look=partial(_look, entry, dict(keys.cameras)),
        picture_ages={camera: np.zeros(length) for camera in keys.cameras},
        fields=info.features[keys.state].labels("state") if keys.state else (),
        proprioception=state,
        instructions=instructions(table, tasks),
        points=points,
        point_camera="",
        actions=values(table, keys.action).astype(np.float32).reshape(length, -1),
        sources=sources,
        interventions=_column(table, keys, layout.INTERVENTION, np.array(sources) == HUMAN),
        modes=("",) * length,
        depths=_column(table, keys, layout.DEPTH, np.zeros(length, np.int64)),
        outcome=Outcome(label=named.pop() if len(named) == 1 else ""),
        events=(),
        methods={"clock": f"{fps:g} Hz, as in the data set"},
        warnings=(),
        action_names=info.features[keys.action].labels("action"),
        extra={key: values(table, key) for key in keys.extra if key in table.column_names},
    )


def instructions(table: pa.Table, tasks: Mapping[int, str]) -> tuple[str, ...]:
    """What the robot was told in each row.

    Raises:
        LeRobotError: A row's task is not in the list.
    """
    default = tasks.get(-1)
    if "task_index" not in table.column_names:
        if default is None:
            raise LeRobotError("its rows have no task_index")
        return (default,) * len(table)
    numbers = values(table, "task_index").reshape(-1).tolist()
    told = [tasks.get(number, default) for number in numbers]
    if None in told:
        raise LeRobotError(f"its task {numbers[told.index(None)]} is not in the list of tasks")
    return tuple(str(text) for text in told)


def _look(
    entry: Entry, cameras: Mapping[str, str], camera: str, rows: Sequence[int]
) -> Iterator[tuple[int, ImageArray]]:
    """See :data:`magma_ros.episodes.episode.Look`."""
    key = cameras[camera]
    if key in entry.videos:
        part = entry.videos[key]
        rate = probe(part.path).rate
        pictures = frames(part.path, round(part.start * rate), rate, rows)
        yield from zip(rows, pictures, strict=True)
        return
    column = read_rows(entry, [key, "episode_index"]).column(key)
    for row in rows:
        yield row, _decoded(entry, column[row].as_py())


def _decoded(entry: Entry, stored: Any) -> ImageArray:
    data = stored.get("bytes") if isinstance(stored, dict) else stored
    picture = None
    if isinstance(data, bytes) and data:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise LeRobotError(f"{entry.data} holds a picture that cannot be decoded")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _texts(table: pa.Table, key: str, default: str) -> tuple[str, ...]:
    if key not in table.column_names or not is_text(table.field(key).type):
        return (default,) * len(table)
    return tuple(text or default for text in table.column(key).to_pylist())


def _column(table: pa.Table, keys: Keys, key: str, default: Any) -> Any:
    if key not in keys.own:
        return default
    return values(table, key).astype(default.dtype).reshape(len(table))


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _simple(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or is_text(kind)
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_struct(kind))
