# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which recordings a folder holds, and in what state they are."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader

from magma_ros.episodes.bag import METADATA, EpisodeError
from magma_ros.episodes.messages import Bag
from magma_ros.episodes.overview import Overview, overview

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """One recording at a glance.

    Attributes:
        path: The MCAP file.
        size: Its size [bytes].
        problem: Why it is no whole bag, with the remedy; empty if it is one.
        start: Earliest log time [s], or None without an index.
        duration: Time from the first to the last message [s], or None.
        messages: Number of messages, or None.
        topics: Number of topics with messages, or None.
        happened: What happened in it, or None if that cannot be read.
    """

    path: Path
    size: int
    problem: str = ""
    start: float | None = None
    duration: float | None = None
    messages: int | None = None
    topics: int | None = None
    happened: Overview | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"path": str(self.path)}


def episodes(directory: Path) -> tuple[EpisodeSummary, ...]:
    """All recordings below a folder, in the order of their paths.

    Raises:
        EpisodeError: There is no such folder.
    """
    if not directory.is_dir():
        raise EpisodeError(f"{directory} is no folder; name the one that the recorder writes into")
    return tuple(_summary(path) for path in sorted(directory.rglob("*.mcap"), key=natural))


def _summary(path: Path) -> EpisodeSummary:
    """Read from the index, and from the few messages that say what happened."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            found = make_reader(file).get_summary()
    except (McapError, OSError, struct.error, ValueError, OverflowError):
        found = None
    if found is None or found.statistics is None:
        problem = f"cut off or damaged; run magma episodes recover {path}"
        return EpisodeSummary(path, size, problem)
    statistics = found.statistics
    counts = statistics.channel_message_counts.values()
    return EpisodeSummary(
        path,
        size,
        ""
        if (path.parent / METADATA).is_file()
        else f"{METADATA} is missing; run magma episodes recover {path}",
        start=statistics.message_start_time / SECOND,
        duration=(statistics.message_end_time - statistics.message_start_time) / SECOND,
        messages=statistics.message_count,
        topics=sum(count > 0 for count in counts),
        happened=_happened(path),
    )


def _happened(path: Path) -> Overview | None:
    try:
        return overview(Bag(path))
    except EpisodeError:  # such as several robots in one recording; show says it
        return None


def natural(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Sorts ``episode_10`` after ``episode_9``."""
    words = str(path).replace("/", "_").replace(".", "_").split("_")
    return tuple((w.isdecimal(), int(w) if w.isdecimal() else 0, w) for w in words)
