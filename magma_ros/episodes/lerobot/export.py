# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns episodes into a LeRobotDataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.episode import GUARD, Episode
from magma_ros.episodes.lerobot.write import DatasetWriter


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        folder: The data set.
        episodes: How many.
        frames: Rows in all.
        left_out: What was not, a sentence each.
    """

    folder: Path
    episodes: int
    frames: int
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"folder": str(self.folder)}


def export(
    episodes: Iterable[Episode],
    folder: Path,
    *,
    codec: str = "av1",
    robot_type: str = "magma_ros",
    task: str = "",
    trim: bool = False,
    skip_broken: bool = False,
    advance: Callable[[Episode], object] = lambda _: None,
) -> Exported:
    """Write episodes as a LeRobotDataset v3.0.

    Rows before the first instruction are left out.

    Args:
        episodes: What to write.
        folder: The data set; must not exist.
        codec: Of the videos; see :class:`~write.DatasetWriter`.
        robot_type: Name of the robot.
        task: Instruction of episodes that have none.
        trim: Leave out the rows before somebody drove first, and after somebody drove last.
        skip_broken: Leave out episodes that differ from the first or have no instruction.
        advance: Called with each episode that was written.

    Raises:
        EpisodeError: An episode cannot be written, or there is none.
    """
    left_out: list[str] = []
    count = frames = 0
    with DatasetWriter(folder, codec=codec, robot_type=robot_type) as writer:
        for episode in episodes:
            try:
                told = _told(_driven(episode) if trim else episode, task)
                writer.add(told)
            except EpisodeError as error:
                # What fails half-way through its pictures is in the files already.
                if not skip_broken or writer.spoilt:
                    raise
                left_out.append(str(error))
                continue
            count, frames = count + 1, frames + len(told)
            advance(told)
        if not count:
            reasons = f": {left_out[0]}" if left_out else ""
            raise EpisodeError(f"no episode can be written into {folder}{reasons}")
    return Exported(folder, count, frames, tuple(left_out))


def _driven(episode: Episode) -> Episode:
    """From the first row that the policy or a person drove to the last one."""
    rows = [row for row, source in enumerate(episode.sources) if source != GUARD]
    if not rows:
        raise EpisodeError(f"nobody drove in {episode.name}")
    return episode.part(slice(rows[0], rows[-1] + 1))


def _told(episode: Episode, task: str) -> Episode:
    """The rows from the first instruction on, or all with ``task`` where there is none."""
    first = next((row for row, text in enumerate(episode.instructions) if text), None)
    if first is not None:
        return episode.part(slice(first, None))
    if not task:
        raise EpisodeError(f"{episode.name} has no instruction; name one with --task")
    return replace(episode, instructions=(task,) * len(episode))
