# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a LeRobotDataset, 2.1 or 3.0, as episodes; what is wrong with it is named, not mangled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.lerobot.checks import Checks
from magma_ros.episodes.lerobot.keys import Keys, resolve_keys, resolve_videos
from magma_ros.episodes.lerobot.layout import Info, LeRobotError
from magma_ros.episodes.lerobot.meta import Entry, read_entries, read_info, read_tasks
from magma_ros.episodes.lerobot.rows import episode_of, read_rows
from magma_ros.episodes.lerobot.spans import ranges

MOST_NAMED = 8
"""Most causes that are named in one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class LeRobotDataset:
    """A data set, opened: its rows are read an episode at a time, its pictures one at a time.

    Attributes:
        folder: Where it is.
        info: What it says of itself.
        fps: Rows a second [Hz].
        keys: Which columns are state, action and pictures.
        fields: Names of the state's entries.
        action_names: Names of the action's entries.
        tasks: The words of each task.
        entries: The episodes that are whole.
        broken: What is wrong with the others, by their numbers.
        notices: What is unusual and was accepted, a sentence each.
    """

    folder: Path
    info: Info
    fps: float
    keys: Keys
    fields: tuple[str, ...]
    action_names: tuple[str, ...]
    tasks: Mapping[int, str]
    entries: tuple[Entry, ...]
    broken: Mapping[int, str]
    notices: tuple[str, ...]

    def __len__(self) -> int:
        """The number of whole episodes."""
        return len(self.entries)

    def __iter__(self) -> Iterator[Episode]:
        """The whole episodes, in order."""
        return (self.episode(entry) for entry in self.entries)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self.keys.cameras)

    def episode(self, entry: Entry) -> Episode:
        """One of :attr:`entries` as rows.

        Raises:
            LeRobotError: It has become damaged since the data set was opened.
        """
        return episode_of(
            self.folder,
            info=self.info,
            fps=self.fps,
            keys=self.keys,
            tasks=self.tasks,
            entry=entry,
            table=read_rows(entry),
        )


def open_dataset(
    folder: Path,
    *,
    skip_broken: bool = False,
    fps: float | None = None,
    task: str = "",
    keys: Mapping[str, str] | None = None,
    advance: Callable[[int, int], object] = lambda _done, _all: None,
) -> LeRobotDataset:
    """Open a data set, and look over every episode: rows, times, tasks, numbers and videos.

    Args:
        folder: With ``meta/info.json`` in it.
        skip_broken: Leave out the episodes that are broken instead of refusing the data set.
        fps: Rows a second [Hz] where the info's is wrong.
        task: Instruction where the tasks are missing.
        keys: Which of its features are ``observation.state`` and ``action``, where they have other
            names than those known.
        advance: Called with the episodes looked at so far and their number.

    Raises:
        LeRobotError: It is no data set, lacks state or action, an episode is broken, or none is
            whole; the sentence names the episodes and what is wrong with them.
    """
    info = read_info(folder)
    notices: list[str] = []
    found = resolve_keys(folder, info, dict(keys or {}), notices)
    tasks = read_tasks(folder)
    if not tasks and not task:
        raise LeRobotError(f"{folder} has no list of tasks, so what was done is not known; name it")
    entries = resolve_videos(folder, read_entries(folder, info), notices)
    rate, words = fps or info.fps, {**tasks, **({-1: task} if task else {})}
    checks = Checks(info, found, rate, words, notices)
    broken: dict[int, str] = {}
    for number, entry in enumerate(entries):
        if problem := checks.problem(entry):
            broken[entry.index] = problem
        advance(number + 1, len(entries))
    numbers = {entry.index for entry in entries}
    for index in sorted(set(range(info.total_episodes)) - numbers):
        broken[index] = "it is not in the list of episodes"
    whole = tuple(entry for entry in entries if entry.index not in broken)
    if broken and (not skip_broken or not whole):
        remedy = "none is left" if not whole else "leave them out with --skip-broken"
        raise LeRobotError(f"{folder}: {broken_sentence(broken)}; {remedy}")
    if not whole:
        raise LeRobotError(f"{folder} holds no episode")
    return LeRobotDataset(
        folder=folder,
        info=info,
        fps=rate,
        keys=found,
        fields=info.features[found.state].labels("state") if found.state else (),
        action_names=info.features[found.action].labels("action"),
        tasks=words,
        entries=whole,
        broken=broken,
        notices=tuple(dict.fromkeys(notices)),
    )


def broken_sentence(broken: Mapping[int, str]) -> str:
    """Which episodes are broken and why, those with one cause together."""
    causes: dict[str, list[int]] = {}
    for index, problem in sorted(broken.items()):
        causes.setdefault(problem, []).append(index)
    named = [
        f"episode{'s' if len(indices) > 1 else ''} {ranges(indices)}: {cause}"
        for cause, indices in causes.items()
    ]
    rest = len(named) - MOST_NAMED
    shown = "; ".join(named[:MOST_NAMED])
    return f"{shown}; and {rest} more causes" if rest > 0 else shown
