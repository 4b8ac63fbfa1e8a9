# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which columns of a data set are state, action and pictures, under whatever names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.episodes.lerobot import layout
from magma_ros.episodes.lerobot.layout import Info, LeRobotError
from magma_ros.episodes.lerobot.meta import Entry, VideoPart, is_there

ALIASES = {
    layout.STATE: ("state", "states", "observation.states", "observation.qpos"),
    layout.ACTION: ("actions", "action.actions"),
}
"""Other names in use for the same."""

_PREFIXES = (layout.IMAGES, "observation.image.", "observation.", "images.", "image.")

_OWN = {
    layout.INTERVENTION: ("bool",),
    layout.DEPTH: ("int64", "int32"),
    layout.POINT: ("float32", "float64"),
    layout.SOURCE: ("string",),
    layout.VERDICT: ("string",),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What is called how in a data set.

    Attributes:
        state: Key of the state; empty for none.
        action: Key of the action.
        cameras: Key of each camera, by the camera's name.
        own: Those of the columns of :mod:`layout` beside LeRobot's own that it has.
        extra: All other columns.
    """

    state: str
    action: str
    cameras: Mapping[str, str]
    own: tuple[str, ...]
    extra: tuple[str, ...]


def resolve_keys(folder: Path, info: Info, chosen: Mapping[str, str], notices: list[str]) -> Keys:
    """Find state, action and pictures.

    Args:
        folder: The data set, for messages.
        info: What it says of itself.
        chosen: Key of ``observation.state`` and ``action`` where a person knows.
        notices: Takes what is unusual.

    Raises:
        LeRobotError: There is no action, or state or action are no vectors.
    """
    features = info.features
    found = {name: _find(folder, info, name, chosen, notices) for name in ALIASES}
    if not found[layout.ACTION]:
        raise LeRobotError(
            f"{folder} has no {layout.ACTION}; its features are {', '.join(features)}"
        )
    if not found[layout.STATE]:
        notices.append(f"it has no {layout.STATE}")
    for key in filter(None, found.values()):
        if len(features[key].shape) != 1 or features[key].dtype in ("string", "video", "image"):
            raise LeRobotError(f"{folder}: {key} is no vector of numbers")
        if features[key].names and _numbered(info, key):
            notices.append(f"the names of {key} do not fit its shape, so its entries are numbered")
    cameras = {_camera(key): key for key, feature in features.items() if feature.is_camera}
    own = tuple(k for k, kinds in _OWN.items() if k in features and features[k].dtype in kinds)
    known = {*found.values(), *cameras.values(), *own, *layout.COUNTERS}
    extra = tuple(key for key in features if key not in known)
    if extra:
        notices.append(f"kept as they are: {', '.join(extra)}")
    return Keys(found[layout.STATE], found[layout.ACTION], cameras, own, extra)


def _find(
    folder: Path, info: Info, name: str, chosen: Mapping[str, str], notices: list[str]
) -> str:
    if name in chosen:
        if chosen[name] not in info.features:
            raise LeRobotError(
                f"{folder} has no {chosen[name]}; its features are {', '.join(info.features)}"
            )
        return chosen[name]
    for key in (name, *ALIASES[name]):
        if key in info.features:
            if key != name:
                notices.append(f"{key} is taken for {name}")
            return key
    return ""


def _camera(key: str) -> str:
    for prefix in _PREFIXES:
        if key.startswith(prefix) and len(key) > len(prefix):
            return key.removeprefix(prefix).replace("/", "_")
    return key.replace("/", "_")


def _numbered(info: Info, key: str) -> bool:
    return info.features[key].labels("entry")[0] == "entry_0"


def resolve_videos(folder: Path, entries: list[Entry], notices: list[str]) -> list[Entry]:
    """Find videos that lie in ``video/`` where the info says ``videos/``, or the other way."""
    moved = []
    for entry in entries:
        parts = {}
        for key, part in entry.videos.items():
            parts[key] = part
            elsewhere = _elsewhere(folder, part.path)
            if not is_there(part.path) and is_there(elsewhere):
                parts[key] = VideoPart(elsewhere, part.start)
                names = (path.relative_to(folder).parts[0] for path in (elsewhere, part.path))
                notices.append("its videos lie in {}/, where its info says {}/".format(*names))
        moved.append(replace(entry, videos=parts))
    return moved


def _elsewhere(folder: Path, path: Path) -> Path:
    if not path.is_relative_to(folder):
        return path
    first, *rest = path.relative_to(folder).parts
    return folder.joinpath("video" if first == "videos" else "videos", *rest)


@lru_cache(maxsize=8)
def _schema(path: Path, changed: int) -> pa.Schema:
    """What a file holds; kept, because thousands of episodes may share it."""
    del changed  # part of the key
    return pq.read_schema(path)


def stored_columns(entry: Entry) -> set[str]:
    """The columns that are really in the file of an episode's rows.

    Raises:
        LeRobotError: The file is damaged.
    """
    try:
        return set(_schema(entry.data, entry.data.stat().st_mtime_ns).names)
    except (pa.ArrowException, OSError) as error:
        raise LeRobotError("the file of its rows is damaged") from error
