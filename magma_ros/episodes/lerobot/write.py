# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes episodes as a LeRobotDataset v3.0: several to a file, up to a size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.lerobot import layout, statistics
from magma_ros.episodes.lerobot.layout import LeRobotError
from magma_ros.episodes.lerobot.video import VideoWriter, named, usable_codec
from magma_ros.files import make_folder

MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes at which a new file is begun [MB], and the files of a folder."""

    data_mb: int = 100
    video_mb: int = 200
    chunk_files: int = layout.CHUNK_FILES


@dataclass(slots=True)
class _Place:
    """Which file is written to."""

    number: int = 0
    per_chunk: int = layout.CHUNK_FILES

    @property
    def indices(self) -> dict[str, int]:
        return {
            "chunk_index": self.number // self.per_chunk,
            "file_index": self.number % self.per_chunk,
        }


class DatasetWriter:
    """Writes one data set; nothing of it can be seen under its name before it is whole.

    Use it as a context: what is left by an exception is removed.

    Args:
        folder: The data set; must not exist.
        codec: Video codec, of :data:`~video.CODECS`; another one is used, and said in the info,
            where this machine cannot encode it.
        robot_type: Name of the robot.
        limits: Sizes of the files.
        notes: What the info says besides.

    Attributes:
        spoilt: Whether an episode failed half-way, so that the data set cannot be finished.

    Raises:
        LeRobotError: The folder exists.
        MagmaError: It cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        codec: str = "av1",
        robot_type: str = "magma_ros",
        limits: Limits | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        if folder.exists():
            raise LeRobotError(f"{folder} exists already; name another folder")
        self._folder, self._draft = folder, folder.with_name(f".part-{folder.name}")
        self._codec, self._robot, self._limits = codec, robot_type, limits or Limits()
        self._notes = dict(notes or {})
        self.spoilt = False
        self._tasks: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._features: dict[str, dict[str, Any]] = {}
        self._values: dict[str, list[Any]] = {}
        self._cameras: dict[str, _CameraFile] = {}
        self._data: _DataFile | None = None
        self._total = 0
        self._fps = 0
        self._methods: Mapping[str, str] = {}
        shutil.rmtree(self._draft, ignore_errors=True)
        make_folder(self._draft / "meta")

    def __enter__(self) -> Self:
        """The writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the folder its name if all went well and something was written, else remove it."""
        try:
            self._close_files()
            if kind is None and self._rows:
                self._write_meta()
                self._draft.replace(self._folder)
        except OSError as error:
            raise LeRobotError(f"cannot write {self._folder}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(self._draft, ignore_errors=True)

    def add(self, episode: Episode) -> None:
        """Append one episode.

        Raises:
            LeRobotError: It differs from the first one in what it holds or in its rate, a row has
                no instruction, or it cannot be written.
            EpisodeError: A picture cannot be read.
        """
        sizes = _sizes(episode)
        fps = _whole_rate(episode)
        features = self._describe(episode, sizes, fps)
        if not self._rows:
            self._features, self._fps, self._methods = features, fps, episode.methods
        elif (features, fps) != (self._features, self._fps):
            raise LeRobotError(
                f"{episode.name} holds {_held(features, fps)}, the first episode "
                f"{_held(self._features, self._fps)}; export them apart"
            )
        if missing := episode.instructions.count(""):
            raise LeRobotError(f"{episode.name}: {missing} rows have no instruction; name the task")
        self.spoilt = True
        try:
            self._write(episode, sizes)
        except OSError as error:
            raise LeRobotError(f"cannot write {self._folder}: {error.strerror or error}") from error
        self.spoilt = False

    def _describe(
        self, episode: Episode, sizes: Mapping[str, tuple[int, int]], fps: int
    ) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        if episode.fields:
            found[layout.STATE] = layout.vector("float32", episode.fields)
        found[layout.ACTION] = layout.vector("float32", episode.action_names)
        for camera, (height, width) in sizes.items():
            codec = usable_codec(self._codec, height, width)
            found[layout.IMAGES + camera] = layout.video(height, width, fps, *named(codec))
        found[layout.SOURCE] = layout.scalar("string")
        found[layout.INTERVENTION] = layout.scalar("bool")
        found[layout.DEPTH] = layout.scalar("int64")
        found[layout.VERDICT] = layout.scalar("string")
        found[layout.POINT] = layout.vector("float32", ("column", "row"))
        for name, column in sorted(episode.extra.items()):
            dtype = "string" if column.dtype.kind in "US" else str(column.dtype)
            width_ = int(np.prod(column.shape[1:], dtype=int))
            names = [f"{name}_{number}" for number in range(width_)]
            found[name] = layout.vector(dtype, names) if width_ > 1 else layout.scalar(dtype)
        found["timestamp"] = layout.scalar("float32")
        return found | {name: layout.scalar("int64") for name in layout.COUNTERS[1:]}

    def _write(self, episode: Episode, sizes: Mapping[str, tuple[int, int]]) -> None:
        number, length = len(self._rows), len(episode)
        for task in episode.instructions:
            self._tasks.setdefault(task, len(self._tasks))
        table = self._table(episode, number)
        if self._data is None:
            self._data = _DataFile(self._draft, self._limits, layout.schema(self._features))
        row: dict[str, Any] = {
            "episode_index": number,
            "tasks": list(dict.fromkeys(episode.instructions)),
            "length": length,
            **{f"data/{key}": value for key, value in self._data.append(table).items()},
            "dataset_from_index": self._total,
            "dataset_to_index": self._total + length,
        }
        figures = {
            name: statistics.of_values(np.asarray(column))
            for name, column in self._columns(episode, number).items()
            if self._features[name]["dtype"] != "string"
        }
        for camera in sizes:
            key = layout.IMAGES + camera
            if camera not in self._cameras:
                self._cameras[camera] = _CameraFile(
                    self._draft, self._limits, key, self._features[key], self._fps, self._codec
                )
            part, counted = self._cameras[camera].append(episode, camera)
            row |= {f"videos/{key}/{name}": value for name, value in part.items()}
            figures[key] = counted.statistics()
        for name, figure in figures.items():
            row |= {f"stats/{name}/{what}": value for what, value in figure.items()}
        row |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        self._rows.append(row)
        self._total += length

    def _columns(self, episode: Episode, number: int) -> dict[str, Any]:
        length = len(episode)
        columns: dict[str, Any] = {layout.STATE: episode.proprioception} if episode.fields else {}
        columns |= {
            layout.ACTION: episode.actions,
            layout.SOURCE: list(episode.sources),
            layout.INTERVENTION: episode.interventions,
            layout.DEPTH: episode.depths,
            layout.VERDICT: [episode.outcome.verdict] * length,
            layout.POINT: episode.points,
        }
        columns |= dict(sorted(episode.extra.items()))
        return columns | {
            "timestamp": (np.arange(length) / self._fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
            "index": self._total + np.arange(length),
            "task_index": np.array([self._tasks[task] for task in episode.instructions]),
        }

    def _table(self, episode: Episode, number: int) -> pa.Table:
        schema, arrays = layout.schema(self._features), []
        columns = self._columns(episode, number)
        for field_ in schema:
            column = columns[field_.name]
            if pa.types.is_fixed_size_list(field_.type):
                flat = pa.array(np.asarray(column).reshape(-1), field_.type.value_type)
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field_.type))
            else:
                flat = column if isinstance(column, list) else np.asarray(column).reshape(-1)
                arrays.append(pa.array(flat, field_.type))
            if self._features[field_.name]["dtype"] != "string":
                self._values.setdefault(field_.name, []).append(np.asarray(column))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _close_files(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        if self._data is not None:
            self._data.close()

    def _write_meta(self) -> None:
        pq.write_table(layout.tasks_table(list(self._tasks)), self._draft / layout.TASKS)
        path = self._draft / layout.EPISODES.format(chunk_index=0, file_index=0)
        make_folder(path.parent)
        pq.write_table(pa.Table.from_pylist(self._rows), path)
        figures = {
            name: statistics.of_values(np.concatenate([np.asarray(part) for part in parts]))
            for name, parts in self._values.items()
        }
        for camera, file in self._cameras.items():
            figures[layout.IMAGES + camera] = file.counted.statistics()
        _write_json(figures, self._draft / layout.STATS)
        info = {
            "codebase_version": layout.VERSION,
            "robot_type": self._robot,
            "total_episodes": len(self._rows),
            "total_frames": self._total,
            "total_tasks": len(self._tasks),
            "chunks_size": self._limits.chunk_files,
            "data_files_size_in_mb": self._limits.data_mb,
            "video_files_size_in_mb": self._limits.video_mb,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self._cameras else None,
            "features": self._features,
            "resampling": dict(self._methods),
            **self._notes,
        }
        _write_json(info, self._draft / layout.INFO)


class _DataFile:
    """The Parquet file that rows are appended to, an episode a row group."""

    def __init__(self, folder: Path, limits: Limits, schema: pa.Schema) -> None:
        self._folder, self._limits, self._schema = folder, limits, schema
        self._place = _Place(per_chunk=limits.chunk_files)
        self._writer: pq.ParquetWriter | None = None
        self._path = folder

    def append(self, table: pa.Table) -> dict[str, int]:
        """Write one episode; returns which file it is in."""
        if self._writer is not None and self._path.stat().st_size >= self._limits.data_mb * MB:
            self.close()
            self._place.number += 1
        if self._writer is None:
            self._path = self._folder / layout.DATA.format(**self._place.indices)
            make_folder(self._path.parent)
            self._writer = pq.ParquetWriter(self._path, self._schema)
        self._writer.write_table(table)
        return self._place.indices

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@dataclass(slots=True)
class _CameraFile:
    """The video that a camera's pictures are appended to."""

    folder: Path
    limits: Limits
    key: str
    feature: dict[str, Any]
    fps: int
    codec: str
    counted: statistics.Histogram = field(default_factory=statistics.Histogram)
    _place: _Place = field(init=False)
    _writer: VideoWriter | None = None

    def __post_init__(self) -> None:
        self._place = _Place(per_chunk=self.limits.chunk_files)

    def append(
        self, episode: Episode, camera: str
    ) -> tuple[dict[str, float], statistics.Histogram]:
        """Encode one episode; returns where it is, and what its pictures hold."""
        if self._writer is not None and self._writer.size >= self.limits.video_mb * MB:
            self.close()
            self._place.number += 1
        if self._writer is None:
            self._writer = self._open()
        counted, every = statistics.Histogram(), -(-len(episode) // statistics.MOST_PICTURES)
        begin = self._writer.frames
        height, width, _ = self.feature["shape"]
        for row, picture in episode.pictures(camera):
            if picture.shape != (height, width, 3):
                raise LeRobotError(
                    f"{episode.name}: camera {camera} changes its size from {width} x {height} to "
                    f"{picture.shape[1]} x {picture.shape[0]}"
                )
            self._writer.add(picture)
            if row % every == 0:
                counted.add(picture)
        self.counted.merge(counted)
        times = {
            "from_timestamp": begin / self.fps,
            "to_timestamp": self._writer.frames / self.fps,
        }
        return self._place.indices | times, counted

    def _open(self) -> VideoWriter:
        path = self.folder / layout.VIDEO.format(video_key=self.key, **self._place.indices)
        make_folder(path.parent)
        height, width, _ = self.feature["shape"]
        codec = usable_codec(self.codec, height, width)
        return VideoWriter(path, codec, height, width, self.fps)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write in the order given, which is that of the columns."""
    path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def _sizes(episode: Episode) -> dict[str, tuple[int, int]]:
    """Height and width of each camera's pictures [px], from its first one."""
    sizes: dict[str, tuple[int, int]] = {}
    for camera in episode.cameras:
        _, picture = next(iter(episode.pictures(camera, [0])))
        sizes[camera] = picture.shape[0], picture.shape[1]
    return sizes


def _whole_rate(episode: Episode) -> int:
    if abs(episode.fps - round(episode.fps)) > 1e-6 or not round(episode.fps):
        raise LeRobotError(f"{episode.name} is at {episode.fps:g} Hz; LeRobot wants a whole number")
    return round(episode.fps)


def _held(features: Mapping[str, Mapping[str, Any]], fps: int) -> str:
    named = (
        f"{name} {'x'.join(map(str, feature['shape']))}"
        for name, feature in features.items()
        if name not in layout.COUNTERS
    )
    return f"{', '.join(named)} at {fps} Hz"
