# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the end effector inside its bounds: soft braking towards each, and a hard check.

Towards a bound, the whole twist is scaled down so that the arm could always brake before it. It is
scaled and not bent, so the arm stays on the commanded path and waits there instead of sliding
along the wall to somewhere nobody asked for. Outside a bound every way that does not lead further
out is free. The one exception is a component so small beside the rest that it cannot be meant: it
is left out, because otherwise a rounding error beside a wall would hold the arm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from magma_ros.guard.limits import Limits
from magma_ros.guard.track import Estimate, rotation
from magma_ros.guard.workspace import FACES, NORMALS, GuardedPoint, TiltCone, Workspace, direction
from magma_ros.types import FloatArray

NEGLIGIBLE = 0.05
"""Share of a twist's speed below which its component towards a bound is left out (3 degrees)."""

_GRAZE = 1e-5
"""How far a stop may reach beyond a bound without being refused: rounding [m or rad]."""

_SAMPLES = 4
"""Points of a stopping path that are checked when it turns."""


class Approach(NamedTuple):
    """What the bounds leave of a twist.

    Attributes:
        twist: (6,) the twist, without what was negligible, not yet scaled.
        scale: Share of it to keep, 0..1.
        detail: What demands it, in a few words, or empty.
    """

    twist: FloatArray
    scale: float
    detail: str


class _Rows(NamedTuple):
    """The bounds, linearised, one a row.

    Attributes:
        gaps: (K,) distance to each [m or rad], negative beyond it.
        towards: (K, 6) speed towards each is this times the twist.
        deceleration: (K,) with which the arm brakes towards each [m/s^2 or rad/s^2].
    """

    gaps: FloatArray
    towards: FloatArray
    deceleration: FloatArray


class Fences:
    """The bounds on where the end effector may be.

    Args:
        limits: Of the motion.
        workspace: Box of the end effector.
        point: A second guarded point, or None.
        tilt: A cone of tilt, or None.
        latest: Longest time for which a command is kept [s].
    """

    def __init__(
        self,
        limits: Limits,
        workspace: Workspace,
        point: GuardedPoint | None,
        tilt: TiltCone | None,
        latest: float,
    ) -> None:
        self._limits = limits
        self._workspace, self._point, self._tilt = workspace, point, tilt
        self._latest = latest
        self._names = [f"the {face} workspace face" for face in FACES]
        linear = [0.5 * limits.linear_acceleration] * 6
        decelerations = list(linear)
        if point is not None:
            self._names += [f"the guarded point's {face} face" for face in FACES]
            self._offset = np.asarray(point.offset, dtype=np.float64)
            turning = 0.5 * limits.angular_acceleration * max(math.hypot(*point.offset), 1e-3)
            decelerations += [min(linear[0], turning)] * 6
        if tilt is not None:
            self._names.append("the greatest tilt")
            self._upright = direction(tilt.approach, "the tilt cone's approach")
            self._axis = direction(tilt.axis, "the tilt cone's axis")
            decelerations.append(0.5 * limits.angular_acceleration)
        self._deceleration: FloatArray = np.array(decelerations)
        self._turns = point is not None or tilt is not None
        # Before soft braking takes hold: an update, the jerk, and half a halt.
        full_speed = np.array([limits.linear_speed, 0, 0, limits.angular_speed, 0, 0])
        jerks = (
            limits.linear_acceleration / limits.linear_jerk,
            limits.angular_acceleration / limits.angular_jerk,
        )
        rise = max(jerks) if self._turns else jerks[0]
        self._reaction = latest + rise + 0.5 * limits.stop_time(full_speed)

    def approach(
        self, estimate: Estimate, twist: FloatArray, *, straighten: bool = True
    ) -> Approach:
        """How much of ``twist`` (6,) to keep.

        The speed v allowed towards a bound at distance g solves g = v^2 / (2 a) + v t, with the
        deceleration a and the time t before it takes hold.

        Args:
            estimate: Where the end effector may be.
            twist: What is asked for.
            straighten: Whether components may be left out that cannot be meant.
        """
        rows = self._rows(estimate)
        a, t = rows.deceleration, self._reaction
        allowed = a * (np.sqrt(t**2 + 2.0 * np.maximum(rows.gaps, 0.0) / a) - t)
        speeds = rows.towards @ twist
        over = speeds > allowed
        if not over.any():
            return Approach(twist, 1.0, "")
        left_out = straighten & over & (speeds <= NEGLIGIBLE * self._pace(rows, twist))
        if left_out.any():
            twist = self._without(rows, twist, left_out, speeds - allowed)
            speeds = rows.towards @ twist
            over = speeds > allowed + 1e-12
        shares = np.divide(allowed, speeds, out=np.ones(len(allowed)), where=over)
        index = int(np.argmin(shares))
        scale = float(shares[index])
        if scale == 1.0:
            return Approach(twist, 1.0, f"kept from drifting past {self._listed(left_out)}")
        return Approach(twist, scale, self._slowed(index, float(rows.gaps[index])))

    def permits(self, estimate: Estimate, twist: FloatArray) -> bool:
        """Whether ``twist`` (6,) may be sent: straight braking from it ends inside all bounds.

        The arm keeps the twist for up to the longest update and is then brought to rest with the
        twist shrinking to zero along its direction, so it follows one curve for as long as half
        the stop takes. If this held for the last command, it holds again after one step of that
        braking, so there is always a permitted command.
        """
        last = 0.5 * self._limits.stop_time(twist) + self._latest
        now = self._gaps(estimate.positions, estimate.rotations)
        floor = np.minimum(now, 0.0) - _GRAZE
        if not self._turns:
            ahead = self._gaps(estimate.positions + last * twist[:3], estimate.rotations)
            return not bool((ahead < floor).any())
        for sample in range(1, _SAMPLES + 1):
            when = last * sample / _SAMPLES
            turned = rotation(when * twist[3:]) @ estimate.rotations
            if (self._gaps(estimate.positions + when * twist[:3], turned) < floor).any():
                return False
        return True

    def keeps(self, estimate: Estimate, ahead: Estimate) -> bool:
        """Whether the way along candidates ``ahead`` leads beyond no bound, nor further out."""
        floor = self._gaps(estimate.positions, estimate.rotations).min(axis=0)
        gaps = self._gaps(ahead.positions, ahead.rotations)
        return not bool((gaps < np.minimum(floor, 0.0) - _GRAZE).any())

    def _gaps(self, positions: FloatArray, rotations: FloatArray) -> FloatArray:
        """Distance (N, K) of N candidates to the K bounds."""
        parts = [self._workspace.gaps(positions)]
        if self._point is not None:
            parts.append(self._point.workspace.gaps(positions + rotations @ self._offset))
        if self._tilt is not None:
            leans = np.arccos(np.clip((rotations @ self._axis) @ self._upright, -1.0, 1.0))
            parts.append(self._tilt.angle - leans[:, None])
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def _rows(self, estimate: Estimate) -> _Rows:
        gaps = self._gaps(estimate.positions, estimate.rotations).min(axis=0)
        towards = np.zeros((len(gaps), 6))
        towards[:6, :3] = NORMALS
        if self._point is not None:
            arm = estimate.rotations[0] @ self._offset
            towards[6:12, :3] = NORMALS
            towards[6:12, 3:] = np.cross(arm, NORMALS)  # n . (w x r) = w . (r x n)
        if self._tilt is not None:
            axis = estimate.rotations[0] @ self._axis
            leaning = np.cross(self._upright, axis)
            if (length := math.hypot(*leaning)) > 1e-9:
                towards[-1, 3:] = leaning / length
        return _Rows(gaps, towards, self._deceleration)

    def _pace(self, rows: _Rows, twist: FloatArray) -> FloatArray:
        """Speed (K,) beside which a component towards each bound is small or not."""
        linear, angular = math.hypot(*twist[:3]), math.hypot(*twist[3:])
        pace = np.full(len(rows.gaps), linear)
        if self._point is not None:
            pace[6:12] = linear + angular * math.hypot(*self._offset)
        if self._tilt is not None:
            pace[-1] = angular
        return pace

    def _without(
        self, rows: _Rows, twist: FloatArray, which: npt.NDArray[np.bool_], excess: FloatArray
    ) -> FloatArray:
        """``twist`` less the ``excess`` (K,) speed towards the bounds in ``which`` (K,)."""
        twist = twist.copy()
        for index in np.flatnonzero(which):
            part = slice(3, 6) if self._tilt is not None and index == len(which) - 1 else slice(3)
            twist[part] -= excess[index] * rows.towards[index, part]
        return twist

    def _slowed(self, index: int, gap: float) -> str:
        unit = "rad" if self._tilt is not None and index == len(self._names) - 1 else "m"
        if gap > 0.0:
            return f"slowed {gap:.3f} {unit} before {self._names[index]}"
        return (
            f"held {-gap:.3f} {unit} beyond {self._names[index]}, "
            "because the command leads further out"
        )

    def _listed(self, which: npt.NDArray[np.bool_]) -> str:
        return ", ".join(self._names[index] for index in np.flatnonzero(which))
