# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers for the things in a picture that stay with them: Set-of-Mark over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from magma_ros.perception.proposals import Proposal
from magma_ros.types import FloatArray

_COLOUR = 0.15
"""Difference in the share of red and green beyond which two things are not the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One numbered thing in a camera's picture.

    Attributes:
        number: From 1.
        point: Column and row inside it, 0 to 256 across the picture.
        outline: (N, 2) columns and rows of its corners, likewise.
    """

    number: int
    point: tuple[float, float]
    outline: FloatArray


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """When two sightings are of the same thing.

    Attributes:
        gate: Greatest distance between them, in the unit of :attr:`Proposal.position`.
        patience: How long a thing that is not seen keeps its number [s].
        sightings: Times a thing must be seen before it gets a number.
    """

    gate: float = 0.08
    patience: float = 10.0
    sightings: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """A thing that has been seen; ``number`` is 0 before it has one."""

    proposal: Proposal
    seen: float
    sightings: int = 1
    number: int = 0


class MarkTracker:
    """Gives every thing a number, and the same one for as long as it is there.

    A thing is known again by where it was and by its colour: first near its last place, then, for
    what was carried while hidden, anywhere, if it is the only one of its colour that is missing.
    New things are numbered from left to right with the smallest numbers that are free.
    """

    def __init__(self, config: TrackConfig | None = None) -> None:
        self._config = config or TrackConfig()
        self._tracks: list[_Track] = []
        self._now = -math.inf

    def clear(self) -> None:
        """Forget everything; the next things are numbered from 1."""
        self._tracks = []

    def update(self, proposals: Sequence[Proposal], now: float) -> list[Mark]:
        """The marks of what was seen at ``now`` [s], by number.

        If time jumps back, everything is numbered anew.
        """
        if now < self._now:
            self.clear()
        self._now = now
        self._tracks = [t for t in self._tracks if now - t.seen <= self._config.patience]
        left = self._continue(proposals, now)
        self._tracks += [_Track(proposal, now) for proposal in left]
        self._number()
        return [
            Mark(track.number, track.proposal.point, track.proposal.outline)
            for track in sorted(self._tracks, key=lambda track: track.number)
            if track.number and track.seen == now
        ]

    def _continue(self, proposals: Sequence[Proposal], now: float) -> list[Proposal]:
        """Carry the tracks on with what is seen of the same things; gives what is new."""
        taken = self._near(proposals)
        rest = [column for column in range(len(proposals)) if column not in taken.values()]
        lost = [row for row, t in enumerate(self._tracks) if t.number and row not in taken]
        for column in rest:
            alike = [row for row in lost if _alike(self._tracks[row].proposal, proposals[column])]
            rivals = [other for other in rest if _alike(proposals[other], proposals[column])]
            if len(alike) == len(rivals) == 1:
                taken[alike[0]] = column
        for row, column in taken.items():
            track = self._tracks[row]
            self._tracks[row] = replace(
                track, proposal=proposals[column], seen=now, sightings=track.sightings + 1
            )
        return [p for column, p in enumerate(proposals) if column not in taken.values()]

    def _near(self, proposals: Sequence[Proposal]) -> dict[int, int]:
        """The proposal that each track goes on with, so that the distances are least in all."""
        if not self._tracks or not proposals:
            return {}
        known = [track.proposal for track in self._tracks]
        gate, far = self._config.gate, 10.0 * self._config.gate
        costs = np.array([[_distance(old, new, far) for new in proposals] for old in known])
        costs[costs > gate] = far
        pairs = zip(*(indices.tolist() for indices in linear_sum_assignment(costs)), strict=True)
        return {row: column for row, column in pairs if costs[row, column] <= gate}

    def _number(self) -> None:
        """Give numbers to what has been seen often enough, from left to right."""
        due = [
            index
            for index, track in enumerate(self._tracks)
            if not track.number and track.sightings >= self._config.sightings
        ]
        used = {track.number for track in self._tracks}
        for index in sorted(due, key=lambda index: self._tracks[index].proposal.point):
            number = next(n for n in range(1, len(used) + 2) if n not in used)
            used.add(number)
            self._tracks[index] = replace(self._tracks[index], number=number)


def _distance(one: Proposal, other: Proposal, far: float) -> float:
    """Between two sightings; ``far`` if they differ in colour."""
    apart = float(np.linalg.norm(one.position - other.position))
    return apart if _alike(one, other) else far


def _alike(one: Proposal, other: Proposal) -> bool:
    return float(np.abs(one.colour - other.colour).max()) <= _COLOUR
