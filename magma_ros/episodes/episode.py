# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode as rows of one clock, wherever it was recorded: what was seen, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.events import Event, Outcome
from magma_ros.spaces import ACTION_DIMS
from magma_ros.types import FloatArray, ImageArray, Source

HUMAN, POLICY, GUARD = "human", "policy", "guard"
"""Who drove in a row; the guard is named where it let nobody, or where nobody knows."""


def driver(source: str) -> str:
    """Who drove, from the guard's word for it (:class:`magma_ros.types.Source`)."""
    return {Source.TELEOP.value: HUMAN, Source.POLICY.value: POLICY}.get(source, GUARD)


Look = Callable[[str, Sequence[int]], Iterator[tuple[int, ImageArray]]]
"""Reads a camera's pictures in some rows, in the order given, which increases."""


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One episode in T rows, a fixed period apart; row k covers ``[times[k], times[k] + period)``.

    Attributes:
        name: Where it was read from.
        period: Period of the clock [s].
        times: (T,) beginnings of the rows, on the clock of the messages' stamps [s].
        cameras: Names of its cameras.
        look: Reads their pictures; see :meth:`pictures`.
        picture_ages: Age of each camera's picture in each row, (T,) [s].
        fields: Names of the columns of ``proprioception``; those that nothing measured are left
            out.
        proprioception: (T, P) float32, at the beginning of the row.
        instructions: What the robot was told, a text for each row; empty before the first.
        points: (T, 2) column and row of the place that the instruction names, on a grid of 256
            across the picture of :attr:`point_camera`; nan for none.
        point_camera: The camera that the points lie in; empty for none.
        actions: (T, D) float32, what the guard sent during the row. Of an arm led by twists,
            :data:`magma_ros.spaces.ACTION_DIMS`: displacement [m] and rotation vector [rad] in the
            base frame, and the opening asked of the gripper. Of one commanded joint by joint, the
            position of each joint at the row's end [rad or m], and of the gripper, if any.
        sources: Who drove: :data:`POLICY`, :data:`HUMAN` or :data:`GUARD`.
        interventions: (T,) whether a person had taken over (mode TELEOP).
        modes: The guard's mode, empty before it was heard.
        depths: (T,) exit of the plan that was followed; 0 where the policy did not drive.
        outcome: What became of the task, and what a person said of the episode.
        events: What happened when, in order.
        methods: How each column was brought to the clock, as a phrase.
        warnings: What is missing or doubtful, a sentence each.
        action_names: Names of the columns of ``actions``, which in recordings made elsewhere are
            other ones, in units of theirs.
        extra: Columns of such recordings that are none of the above, (T, ...), by their names.
        begin: Number of the first row for ``look``; see :meth:`part`.
    """

    name: str
    period: float
    times: FloatArray
    cameras: tuple[str, ...]
    look: Look
    picture_ages: Mapping[str, FloatArray]
    fields: tuple[str, ...]
    proprioception: FloatArray
    instructions: tuple[str, ...]
    points: FloatArray
    point_camera: str
    actions: FloatArray
    sources: tuple[str, ...]
    interventions: npt.NDArray[np.bool_]
    modes: tuple[str, ...]
    depths: npt.NDArray[np.int64]
    outcome: Outcome
    events: tuple[Event, ...]
    methods: Mapping[str, str]
    warnings: tuple[str, ...]
    action_names: tuple[str, ...] = ACTION_DIMS
    extra: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    begin: int = 0

    def __len__(self) -> int:
        """The number of rows T."""
        return len(self.times)

    @property
    def fps(self) -> float:
        """Rows a second [Hz]."""
        return 1.0 / self.period

    @property
    def instruction(self) -> str:
        """The instruction of most rows, or ''."""
        told = [text for text in self.instructions if text]
        return max(sorted(set(told)), key=told.count) if told else ""

    def share(self, source: str) -> float:
        """The share of the rows in which ``source`` drove, 0 to 1."""
        return self.sources.count(source) / len(self.sources) if self.sources else 0.0

    def pictures(
        self, camera: str, rows: Sequence[int] | None = None
    ) -> Iterator[tuple[int, ImageArray]]:
        """A camera's picture in some rows, with the rows' numbers; one is held at a time.

        Args:
            camera: Its name.
            rows: Numbers of the rows, or None for all. They come in increasing order.

        Yields:
            The row and its picture, (H, W, 3) uint8 RGB.

        Raises:
            EpisodeError: There is no such camera, or a picture is damaged.
        """
        if camera not in self.cameras:
            known = ", ".join(self.cameras) or "none"
            raise EpisodeError(f"{self.name} has no camera {camera!r}; there is {known}")
        wanted = sorted(range(len(self)) if rows is None else rows)
        shifted = [self.begin + row for row in wanted]
        for row, picture in self.look(camera, shifted):
            yield row - self.begin, picture

    def part(self, rows: slice) -> Episode:
        """Some consecutive rows as an episode of their own, its events and warnings those of all.

        Args:
            rows: A slice without a step.
        """
        begin, _, _ = rows.indices(len(self))
        return replace(
            self,
            begin=self.begin + begin,
            extra={name: column[rows] for name, column in self.extra.items()},
            times=self.times[rows],
            picture_ages={name: ages[rows] for name, ages in self.picture_ages.items()},
            proprioception=self.proprioception[rows],
            instructions=self.instructions[rows],
            points=self.points[rows],
            actions=self.actions[rows],
            sources=self.sources[rows],
            interventions=self.interventions[rows],
            modes=self.modes[rows],
            depths=self.depths[rows],
        )
