# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast, and how abruptly, the arm may move.

Two ways to change a velocity exist. To *accelerate or decelerate* is to go towards a wanted twist
within the acceleration and jerk limits (ruckig). To *halt* is to go to zero along a straight line
at the braking limit, which is higher, with no regard to jerk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np
from ruckig import (
    ControlInterface,
    InputParameter,
    Ruckig,
    RuckigError,
    Synchronization,
    Trajectory,
)

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the commanded motion of one robot.

    Speeds and braking bound the norm of a vector, accelerations and jerks each of its components.

    Attributes:
        linear_speed: [m/s].
        angular_speed: [rad/s].
        linear_acceleration: [m/s^2].
        angular_acceleration: [rad/s^2].
        linear_jerk: [m/s^3].
        angular_jerk: [rad/s^3].
        linear_braking: Deceleration of a halt [m/s^2].
        angular_braking: Deceleration of a halt [rad/s^2].
        gripper_speed: Greatest speed of the gripper [openings/s].

    Raises:
        GuardConfigError: A limit is not a positive, finite number, or the braking is weaker than
            the acceleration.
    """

    linear_speed: float
    angular_speed: float
    linear_acceleration: float
    angular_acceleration: float
    linear_jerk: float
    angular_jerk: float
    linear_braking: float
    angular_braking: float
    gripper_speed: float

    def __post_init__(self) -> None:
        require_positive(self, *(f.name for f in fields(self)))
        for kind in ("linear", "angular"):
            braking = getattr(self, f"{kind}_braking")
            acceleration = getattr(self, f"{kind}_acceleration")
            if braking < acceleration:
                raise GuardConfigError(
                    f"the guard's {kind}_braking ({braking}) must not be below its "
                    f"{kind}_acceleration ({acceleration})"
                )

    def speed_scale(self, twist: FloatArray) -> float:
        """Share of ``twist`` (6,) that keeps both speed limits, 0..1."""
        return min(self._speed_shares(twist))

    def capped(self, twist: FloatArray) -> FloatArray:
        """``twist`` (6,) with its linear and its angular part each brought within its limit.

        For what a ramp adds: when two axes trade speed, jerk limits let the norm swell a little.
        The nearest permitted vector never takes more acceleration to reach.
        """
        capped: FloatArray = twist * np.repeat(self._speed_shares(twist), 3)
        return capped

    def stop_time(self, twist: FloatArray) -> float:
        """Time a halt from ``twist`` (6,) takes [s]."""
        linear, angular = _norms(twist)
        return max(linear / self.linear_braking, angular / self.angular_braking)

    def _speed_shares(self, twist: FloatArray) -> tuple[float, float]:
        linear, angular = _norms(twist)
        return (
            self.linear_speed / max(linear, self.linear_speed),
            self.angular_speed / max(angular, self.angular_speed),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The last command to the arm.

    Attributes:
        twist: (6,) [m/s, rad/s].
        acceleration: (6,) [m/s^2, rad/s^2].
    """

    twist: FloatArray = field(default_factory=lambda: np.zeros(6))
    acceleration: FloatArray = field(default_factory=lambda: np.zeros(6))


class Ramp:
    """Takes a motion one update further.

    Args:
        limits: The bounds to keep.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ruckig = Ruckig(6)
        self._trajectory = Trajectory(6)
        self._input = InputParameter(6)
        self._input.control_interface = ControlInterface.Velocity
        # All axes change together: along a straight line if velocity and acceleration lie on it to
        # the last bit, and otherwise nearly so, because all axes arrive at the same moment.
        self._input.synchronization = Synchronization.Phase
        self._input.max_acceleration = _per_axis(
            limits.linear_acceleration, limits.angular_acceleration
        )
        self._input.max_jerk = _per_axis(limits.linear_jerk, limits.angular_jerk)

    def towards(self, motion: Motion, twist: FloatArray, elapsed: float) -> Motion:
        """The motion after going for ``elapsed`` [s] towards ``twist`` (6,), within speed limits.

        It is a pure function of its arguments.
        """
        self._input.current_velocity = motion.twist.tolist()
        self._input.current_acceleration = motion.acceleration.tolist()
        self._input.target_velocity = twist.tolist()
        try:
            self._ruckig.calculate(self._input, self._trajectory)
        except RuckigError:
            # No way was found within the limits: a guard that cannot plan must still stop the arm.
            return self.halt(motion, elapsed)
        if elapsed >= self._trajectory.duration:
            return Motion(twist.copy())
        _, velocity, acceleration = self._trajectory.at_time(elapsed)
        return Motion(self._limits.capped(np.array(velocity)), np.array(acceleration))

    def halt(self, motion: Motion, elapsed: float) -> Motion:
        """The motion after braking straight to zero for ``elapsed`` [s]."""
        needed = self._limits.stop_time(motion.twist)
        if elapsed >= needed:
            return Motion()
        return Motion(motion.twist * (1.0 - elapsed / needed))


def _norms(twist: FloatArray) -> tuple[float, float]:
    return math.hypot(*twist[:3]), math.hypot(*twist[3:])


def _per_axis(linear: float, angular: float) -> list[float]:
    return [linear] * 3 + [angular] * 3
