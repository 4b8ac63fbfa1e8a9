# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a camera repeats an old picture under new stamps: the arm moves, its pictures do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from magma_ros.types import FloatArray

TRAVEL = 0.01
"""How far the arm moves from one picture to another before they can no longer be the same [m]."""

Place = Callable[[float], FloatArray | None]
"""Where the end effector was (3,) [m] at a stamp [s], or None if that is not known."""


class Repetition:
    """The picture that a camera shows, since when, and where the arm was then."""

    def __init__(self) -> None:
        self._digest: int | None = None
        self._first = self._last = 0.0
        self._start: FloatArray | None = None

    def note(self, digest: int, stamp: float, place: Place) -> None:
        """Take in a picture of a digest, taken at ``stamp`` [s]."""
        if digest != self._digest:
            self._digest, self._first, self._start = digest, stamp, None
        self._last = stamp
        if self._start is None:
            self._first, self._start = stamp, place(stamp)

    def why(self, camera: str, place: Place) -> str:
        """Why the newest picture cannot be of its stamp, or ''."""
        if self._start is None or self._last <= self._first:
            return ""
        if (end := place(self._last)) is None:
            return ""
        travel = float(np.linalg.norm(end - self._start))
        if travel <= TRAVEL:
            return ""
        return (
            f"camera {camera!r} has shown the same picture for {self._last - self._first:.2f} s "
            f"while the arm moved {1e3 * travel:.0f} mm; restart its driver"
        )
