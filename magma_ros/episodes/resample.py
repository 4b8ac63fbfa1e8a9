# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Brings what was recorded at many rates to the ticks of one clock; numbers only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation, Slerp

from magma_ros.types import FloatArray

IntArray = npt.NDArray[np.int64]


def newest(times: FloatArray, ticks: FloatArray) -> IntArray:
    """Index of the newest value not later than each tick; -1 where there is none yet.

    Args:
        times: (N,) times of the values [s], not decreasing.
        ticks: (T,) times asked for [s].
    """
    return np.searchsorted(times, ticks, side="right").astype(np.int64) - 1


def best_phase(times: FloatArray, period: float) -> float:
    """The phase of a clock, 0 to ``period`` [s], whose ticks find the newest values youngest.

    Args:
        times: Times of the values [s].
        period: Of the clock [s].
    """
    if not times.size:
        return 0.0
    offsets = np.mod(times - times[0], period)
    phases = np.unique(np.ceil(1e6 * offsets) + 1.0) / 1e6  # just after some of the values
    if phases.size > 256:
        phases = np.quantile(phases, np.linspace(0.0, 1.0, 256))
    ages = np.mod(phases[:, None] - offsets[None, :], period)
    return float(np.mod(times[0] + phases[int(np.argmin(ages.mean(axis=1)))], period))


def interpolate(times: FloatArray, values: FloatArray, ticks: FloatArray) -> FloatArray:
    """Values between the measurements, linear; the nearest one beyond their ends.

    Args:
        times: (N,) times [s], increasing.
        values: (N, D) or (N,).
        ticks: (T,) [s].
    """
    table = np.asarray(values, float).reshape(len(times), -1)
    columns = [np.interp(ticks, times, column) for column in table.T]
    return np.stack(columns, axis=1).reshape(len(ticks), *np.shape(values)[1:])


def interpolate_rotations(
    times: FloatArray, quaternions: FloatArray, ticks: FloatArray
) -> FloatArray:
    """Quaternions (T, 4), x y z w, between the measurements, along the shortest rotation."""
    if len(times) == 1:
        return np.repeat(np.asarray(quaternions, float), len(ticks), axis=0)
    slerp = Slerp(times, Rotation.from_quat(quaternions))
    return np.asarray(slerp(np.clip(ticks, times[0], times[-1])).as_quat(), float)


def displacements(
    times: FloatArray, twists: FloatArray, ticks: FloatArray, period: float, hold: float
) -> FloatArray:
    """What commanded twists add up to in each step, (T, 6): [m] and, as a rotation vector, [rad].

    Each command counts until the next one, and no longer than ``hold``.

    Args:
        times: (N,) stamps of the commands [s], not decreasing.
        twists: (N, 6) linear [m/s] and angular [rad/s] velocity in the base frame.
        ticks: (T,) beginnings of the steps [s].
        period: Length of a step [s].
        hold: Longest time for which the arm carries out a command when no other comes [s].
    """
    moved = np.zeros((len(ticks), 6))
    for row, steps in enumerate(_steps(times, twists, ticks, period, hold)):
        moved[row, :3] = steps[:, :3].sum(axis=0)
        moved[row, 3:] = _turned(steps[:, 3:])
    return moved


def travelled(
    times: FloatArray, velocities: FloatArray, ticks: FloatArray, period: float, hold: float
) -> FloatArray:
    """What commanded velocities (N, J) of joints add up to in each step, (T, J).

    The arguments are those of :func:`displacements`.
    """
    moved = np.zeros((len(ticks), velocities.reshape(len(times), -1).shape[1] if len(times) else 0))
    for row, steps in enumerate(_steps(times, velocities, ticks, period, hold)):
        moved[row] = steps.sum(axis=0)
    return moved


def _steps(
    times: FloatArray, velocities: FloatArray, ticks: FloatArray, period: float, hold: float
) -> Iterator[FloatArray]:
    """For each tick, what each of the velocities carried out during its step moved, (M, D)."""
    ends = np.minimum(np.append(times[1:], np.inf), times + hold)
    first = np.searchsorted(times, ticks - hold, side="left")
    last = np.searchsorted(times, ticks + period, side="left")
    for row, tick in enumerate(ticks):
        chosen = slice(int(first[row]), int(last[row]))
        begin = np.maximum(times[chosen], tick)
        lengths = np.minimum(ends[chosen], tick + period) - begin
        yield np.maximum(lengths, 0.0)[:, None] * velocities[chosen]


def _turned(rotations: FloatArray) -> FloatArray:
    """One rotation vector for several after each other, all in the fixed base frame."""
    if len(rotations) < 2:
        return np.asarray(rotations.sum(axis=0), float)
    total = Rotation.identity()
    for rotation in Rotation.from_rotvec(rotations):
        total = rotation * total
    return np.asarray(total.as_rotvec(), float)
