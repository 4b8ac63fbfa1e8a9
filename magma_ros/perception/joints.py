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
        """Positions at ``when`` [s], between the readings around it, or the nearest one.

        Raises:
            BodyError: A joint was never told of.
        """
        if lacking := self.lacking():
            raise BodyError(f"joint_states lack {', '.join(lacking)}; is a driver missing?")
        return {
            name: float(np.interp(when, [t for t, _ in rows], [p for _, p in rows]))
            for name, rows in self._rows.items()
        }
