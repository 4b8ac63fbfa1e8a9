# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured during the last moments, to know how it was at one of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from magma_ros.types import FloatArray, MagmaError, Pose

Value = TypeVar("Value")


class NotKnownError(MagmaError):
    """There is no measurement near the time asked for."""


class History(Generic[Value]):
    """The values of one measurement over a short span, in the order of their stamps."""

    def __init__(
        self, what: str, span: float, between: Callable[[Value, Value, float], Value]
    ) -> None:
        """Start empty.

        Args:
            what: Name of the measurement, to begin a sentence with.
            span: How long values are kept [s].
            between: Interpolates: given the values before and after and the share of the way, 0..1.
        """
        self._what = what
        self._span = span
        self._between = between
        self._samples: list[tuple[float, Value]] = []

    @property
    def newest(self) -> float:
        """Stamp of the newest value [s]; ``-inf`` without one."""
        return self._samples[-1][0] if self._samples else -math.inf

    @property
    def latest(self) -> Value | None:
        """The newest value."""
        return self._samples[-1][1] if self._samples else None

    def add(self, stamp: float, value: Value) -> None:
        """Take in the value at ``stamp`` [s]; what is stamped later is dropped."""
        while self._samples and self._samples[-1][0] >= stamp:
            self._samples.pop()  # the clock has jumped back
        self._samples.append((stamp, value))
        stale = bisect_left(self._samples, stamp - self._span, key=lambda sample: sample[0])
        del self._samples[:stale]

    def clear(self) -> None:
        """Forget all values."""
        self._samples.clear()

    def rate(self, distance: Callable[[Value, Value], float]) -> float:
        """How fast the value changed up to the newest one [1/s]; ``inf`` while that is not known.

        Args:
            distance: How far apart two values are.
        """
        if len(self._samples) < 2:
            return math.inf
        (start, before), (end, after) = self._samples[-2:]
        return distance(before, after) / (end - start)

    def at(self, stamp: float, slop: float, longest_gap: float) -> Value:
        """The value at ``stamp`` [s], interpolated between its neighbours.

        Args:
            stamp: The time asked for [s].
            slop: How far off the nearest value may be where it is not between two [s].
            longest_gap: How far apart its neighbours may be [s].

        Raises:
            NotKnownError: There is no value near enough.
        """
        if not self._samples:
            raise NotKnownError(f"{self._what} has not been heard yet")
        index = bisect_left(self._samples, stamp, key=lambda sample: sample[0])
        if 0 < index < len(self._samples):
            (start, before), (end, after) = self._samples[index - 1], self._samples[index]
            if end - start <= longest_gap:
                return self._between(before, after, (stamp - start) / (end - start))
        near = self._samples[max(0, index - 1) : index + 1]
        nearest, value = min(near, key=lambda sample: abs(sample[0] - stamp))
        if abs(nearest - stamp) > slop:
            side = "older" if nearest < stamp else "newer"
            raise NotKnownError(
                f"{self._what} nearest to the images is {abs(nearest - stamp):.2f} s {side} than "
                f"they are; at most {slop:g} s is usable (sync_slop)"
            )
        return value


def between_numbers(before: float, after: float, share: float) -> float:
    """Linear interpolation."""
    return (1.0 - share) * before + share * after


def between_arrays(before: FloatArray, after: FloatArray, share: float) -> FloatArray:
    """Linear interpolation."""
    return np.asarray((1.0 - share) * before + share * after)


def between_poses(before: Pose, after: Pose, share: float) -> Pose:
    """Interpolated linearly in position and along the shortest turn in rotation."""
    ends = Rotation.from_quat(np.stack([before.quaternion, after.quaternion]))
    return Pose(
        between_numbers(before.stamp, after.stamp, share),
        (1.0 - share) * before.position + share * after.position,
        Slerp([0.0, 1.0], ends)(share).as_quat(),
    )
