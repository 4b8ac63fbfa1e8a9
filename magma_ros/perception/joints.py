# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the joints were at the time of a picture."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from magma_ros.perception.error import BodyError

KEPT = 1.0
"""Time for which positions are kept [s]."""

SPAN = 0.02, 0.2
"""Least and greatest time between the two readings that tell a joint's speed [s]."""


class JointHistory:
    """Joint positions of the last second; an arm and its gripper may report on their own.

    Args:
        joints: Names of the joints that are wanted.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self._rows: dict[str, deque[tuple[float, float]]] = {name: deque() for name in joints}

    @property
    def newest(self) -> float:
        """Up to when all joints are known [s]; -inf if one is not."""
        return min(
            (rows[-1][0] if rows else -math.inf for rows in self._rows.values()), default=math.inf
        )

    def lacking(self) -> list[str]:
        """Names of the joints that were never told of."""
        return [name for name, rows in self._rows.items() if not rows]

    def clear(self) -> None:
        """Forget everything."""
        for rows in self._rows.values():
            rows.clear()

    def add(self, stamp: float, positions: Mapping[str, float]) -> None:
        """Take in positions [rad or m] of any joints, in the order of their stamps [s].

        Raises:
            BodyError: A position is not finite; then none is taken.
        """
        wanted = {name: positions[name] for name in positions if name in self._rows}
        if wrong := [name for name, position in wanted.items() if not math.isfinite(position)]:
            raise BodyError(f"joint_states give no finite position of {', '.join(wrong)}")
        for name, position in wanted.items():
            rows = self._rows[name]
            if rows and stamp <= rows[-1][0]:
                if stamp > rows[-1][0] - KEPT:
                    continue
                rows.clear()  # the clock was set back
            rows.append((stamp, float(position)))
            while rows[0][0] < stamp - KEPT:
                rows.popleft()

    def at(self, when: float) -> dict[str, float]:
        """Positions at ``when`` [s]: between the readings around it, or before them the first one.

        After the last reading a joint goes on as fast as it went: an arm that moves at 0.35 m/s is
        21 mm further 60 ms later, and would be found outside of its own body.

        Raises:
            BodyError: A joint was never told of.
        """
        if lacking := self.lacking():
            raise BodyError(f"joint_states lack {', '.join(lacking)}; is a driver missing?")
        return {
            name: float(np.interp(when, [t for t, _ in rows], [p for _, p in rows]))
            + _speed(rows) * max(when - rows[-1][0], 0.0)
            for name, rows in self._rows.items()
        }


def _speed(rows: Sequence[tuple[float, float]]) -> float:
    """How fast a joint went at the end of its ``rows`` [1/s]; 0 where they do not tell."""
    end, position = rows[-1]
    least, most = SPAN
    for stamp, before in reversed(rows):
        if end - stamp > most:
            break
        if end - stamp >= least:
            return (position - before) / (end - stamp)
    return 0.0
