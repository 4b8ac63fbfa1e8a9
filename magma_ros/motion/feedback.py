# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the commands: how far behind they are carried out, and what of them never is.

The guard sends what it was asked a little later, because of the way there and of its bound on jerk.
Most of that is no loss: the command is carried out in the end. Two things are. A sent velocity
outside the range of what was commanded of late (scaled down near an obstacle, clipped, held): the
difference will not be made good by waiting. And a way that no lag explains: where what was sent has
led to none of the places where the commands of late had led.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from magma_ros.motion.history import History
from magma_ros.types import FloatArray

_KEPT = 100
"""Commands kept to compare with what was sent, at most."""

_STEPS = 20
"""Lags that are compared."""

_MOVED = 0.002
"""Way within the longest lag from which on a lag can be estimated [m]."""

_SMOOTHING = 0.1
"""Share of a new estimate in the lag, once there are many."""

_CORRECTION = 0.2
"""Share of a way that no lag explains which counts as lost with each message received."""


class Feedback:
    """Compares what is commanded with what is sent.

    Args:
        longest: Longest time from a command to hearing what was sent because of it [s].

    Attributes:
        lag: By how much what is sent lags behind what was commanded [s]; 0 while nothing is
            received.
    """

    def __init__(self, longest: float) -> None:
        self.lag = 0.0
        self._estimates = 0
        self._longest = longest
        self._commanded: deque[tuple[float, FloatArray]] = deque(maxlen=_KEPT)
        self._sent = np.zeros(6)
        self._heard: float | None = None
        self._travelled: FloatArray | None = None  # by what was sent, (6,) [m, rad]

    def note_commanded(self, twist: FloatArray, until: float) -> None:
        """Take in that ``twist`` (6,) was commanded up to ``until`` [s]."""
        self._commanded.append((until, twist))

    def note_sent(
        self, twist: FloatArray, command: FloatArray, now: float, history: History
    ) -> FloatArray:
        """Record that ``twist`` (6,) was sent, and received here at ``now`` [s].

        Args:
            twist: What was sent [m/s, rad/s].
            command: What is commanded at present [m/s, rad/s].
            now: The present [s].
            history: What was commanded, up to now.

        Returns:
            What was lost since the last message, (6,) [m, rad].
        """
        nothing = np.zeros(6)
        if not np.isfinite(twist).all():
            return nothing
        heard, self._heard = self._heard, now
        before, self._sent = self._sent, np.array(twist, float)
        if heard is None or now - heard > self._longest:
            self._travelled = None  # silence: start anew
            return nothing
        elapsed = now - heard
        unexplained = self._compare(elapsed * before, now, history)
        while self._commanded and self._commanded[0][0] < now - self._longest:
            self._commanded.popleft()
        recent = np.array([command, *(each for _, each in self._commanded)])
        loss = np.clip(twist, recent.min(axis=0), recent.max(axis=0)) - twist
        return np.asarray(elapsed * loss + _CORRECTION * unexplained)

    def _compare(self, moved: FloatArray, now: float, history: History) -> FloatArray:
        """Find when the commands had led to where what was sent has led by now.

        Args:
            moved: Way (6,) that what was sent has led since the last message.
            now: The present [s].
            history: What was commanded, up to now.

        Returns:
            How much further than that the commands had led at the nearest, (6,).
        """
        lags = np.linspace(0.0, self._longest, _STEPS + 1)
        led = np.array([history.at(now - lag).travelled for lag in lags])
        if self._travelled is None:
            self._travelled = led[0]
            return np.zeros(6)
        self._travelled = self._travelled + moved
        ahead = led - self._travelled
        best = int(np.linalg.norm(ahead[:, :3], axis=1).argmin())
        if np.linalg.norm(led[0, :3] - led[-1, :3]) > _MOVED:
            self._estimates += 1
            share = max(_SMOOTHING, 1.0 / self._estimates)
            self.lag += share * (lags[best] - self.lag)
        turning = int(np.linalg.norm(ahead[:, 3:], axis=1).argmin())
        return np.concatenate([ahead[best, :3], ahead[turning, 3:]])
