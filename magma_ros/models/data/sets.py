# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot data sets as demonstrations: cameras, state, actions, words, and labels if any.

A data set whose suite has an expert is made where it is missing. Where its actions are some of
Magma's columns, those that it lacks are zero, and the network learns that nothing moves along them.
Columns named as :mod:`magma_ros.models.data.demonstrations` names them, of where object, goal and
hand are, become labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from rich.progress import track
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import Whitespace

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.lerobot.keys import resolve_keys
from magma_ros.episodes.lerobot.meta import Entry, read_info
from magma_ros.episodes.lerobot.read import LeRobotDataset, open_dataset
from magma_ros.evaluation.suites import find_suite
from magma_ros.models.data.config import DataConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.demonstrations import DemonstrationConfig, demonstrate, settings_of
from magma_ros.models.data.set_columns import SetColumns, space_of
from magma_ros.models.data.shards import DataError
from magma_ros.models.data.words import encode
from magma_ros.models.network.config import PolicyConfig
from magma_ros.types import FloatArray, ImageArray

NetworkShape = TypeVar("NetworkShape", bound=PolicyConfig)

PLACED = ("object", "goal", "hand")
"""What labels are about, in the order of the first heat maps."""

NOWHERE = -1.0
"""Place in the picture of what is not labelled: outside of it, so that no map is drawn for it."""


def make_set(data: DataConfig, *, workers: int = 1) -> Path:
    """Make the data set of a recipe by its suite's experts, if it is not there.

    Raises:
        MagmaError: As :func:`~magma_ros.models.data.demonstrations.demonstrate`, or the recipe asks
            for several suites or for different numbers of episodes, or the data set that is there
            was made with other settings than the recipe's.
    """
    if data.folder.exists():
        if data.episodes and (made := settings_of(data.folder)) is not None:
            _require_settings(data, made)
        return data.folder
    if not data.episodes:
        raise DataError(f"there is no data set in {data.folder}; correct data.folder in the recipe")
    return demonstrate(_demonstration(data), data.folder, workers=workers)


def _demonstration(data: DataConfig) -> DemonstrationConfig:
    """How the data set of a recipe is made.

    Raises:
        DataError: It cannot be.
    """
    counts = {count for tasks in data.episodes.values() for count in tasks.values()}
    if len(data.episodes) > 1 or len(counts) > 1:
        raise DataError(
            f"{data.folder} can be made only of one suite with as many episodes of every task; "
            "make it by magma data demonstrate, and name no episodes in the recipe"
        )
    (suite,) = data.episodes
    return DemonstrationConfig(
        suite,
        tuple(data.episodes[suite]),
        episodes=counts.pop(),
        rate=data.rate,
        noise=data.noise,
        seed=data.seed,
    )


def _require_settings(data: DataConfig, made: Mapping[str, Any]) -> None:
    """Refuse a data set that was ``made`` with other settings than the recipe's.

    Raises:
        DataError: It was.
    """
    config = _demonstration(data)
    tasks = made.get("tasks") or find_suite(config.suite).tasks  # none are all
    there = {**made, "tasks": sorted(map(str, tasks))}
    wanted = {"after": None} | config.to_json() | {"tasks": sorted(config.tasks)}
    for name, asked in wanted.items():
        if there.get(name) != asked:
            said = "other tasks" if name == "tasks" else f"{name} {there.get(name)}, not {asked}"
            raise DataError(
                f"{data.folder} was made with {said}, as the recipe has it; give data.folder "
                "another one, or delete this one to make it anew"
            )


def words_of(*folders: Path, skip_damaged: bool = False) -> tuple[str, ...]:
    """All words of the instructions of data sets, sorted.

    Args:
        folders: The data sets.
        skip_damaged: Whether some of their episodes may be damaged.

    Raises:
        LeRobotError: One is no data set, or damaged.
    """
    split = Whitespace().pre_tokenize_str
    sets = [open_dataset(folder, skip_broken=skip_damaged) for folder in folders]
    texts = {text.lower() for dataset in sets for text in dataset.tasks.values()}
    return tuple(sorted({word for text in texts for word, _ in split(text)}))


def spaced(network: NetworkShape, folder: Path) -> NetworkShape:
    """The network with the action space of a data set, unless its recipe says which it has.

    Raises:
        DataError: The names of the actions make no space.
        LeRobotError: It is no data set, or damaged.
    """
    if "action" in network.model_fields_set:
        return network
    info = read_info(folder)
    keys = resolve_keys(folder, info, {}, [])
    measured = info.features[keys.state].labels("state") if keys.state else ()
    space = space_of(folder, info.features[keys.action].labels("action"), measured)
    return network.model_copy(update={"action": space})


def read_set(data: DataConfig, network: PolicyConfig, tokenizer: Tokenizer) -> Demonstrations:
    """Read the data set of a recipe, and those that it names under ``more``.

    Raises:
        DataError: The network takes what one does not hold, or plans other actions.
        LeRobotError: One is damaged.
    """
    folders = data.folder, *data.more
    return Demonstrations.joined([_read(folder, data, network, tokenizer) for folder in folders])


def _read(
    folder: Path, data: DataConfig, network: PolicyConfig, tokenizer: Tokenizer
) -> Demonstrations:
    dataset = open_dataset(folder, skip_broken=data.skip_damaged)
    _check(dataset, data, network)
    columns = SetColumns.of(dataset, network, degrees=data.degrees)
    ends = np.cumsum([entry.length for entry in dataset.entries])
    images = {
        camera.name: np.empty((ends[-1], camera.height, camera.width, 3), np.uint8)
        for camera in network.cameras
    }

    def read_episode(entry: Entry, end: int) -> Demonstrations:
        episode = dataset.episode(entry)
        for name, block in images.items():
            _fill(episode, name, block[end - len(episode) : end])
        return _columns(episode, columns, network, tokenizer)

    # Videos are decoded without the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        parts = pool.map(read_episode, dataset.entries, ends)
        watched = track(parts, "[bold]reading", total=len(dataset), transient=True)
        joined = Demonstrations.joined(list(watched))
    return joined.with_images({name: (block,) for name, block in images.items()})


def _check(dataset: LeRobotDataset, data: DataConfig, network: PolicyConfig) -> None:
    """Refuse another rate, and a network that sees or draws what the data set does not show."""
    folder = dataset.folder
    if dataset.fps != data.rate:
        raise DataError(f"{folder} has {dataset.fps:g} rows a second; set data.rate to that")
    for camera in network.cameras:
        if camera.name not in dataset.cameras:
            known = ", ".join(dataset.cameras)
            raise DataError(f"network.cameras: {folder} has no camera {camera.name}, but {known}")
    if network.trace is not None or network.point is not None:
        raise DataError("network.trace and network.point: data sets hold no marks; remove them")


def _fill(episode: Episode, camera: str, images: ImageArray) -> None:
    """Decode the pictures of a camera into ``images``, in the size of the network's input."""
    size = images.shape[2], images.shape[1]
    for row, picture in episode.pictures(camera):
        fits = picture.shape[1::-1] == size
        images[row] = picture if fits else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _columns(
    episode: Episode, columns: SetColumns, network: PolicyConfig, tokenizer: Tokenizer
) -> Demonstrations:
    """Everything of an episode but its pictures."""
    count = len(episode)
    left = np.arange(count)[::-1]
    pixels = _labels(episode, "pixel", (count, len(PLACED), 2), NOWHERE)
    places = _labels(episode, "position", (count, len(PLACED), 3), np.nan)
    positions = np.concatenate([places[:, 0] - places[:, 2], places[:, 1] - places[:, 2]], axis=1)
    return Demonstrations(
        chunk_length=network.chunk_length,
        images={},
        tokens=encode(tokenizer, list(episode.instructions), network.max_tokens),
        actions=columns.actions(episode),  # before what is measured by the actions' ends
        proprioception=columns.measured(episode),
        valid=np.minimum(left + 1, network.chunk_length),
        positions=positions.astype(np.float32),
        pixels={camera.name: pixels for camera in network.cameras},
        traces=np.empty((count, 0, 2, 2), np.float32),
        traced=np.empty((count, 0), np.bool_),
        since=np.arange(count),
        moves=np.zeros(count, np.bool_),
        marked=np.empty((count, 0, network.max_tokens), np.int64),
        points=np.full((count, 3), np.nan, np.float32),
        weights=np.ones(count, np.int64),
    )


def _labels(episode: Episode, kind: str, shape: Sequence[int], missing: float) -> FloatArray:
    """Labels of one kind, or ``missing`` where the data set has none."""
    found = [episode.extra.get(f"{what}_{kind}") for what in PLACED]
    labels = np.full(shape, missing, np.float32)
    for index, column in enumerate(found):
        if column is not None:
            labels[:, index] = column
    return labels
