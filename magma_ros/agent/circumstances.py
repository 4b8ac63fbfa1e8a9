# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a decision may cost besides time: risk from clearance and speed, energy from the battery."""

from __future__ import annotations

import math

from magma_ros.guard.proximity import Proximity
from magma_ros.types import MagmaError

CLEARANCE_TIMEOUT = Proximity().timeout
"""Age beyond which a clearance counts as none left [s]: the guard's."""


class CircumstanceError(MagmaError):
    """A reading from outside is not what its message should carry."""


def collision_risk(clearance: float, speed: float, horizon: float) -> float:
    """How soon contact could come, 0 (not within ``horizon``) to 1 (now).

    It is ``1 - clearance / (speed * horizon)``, cut at 0 and 1.

    Args:
        clearance: Distance to the nearest obstacle [m], following REP 117.
        speed: Of the end effector [m/s].
        horizon: Time to contact from which on there is no risk [s].
    """
    if clearance <= 0.0:
        return 1.0
    reach = speed * horizon
    return 0.0 if clearance >= reach else 1.0 - clearance / reach


class Circumstances:
    """The newest readings that a budget depends on.

    Attributes:
        speed: Commanded speed of the end effector [m/s].
        energy: 1 (full battery, or none that reports) to 0 (empty).
    """

    def __init__(self, *, clearance_required: bool = False) -> None:
        """Start without readings; a clearance that is required is a risk until it is received."""
        self.speed = 0.0
        self.energy = 1.0
        self._required = clearance_required
        self._clearance: tuple[float, float] | None = None  # distance [m], when measured [s]

    def report_clearance(self, clearance: float, measured: float) -> None:
        """Take in the distance to the nearest obstacle [m], measured at a time [s].

        Raises:
            CircumstanceError: It is not a number.
        """
        if math.isnan(clearance):
            raise CircumstanceError("the clearance must be a number, not nan; check its sensor")
        self._clearance = clearance, measured

    def clearance_age(self, now: float) -> float:
        """Time since the newest clearance was measured [s]; ``inf`` before the first."""
        return math.inf if self._clearance is None else now - self._clearance[1]

    def clearance_silent(self, now: float) -> bool:
        """Whether a clearance sensor that is there, or must be, has fallen silent."""
        watched = self._required or self._clearance is not None
        return watched and self.clearance_age(now) > CLEARANCE_TIMEOUT

    def report_battery(self, percentage: float) -> None:
        """Take in a battery's charge, 0 to 1, or nan if it is not measured.

        Raises:
            CircumstanceError: It is something else.
        """
        if math.isnan(percentage):
            self.energy = 1.0
        elif 0.0 <= percentage <= 1.0:
            self.energy = percentage
        else:
            raise CircumstanceError(
                f"the battery's percentage must lie between 0 and 1, not {percentage:g}; "
                "fix its driver"
            )

    def risk(self, now: float, horizon: float) -> float:
        """The risk at ``now`` [s]: 0 without a clearance sensor, 1 once it has fallen silent.

        See :func:`collision_risk`.
        """
        if self.clearance_silent(now):
            return 1.0
        if self._clearance is None:
            return 0.0
        return collision_risk(self._clearance[0], self.speed, horizon)
