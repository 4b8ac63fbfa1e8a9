# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the joints are, as measured, and whether they go where they are sent."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from magma_ros.guard.joints import JointConfig
from magma_ros.types import Answer, FloatArray

_WINDOW = 1.0
"""Time over which the travel of joints that take velocities is compared [s]."""


class JointTrack:
    """Keeps the newest measured position of each joint, and where it was sent lately.

    All times are seconds on the guard's clock. An arm and a second one may report on their own.

    Args:
        config: The joints.
        response: Longest time the robot takes to carry out a command [s].
        horizon: Age of the oldest measurement that may be used [s].
    """

    def __init__(self, config: JointConfig, response: float, horizon: float) -> None:
        self._config, self._response = config, response
        self._names = config.limits.names
        self._horizon = horizon + response + _WINDOW
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        count = len(self._names)
        self.positions: FloatArray = np.full(count, np.nan)  # newest measured [rad or m]
        self._stamps: FloatArray = np.full(count, -math.inf)
        self._lost = -math.inf
        self._times: list[float] = []
        self._sent: list[FloatArray] = []  # positions sent, or the travel of velocities sent
        self.start()

    def start(self) -> None:
        """Compare what is measured with what is sent from now on only."""
        self._wrong = ""
        self._begun: float | None = None
        self._anchors: list[tuple[float, FloatArray, FloatArray]] = []

    def lose(self, now: float) -> None:
        """What the joints have done up to ``now`` [s] is not known: only later ones count."""
        self._lost = now

    @property
    def seen(self) -> float:
        """Stamp of the oldest of the joints' newest positions [s]; -inf without one."""
        return float(self._stamps.min())

    @property
    def known(self) -> bool:
        """Whether every joint was measured since the joints were lost sight of."""
        return self.seen > -math.inf and self.seen >= self._lost

    @property
    def trouble(self) -> str:
        """Which joint is not where it was sent, as a sentence, or empty."""
        return self._wrong

    def silent(self, now: float, timeout: float) -> str:
        """Names of the joints of which nothing came for ``timeout`` [s], or empty."""
        old = now - self._stamps > timeout
        return ", ".join(name for name, late in zip(self._names, old, strict=True) if late)

    def see(
        self,
        names: Sequence[str],
        positions: Sequence[float] | FloatArray,
        stamp: float,
        now: float,
    ) -> Answer:
        """Take in measured positions of ``stamp`` [s]; joints of others may be among them."""
        at = dict(zip(names, positions, strict=False))
        mine = [index for index, name in enumerate(self._names) if name in at]
        if not mine:
            return Answer(accepted=True, sentence="none of the commanded joints is among them")
        values = np.array([float(at[self._names[index]]) for index in mine])
        if not np.isfinite(values).all():
            index = mine[int(np.flatnonzero(~np.isfinite(values))[0])]
            sentence = f"joint_states holds no finite position of {self._names[index]}"
            return Answer(accepted=False, sentence=sentence)
        newer = self._stamps[mine] < min(stamp, now)
        if not newer.all():
            return Answer(accepted=False, sentence="the joint states are not newer than the last")
        self.positions[mine] = values
        self._stamps[mine] = min(stamp, now)
        return Answer(accepted=True, sentence="the joint states are taken")

    def set_back(self) -> None:
        """The clock of the messages was set back: any stamp is newer than those before."""
        self._stamps[:] = -math.inf

    def record(self, now: float, sent: FloatArray) -> None:
        """Note positions (N,) sent at ``now`` [s], or where velocities sent must have led."""
        if self._begun is None:
            self._begun = now
        if self._times and now <= self._times[-1]:
            self._sent[-1] = sent
            return
        self._times.append(now)
        self._sent.append(sent)
        old = bisect_right(self._times, now - self._horizon) - 1
        if old > 32:
            del self._times[:old], self._sent[:old]

    def travelled(self, now: float) -> FloatArray:
        """By how much the joints were sent further since they were measured, (N,)."""
        sent: FloatArray = np.zeros(len(self._names))
        for index, stamp in enumerate(self._stamps):
            sent[index] = self._at(now)[index] - self._at(float(stamp))[index]
        return sent

    def compare(self) -> None:
        """Compare the newest positions with those sent, unless that has not begun."""
        seen = self.seen
        if self._begun is None or seen - self._response < self._begun:
            return
        low, high = self._between(seen - self._response, float(self._stamps.max()))
        if self._config.by_velocity:
            self._anchors.append((seen, self.positions.copy(), 0.5 * (low + high)))
            while len(self._anchors) > 2 and self._anchors[1][0] <= seen - _WINDOW:
                self._anchors.pop(0)
            _, measured, sent = self._anchors[0]
            low, high = low - sent + measured, high - sent + measured
        off = np.maximum(low - self.positions, self.positions - high)
        if (off > self._config.tolerance).any():
            index = int(np.argmax(off))
            self._wrong = f"joint {self._names[index]} is {off[index]:.3f} off where it was sent"

    def _at(self, when: float) -> FloatArray:
        """Where the joints were sent at ``when`` [s], between two commands on a straight line."""
        if not self._times:
            return np.zeros(len(self._names))
        after = bisect_right(self._times, when)
        if after in (0, len(self._times)):
            return self._sent[max(after - 1, 0)]
        (begin, end), (left, right) = (
            entries[after - 1 : after + 1] for entries in (self._times, self._sent)
        )
        share = (when - begin) / (end - begin)
        return np.asarray(left + share * (right - left))

    def _between(self, begin: float, end: float) -> tuple[FloatArray, FloatArray]:
        """Least and greatest positions sent from ``begin`` to ``end`` [s]."""
        first = max(bisect_right(self._times, begin) - 1, 0)
        last = max(bisect_right(self._times, end), first + 1)
        sent = np.array(self._sent[first:last])
        return sent.min(axis=0), sent.max(axis=0)
