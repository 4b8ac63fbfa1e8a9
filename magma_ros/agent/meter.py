# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often something happens, and how large its figures mostly are, over the last seconds."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from magma_ros.types import FloatArray

WINDOW = 5.0
"""Time that counts [s]."""


class Meter:
    """Events of the last seconds, each with a figure.

    Args:
        window: Time that counts [s].

    Attributes:
        last: When it last happened [s]; ``-inf`` for never.
    """

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._events: deque[tuple[float, float]] = deque()
        self._first = math.nan
        self.last = -math.inf

    def note(self, now: float, figure: float | None = None) -> None:
        """Note an event at ``now`` [s]; its figure is the time since the one before by default."""
        if math.isnan(self._first):
            self._first = now
        since = now - self.last if math.isfinite(self.last) else math.nan
        self._events.append((now, since if figure is None else figure))
        self.last = now
        self._forget(now)

    def rate(self, now: float) -> float:
        """Events a second [Hz]; ``nan`` before there has been time to count any."""
        self._forget(now)
        known = now - self._first
        if not known >= 0.2 * self._window:
            return math.nan
        return len(self._events) / min(self._window, known)

    def mean(self, now: float) -> float:
        """Mean figure, ``nan`` without any."""
        return float(np.mean(figures)) if len(figures := self._figures(now)) else math.nan

    def p95(self, now: float) -> float:
        """The figure that one in twenty exceeds, ``nan`` without any."""
        figures = self._figures(now)
        return float(np.percentile(figures, 95)) if len(figures) else math.nan

    def _figures(self, now: float) -> FloatArray:
        self._forget(now)
        figures: FloatArray = np.array([figure for _, figure in self._events])
        return np.asarray(figures[np.isfinite(figures)])

    def _forget(self, now: float) -> None:
        while self._events and self._events[0][0] <= now - self._window:
            self._events.popleft()
