# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slows the arm along its commanded path as obstacles come near; the path is never bent.

Graded slowing keeps missions alive where stop-or-go ends them and sideways avoidance confuses the
policy, which no longer sees what it asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from magma_ros.guard.error import GuardConfigError, require_positive


@dataclass(frozen=True, slots=True)
class Proximity:
    """How clearance becomes speed.

    Attributes:
        stop_distance: Clearance at and below which the arm stands still [m].
        slow_distance: Clearance from which on it moves freely [m].
        timeout: A clearance older than this counts as none left [s].

    Raises:
        GuardConfigError: The distances are not 0 < stop < slow, or the timeout is not positive.
    """

    stop_distance: float = 0.03
    slow_distance: float = 0.15
    timeout: float = 0.5

    def __post_init__(self) -> None:
        require_positive(self, "stop_distance", "slow_distance", "timeout")
        if self.stop_distance >= self.slow_distance:
            raise GuardConfigError(
                f"the guard's stop_distance ({self.stop_distance} m) must be below its "
                f"slow_distance ({self.slow_distance} m)"
            )

    def scale(self, clearance: float) -> float:
        """Share of the commanded twist to keep, 0..1, at a ``clearance`` [m].

        Following REP 117, +inf means that nothing is in range and -inf that something is too close
        to measure.
        """
        part = (clearance - self.stop_distance) / (self.slow_distance - self.stop_distance)
        return min(max(part, 0.0), 1.0)
