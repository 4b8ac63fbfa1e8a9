# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A box that the end effector does not leave.

Towards a face, the whole twist is scaled down so that the arm could always brake before it. It is
scaled and not clipped, so the arm stays on the commanded path and waits there instead of sliding
along the wall to somewhere nobody asked for. Outside the box every way that does not lead further
out is free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from magma_ros.guard.error import GuardConfigError
from magma_ros.types import FloatArray

FACES = ("-x", "-y", "-z", "+x", "+y", "+z")
"""Names of the faces, in the order of :meth:`Workspace.gaps`."""


class Approach(NamedTuple):
    """How far a twist must be scaled for the sake of the box.

    Attributes:
        scale: Share of the twist to keep, 0..1.
        face: The face that demands it, as in :data:`FACES`; any face if ``scale`` is 1.
        gap: Distance to that face [m]; negative outside.
    """

    scale: float
    face: str
    gap: float


@dataclass(frozen=True, slots=True)
class Workspace:
    """An axis-aligned box in the base frame.

    Attributes:
        lower: Least x, y, z of the end effector [m].
        upper: Greatest x, y, z [m].

    Raises:
        GuardConfigError: A corner has not three finite numbers, or the box is empty.
    """

    lower: Sequence[float]
    upper: Sequence[float]

    def __post_init__(self) -> None:
        for name, corner in (("lower", self.lower), ("upper", self.upper)):
            if len(corner) != 3 or not all(math.isfinite(c) for c in corner):
                raise GuardConfigError(
                    f"the workspace's {name} corner must be three finite numbers, not {corner}"
                )
        if any(low >= high for low, high in zip(self.lower, self.upper, strict=True)):
            raise GuardConfigError(
                f"the workspace's lower corner {self.lower} must lie below its upper {self.upper}"
            )

    def gaps(self, position: FloatArray) -> FloatArray:
        """Distance (6,) of a ``position`` (3,) to each face [m], negative beyond it."""
        return np.concatenate([position - self.lower, self.upper - position])

    def approach(
        self, position: FloatArray, twist: FloatArray, *, deceleration: float, reaction: float
    ) -> Approach:
        """How much of ``twist`` (6,) to keep at ``position`` (3,) [m].

        The speed v allowed towards a face at distance g solves g = v^2 / (2 a) + v t.

        Args:
            position: Where the end effector is.
            twist: Where it is asked to go.
            deceleration: a, with which it will brake [m/s^2].
            reaction: t, before braking takes hold [s].
        """
        gaps = self.gaps(position)
        room = np.maximum(gaps, 0.0) / deceleration
        allowed = deceleration * (np.sqrt(reaction**2 + 2.0 * room) - reaction)
        outward = _outward(twist)
        shares = np.divide(allowed, outward, out=np.ones(len(FACES)), where=outward > allowed)
        face = int(np.argmin(shares))
        return Approach(float(shares[face]), FACES[face], float(gaps[face]))

    def can_stop(
        self, position: FloatArray, twist: FloatArray, *, stop_time: float, reaction: float
    ) -> bool:
        """Whether ``twist`` may be sent: straight braking from it ends inside the box.

        The arm keeps the twist for up to ``reaction`` [s] and is then brought to rest along a
        straight line within ``stop_time`` [s]. If this held for the last command, it holds again
        after one step of that braking (updates no further apart than twice ``reaction``), so there
        is always a permitted command.
        """
        outward = _outward(twist)
        path = outward * (0.5 * stop_time + reaction)
        return not bool(np.any((outward > 0.0) & (path > self.gaps(position))))


def _outward(twist: FloatArray) -> FloatArray:
    """Speed (6,) towards each face [m/s], in the order of :data:`FACES`."""
    return np.concatenate([-twist[:3], twist[:3]])
