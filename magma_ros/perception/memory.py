# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where something was seen lately: a point a voxel, until the camera looks past it or time is up.

So an obstacle does not vanish when the arm comes between it and the camera.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from magma_ros.types import FloatArray

_BITS = 20
_HALF = 1 << (_BITS - 1)


def voxel_keys(points: FloatArray, size: float) -> npt.NDArray[np.int64]:
    """One number for each of ``points`` (N, 3) [m], the same for those in one cube of ``size``."""
    cells = np.floor(points / size).astype(np.int64) + _HALF
    cells &= (1 << _BITS) - 1
    keys: npt.NDArray[np.int64] = (cells[:, 0] << 2 * _BITS) | (cells[:, 1] << _BITS) | cells[:, 2]
    return keys


def thinned(points: FloatArray, size: float) -> FloatArray:
    """One of ``points`` (N, 3) for each cube of ``size`` [m]."""
    _, kept = np.unique(voxel_keys(points, size), return_index=True)
    return points[kept]


class PointMemory:
    """Keeps points for a while.

    Args:
        voxel: Size of the cubes of which each keeps one point [m].
        duration: How long a point that is not seen again is kept [s].
    """

    def __init__(self, voxel: float, duration: float) -> None:
        self._voxel, self._duration = voxel, duration
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._points: FloatArray = np.empty((0, 3))
        self._seen: FloatArray = np.empty(0)

    def update(
        self,
        points: FloatArray,
        stamp: float,
        gone: Callable[[FloatArray], npt.NDArray[np.bool_]],
    ) -> FloatArray:
        """Take in what is seen now, and return all points (N, 3) that count.

        Args:
            points: Seen now (N, 3) [m].
            stamp: When [s].
            gone: Tells which remembered points need not be any more: nothing hides them now.
        """
        age = stamp - self._seen
        kept = np.abs(age) <= self._duration  # a stamp far ahead is of a clock that was set back
        old, seen = self._points[kept], self._seen[kept]
        there = ~gone(old)
        everything = np.concatenate([points, old[there]])
        when = np.concatenate([np.full(len(points), stamp), seen[there]])
        # np.unique keeps the first of each voxel, and what is seen now comes first.
        _, first = np.unique(voxel_keys(everything, self._voxel), return_index=True)
        self._points, self._seen = everything[first], when[first]
        return self._points
