# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the end effector may be: a box, a second point of the hand, and a cone of tilt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.types import FloatArray

FACES = ("-x", "-y", "-z", "+x", "+y", "+z")
"""Names of the faces, in the order of :meth:`Workspace.gaps`."""

NORMALS: FloatArray = np.concatenate([-np.eye(3), np.eye(3)])
"""(6, 3) outward directions of the faces."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """An axis-aligned box in the base frame.

    Attributes:
        lower: Least x, y, z [m].
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

    def gaps(self, positions: FloatArray) -> FloatArray:
        """Distance (..., 6) of ``positions`` (..., 3) to each face [m], negative beyond it."""
        return np.concatenate([positions - self.lower, self.upper - positions], axis=-1)


@dataclass(frozen=True, slots=True)
class GuardedPoint:
    """A second point that moves with the end effector, such as a camera or a finger's mount.

    Attributes:
        offset: x, y, z in the end effector's frame [m].
        workspace: The box it must stay in, in the base frame.

    Raises:
        GuardConfigError: The offset has not three finite numbers.
    """

    offset: Sequence[float]
    workspace: Workspace

    def __post_init__(self) -> None:
        if len(self.offset) != 3 or not all(math.isfinite(c) for c in self.offset):
            raise GuardConfigError(
                f"the guarded point's offset must be three finite numbers, not {self.offset}"
            )


@dataclass(frozen=True, slots=True)
class TiltCone:
    """How far the tool may lean.

    Attributes:
        approach: Direction (3,) in the base frame from which the lean is measured.
        axis: Axis (3,) of the tool in the end effector's frame that is compared with it.
        angle: Greatest angle between the two [rad].

    Raises:
        GuardConfigError: A direction has no length, or the angle is not between 0 and pi.
    """

    approach: Sequence[float]
    axis: Sequence[float]
    angle: float

    def __post_init__(self) -> None:
        require_positive(self, "angle")
        if self.angle > math.pi:
            raise GuardConfigError(f"the tilt cone's angle must be at most pi, not {self.angle}")
        for name in ("approach", "axis"):
            direction(getattr(self, name), f"the tilt cone's {name}")


def direction(vector: Sequence[float], name: str) -> FloatArray:
    """``vector`` (3,) brought to unit length.

    Raises:
        GuardConfigError: It has not three finite numbers, or no length.
    """
    if len(vector) != 3 or not all(math.isfinite(c) for c in vector):
        raise GuardConfigError(f"{name} must be three finite numbers, not {list(vector)}")
    if (length := math.hypot(*vector)) < 1e-6:
        raise GuardConfigError(f"{name} must have a length, but is {list(vector)}")
    return np.asarray(vector, dtype=np.float64) / length
