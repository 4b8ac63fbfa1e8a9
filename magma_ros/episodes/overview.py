# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode at a glance, and in detail: who drove, what happened, what was recorded how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.episodes import topics
from magma_ros.episodes.collector import Collector
from magma_ros.episodes.episode import driver
from magma_ros.episodes.events import Event, Outcome, labelled
from magma_ros.episodes.labels import read_label
from magma_ros.episodes.messages import Bag

_TOLD = (
    topics.INSTRUCTION,
    topics.GUARD_MODE,
    topics.TASK_STATUS,
    topics.EPISODE_LABEL,
    topics.POLICY_HELP,
)
"""What an overview is made of: little, so that a long recording is not read through for it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What happened in an episode.

    Attributes:
        instruction: The last one.
        shares: Share of the time in which each of ``policy``, ``human`` and ``guard`` drove.
        interventions: Begin and end of each stretch in TELEOP [s since the episode's start].
        outcome: What became of it.
        events: What happened when; times in seconds since the episode's start.
    """

    instruction: str
    shares: Mapping[str, float]
    interventions: tuple[tuple[float, float], ...]
    outcome: Outcome
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class TopicFigures:
    """How well a topic was recorded: messages, mean rate [Hz], and the longest gap [s]."""

    name: str
    type: str
    messages: int
    rate: float
    longest_gap: float


@dataclass(frozen=True, slots=True)
class Report:
    """One episode in detail.

    Attributes:
        path: The MCAP file.
        start: When it begins [s].
        duration: How long it is [s].
        overview: What happened.
        topics: What was recorded.
    """

    path: Path
    start: float
    duration: float
    overview: Overview
    topics: tuple[TopicFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"path": str(self.path)}


def overview(bag: Bag, namespace: str | None = None) -> Overview:
    """Read what happened.

    Raises:
        EpisodeError: The file is damaged, or several robots were recorded.
    """
    collector = Collector(bag, topics.find_namespace(bag.types, namespace), {})
    for message in bag.messages([collector.places[name] for name in _TOLD]):
        collector.add(message)
    found = collector.found
    told = [text for _, (_, text) in found[collector.places[topics.INSTRUCTION]]]
    modes = [(heard, value) for heard, (_, value) in found[collector.places[topics.GUARD_MODE]]]
    return Overview(
        instruction=told[-1] if told else "",
        shares=_shares(modes, bag),
        interventions=_stretches(modes, bag),
        outcome=read_label(bag.path, labelled(Outcome(collector.task), collector.labels)),
        events=tuple(
            Event(event.time - bag.start, event.kind, event.text)
            for event in sorted(collector.events, key=lambda event: event.time)
        ),
    )


def report(path: Path, namespace: str | None = None) -> Report:
    """Read through an episode.

    Args:
        path: The MCAP file, or the folder of one episode.
        namespace: The robot's namespace; None for the only one.

    Raises:
        EpisodeError: It cannot be read, or several robots were recorded.
    """
    bag = Bag(path)
    heard: dict[str, list[float]] = {name: [] for name in bag.types}
    for message in bag.messages():
        heard.setdefault(message.topic, []).append(message.logged)
    figures = tuple(
        _figures(name, bag.types.get(name, ""), times) for name, times in sorted(heard.items())
    )
    return Report(bag.path, bag.start, bag.end - bag.start, overview(bag, namespace), figures)


def _figures(name: str, kind: str, times: Sequence[float]) -> TopicFigures:
    gaps = np.diff(times)
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    rate = len(gaps) / span if span > 0.0 else 0.0
    return TopicFigures(name, kind, len(times), rate, float(gaps.max()) if len(gaps) else 0.0)


def _spans(modes: Sequence[tuple[float, Any]], bag: Bag) -> list[tuple[float, Any]]:
    """How long each mode lasted [s]."""
    if not modes:
        return []
    ends = [*(time for time, _ in modes[1:]), bag.end]
    return [(end - begin, value) for (begin, value), end in zip(modes, ends, strict=True)]


def _shares(modes: Sequence[tuple[float, Any]], bag: Bag) -> dict[str, float]:
    lasted: dict[str, float] = {}
    for length, (_, source, _) in _spans(modes, bag):
        lasted[driver(source)] = lasted.get(driver(source), 0.0) + length
    total = sum(lasted.values())
    return {name: length / total for name, length in lasted.items()} if total > 0.0 else {}


def _stretches(modes: Sequence[tuple[float, Any]], bag: Bag) -> tuple[tuple[float, float], ...]:
    """The stretches in TELEOP, those that follow each other as one [s since the start]."""
    found: list[tuple[float, float]] = []
    for (begin, (mode, _, _)), (length, _) in zip(modes, _spans(modes, bag), strict=True):
        if mode != "TELEOP":
            continue
        start = begin - bag.start
        if found and abs(found[-1][1] - start) < 1e-6:
            start = found.pop()[0]
        found.append((start, begin - bag.start + length))
    return tuple(found)
