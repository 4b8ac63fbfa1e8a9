# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of traces: what the policy drew, beside where the marks really went."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from magma_ros.evaluation.world import KnowsMarks
from magma_ros.types import FloatArray, Trace

ROUNDING = 1e-6
"""By which a time may lie after the end of the record and still count [s]."""


class TimedMarks(KnowsMarks, Protocol):
    """A world that tells where the marks are, and when."""

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        ...


class TruePaths:
    """Records where every camera sees the marks of a trace, as an episode goes on.

    Args:
        world: The episode's world, as it is at the beginning.
        swapped: Whether the target is the object that the swapped instruction names.
    """

    def __init__(self, world: TimedMarks, *, swapped: bool) -> None:
        self._world = world
        self._swapped = swapped
        self._times: list[float] = []
        self._marks: dict[str, list[FloatArray]] = {}
        self.sample()

    def sample(self) -> None:
        """Record the present positions; to be called once a step of an action chunk."""
        self._times.append(self._world.time)
        for camera, marks in self._world.trace_marks(swapped=self._swapped).items():
            self._marks.setdefault(camera, []).append(marks)

    def errors(self, stamp: float, trace: Trace) -> FloatArray:
        """Distances between drawn and true positions, on the trace grid.

        Args:
            stamp: Time of the observation that the trace answers [s].
            trace: What was drawn.

        Returns:
            (n, 2), columns as in :data:`~magma_ros.types.TRACE_MARKS`; n is the number of points
            whose time came before the episode ended.
        """
        true = np.stack(self._marks[trace.camera])
        when = stamp + np.asarray(trace.times)
        seen = when <= self._times[-1] + ROUNDING
        drawn = np.asarray(trace.points, np.float64)[seen]
        coordinates = [np.interp(when[seen], self._times, c) for c in true.reshape(-1, 4).T]
        there = np.stack(coordinates, axis=1).reshape(drawn.shape)
        return np.asarray(np.linalg.norm(drawn - there, axis=2))
