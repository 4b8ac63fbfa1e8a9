# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a LeRobotDataset keeps what, and how it describes its columns (features)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from magma_ros.episodes.bag import EpisodeError

VERSION = "v3.0"
READ_VERSIONS = ("v2.0", "v2.1", "v3.0")

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
TASKS_LINES = "meta/tasks.jsonl"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_LINES = "meta/episodes.jsonl"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
SOURCE, INTERVENTION, DEPTH, VERDICT, POINT = (
    "source",
    "intervention",
    "depth",
    "verdict",
    "point",
)
"""Columns beside LeRobot's own; see :class:`magma_ros.episodes.episode.Episode`."""

COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns that every data set has."""

CHUNK_FILES = 1000
"""Most files in one ``chunk`` folder."""


MOST_ENTRIES = 1 << 20
"""Largest size of a dimension that is believed."""


class LeRobotError(EpisodeError):
    """A data set cannot be written or read."""


class Feature(BaseModel):
    """A column, or a video beside the columns.

    Attributes:
        dtype: Such as ``float32``, ``string``, ``image`` or ``video``.
        shape: Of one value.
        names: Of its entries, flat or nested; or None.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    dtype: str
    shape: tuple[Annotated[int, Field(ge=0, le=MOST_ENTRIES)], ...] = (1,)
    names: Any = None

    @property
    def is_camera(self) -> bool:
        """Whether it holds pictures."""
        return self.dtype in ("video", "image")

    def labels(self, prefix: str) -> tuple[str, ...]:
        """A name for each entry; numbered ones where the names do not fit the shape."""
        flat = _flat(self.names)
        size = int(np.prod(self.shape))
        return tuple(flat) if len(flat) == size else tuple(f"{prefix}_{n}" for n in range(size))


class Info(BaseModel):
    """``meta/info.json``, as far as it is needed."""

    model_config = ConfigDict(extra="allow", frozen=True)

    codebase_version: str
    fps: float = Field(gt=0.0, le=1000.0)
    features: dict[str, Feature]
    data_path: str
    video_path: str | None = None
    robot_type: str | None = None
    total_episodes: int = Field(default=0, ge=0, le=10_000_000)
    chunks_size: int = Field(default=CHUNK_FILES, gt=0)

    @field_validator("codebase_version")
    @classmethod
    def _known(cls, version: str) -> str:
        if version not in READ_VERSIONS:
            raise ValueError(f"{version[:20]!r} is none of {', '.join(READ_VERSIONS)}")
        return version


def vector(dtype: str, names: Sequence[str]) -> dict[str, Any]:
    """The feature of a vector with named entries."""
    return {"dtype": dtype, "shape": [len(names)], "names": list(names)}


def scalar(dtype: str) -> dict[str, Any]:
    """The feature of a single value."""
    return {"dtype": dtype, "shape": [1], "names": None}


def video(height: int, width: int, fps: int, codec: str, pixels: str) -> dict[str, Any]:
    """The feature of a camera; ``pixels`` is the format of its pixels, in FFmpeg's words."""
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": codec,
            "video.pix_fmt": pixels,
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def schema(features: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    """The Arrow schema of the data files, with the description that Hugging Face's readers want."""
    fields, described = [], {}
    for name, feature in features.items():
        if feature["dtype"] == "video":
            continue
        value = {"dtype": feature["dtype"], "_type": "Value"}
        kind = pa.bool_() if value["dtype"] == "bool" else pa.type_for_alias(value["dtype"])
        if feature["shape"] == [1]:
            described[name] = value
        else:
            (length,) = feature["shape"]
            described[name] = {"feature": value, "length": length, "_type": "Sequence"}
            kind = pa.list_(kind, length)
        fields.append(pa.field(name, kind))
    note = json.dumps({"info": {"features": described}})
    return pa.schema(fields, metadata={"huggingface": note})


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """``tasks.parquet``: pandas reads it with the words as index."""
    index = "__index_level_0__"

    def described(name: str | None, field: str, kind: str, numpy: str) -> dict[str, Any]:
        return {
            "name": name,
            "field_name": field,
            "pandas_type": kind,
            "numpy_type": numpy,
            "metadata": None,
        }

    note = {
        "index_columns": [index],
        "column_indexes": [described(None, "None", "unicode", "object")],
        "columns": [
            described("task_index", "task_index", "int64", "int64"),
            described(None, index, "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table(
        {
            "task_index": pa.array(range(len(tasks)), pa.int64()),
            index: pa.array(tasks, pa.string()),
        }
    )
    return table.replace_schema_metadata({"pandas": json.dumps(note)})


def _flat(names: object) -> list[str]:
    """Names as a list, however they are nested; dictionaries give their values."""
    if isinstance(names, str):
        return [names]
    if isinstance(names, Mapping):
        return [name for value in names.values() for name in _flat(value)]
    if isinstance(names, Sequence):
        return [name for value in names for name in _flat(value)]
    return []
