# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds episodes below a folder: recordings, and data sets in LeRobot's layout alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.catalogue import natural
from magma_ros.episodes.episode import Episode
from magma_ros.episodes.grippers import GripperEnds
from magma_ros.episodes.read import STEP_PERIOD, read_episode

Tell = Callable[[str], object]
"""Takes a sentence about what was left out or accepted all the same."""


def recordings(folder: Path) -> list[Path]:
    """The recordings below a folder, whole or not, or the one that it is; in natural order.

    Raises:
        EpisodeError: There is none.
    """
    if folder.is_file():
        return [folder]
    found = sorted(folder.rglob("*.mcap"), key=natural)
    if not found:
        raise EpisodeError(f"{folder} holds no recording; name the folder of the recorder")
    return found


def read_all(
    folder: Path,
    *,
    period: float = STEP_PERIOD,
    gripper: GripperEnds | None = None,
    skip_broken: bool = False,
    tell: Tell = lambda _: None,
) -> Iterator[Episode]:
    """All episodes of a folder, one at a time.

    Args:
        folder: With recordings somewhere below it, or a LeRobot data set, which keeps its own rate.
        period: Of the rows of recordings [s].
        gripper: See :func:`~read.read_episode`.
        skip_broken: Leave out what cannot be read, and tell so.
        tell: Takes what is doubtful, a sentence at a time.

    Raises:
        EpisodeError: One cannot be read, or there is none.
    """
    if (folder / "meta" / "info.json").is_file():
        from magma_ros.episodes.lerobot.read import open_dataset

        dataset = open_dataset(folder, skip_broken=skip_broken)
        for notice in dataset.notices:
            tell(notice)
        yield from dataset
        return
    for path in recordings(folder):
        try:
            episode = read_episode(path, period=period, gripper=gripper)
        except EpisodeError as error:
            if not skip_broken:
                raise
            tell(f"left out: {error}")
            continue
        for warning in episode.warnings:
            tell(f"{path}: {warning}")
        yield episode
