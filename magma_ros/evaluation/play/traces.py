# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How true traces are: what the policy drew, beside where the marks really went."""

from __future__ import annotations

import numpy as np

from magma_ros.sim.simulation import Simulation
from magma_ros.types import TRACE_GRID, FloatArray, Trace

ROUNDING = 1e-6
"""By which a time may lie after the end of the record and still count [s]."""


class TruePaths:
    """Where the marks of a trace are seen by every camera, as an episode goes on.

    Args:
        simulation: The episode's world, as it is at the beginning.
        target_name: Object that the policy is told about.
    """

    def __init__(self, simulation: Simulation, target_name: str) -> None:
        self._simulation = simulation
        self._target_name = target_name
        self._times: list[float] = []
        self._pixels: dict[str, list[FloatArray]] = {name: [] for name in simulation.cameras}
        self.look()

    def look(self) -> None:
        """Take in where the marks are now; to be called after every environment step."""
        simulation = self._simulation
        self._times.append(simulation.time)
        marks = simulation.ee_pose().position, simulation.object_position(self._target_name)
        for camera, pixels in self._pixels.items():
            pixels.append(np.stack([simulation.project(camera, mark) for mark in marks]))

    def errors(self, stamp: float, trace: Trace) -> FloatArray:
        """Distances between drawn and true positions, on the :data:`TRACE_GRID` grid.

        Args:
            stamp: Time of the observation that the trace answers [s].
            trace: What was drawn.

        Returns:
            (n, 2), columns as in :data:`~magma_ros.types.TRACE_MARKS`; n is the number of points
            whose time came before the episode ended.
        """
        camera = self._simulation.cameras[trace.camera]
        grid = TRACE_GRID / np.array([camera.width, camera.height])
        true = np.stack(self._pixels[trace.camera]) * grid
        when = stamp + np.asarray(trace.times)
        seen = when <= self._times[-1] + ROUNDING
        drawn = np.asarray(trace.points, np.float64)[seen]
        coordinates = [np.interp(when[seen], self._times, c) for c in true.reshape(-1, 4).T]
        there = np.stack(coordinates, axis=1).reshape(drawn.shape)
        return np.asarray(np.linalg.norm(drawn - there, axis=2))
