# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How joints change their motion: within velocity, acceleration and jerk of each (ruckig).

A motion that lies on a straight line of joint space stays on it, however it is slowed: it is
planned in one dimension, along the line. Others are planned so that all joints arrive together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from ruckig import (
    ControlInterface,
    InputParameter,
    Profile,
    Ruckig,
    RuckigError,
    Synchronization,
    Trajectory,
)

from magma_ros.guard.joints import JointLimits
from magma_ros.types import FloatArray

_ROUNDING = 1e-8
"""How far a stop may reach beyond a limit without being refused [rad or m]."""

_UNPLANNED = (RuckigError, ValueError)
"""What planning raises; the latter for results that Ruckig's Python interface has no name for."""

_STRAIGHT = 1e-8
"""Share of a joint's limits by which a motion on a line may leave it: rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class JointMotion:
    """What joints are commanded to do, (N,) each.

    Attributes:
        position: [rad or m].
        velocity: [rad/s or m/s].
        acceleration: [rad/s^2 or m/s^2].
    """

    position: FloatArray
    velocity: FloatArray = field(default_factory=lambda: np.zeros(0))
    acceleration: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("velocity", "acceleration"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.position)))

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves."""
        return not (self.velocity.any() or self.acceleration.any())


class JointRamp:
    """Takes the motion of joints one update further; a pure function of its arguments.

    Args:
        limits: The bounds to keep.
    """

    def __init__(self, limits: JointLimits) -> None:
        count = len(limits.names)
        self._limits = limits
        self._ruckig = Ruckig(count)
        self._trajectory = Trajectory(count)
        self._input = InputParameter(count)
        self._input.max_velocity = limits.velocity.tolist()
        self._input.max_acceleration = limits.acceleration.tolist()
        self._input.max_jerk = limits.jerk.tolist()
        self._line = _Line(limits)

    def towards(
        self, motion: JointMotion, position: FloatArray, velocity: FloatArray, elapsed: float
    ) -> JointMotion:
        """The motion after going for ``elapsed`` [s] to a position (N,), there with a velocity.

        All joints arrive together, along a straight line where that is possible.
        """
        way = position - motion.position
        if motion.at_rest and not velocity.any() and (np.abs(way) < _ROUNDING).all():
            return motion
        if line := self._line.follow(motion, way, velocity, ControlInterface.Position, elapsed):
            return line
        self._input.control_interface = ControlInterface.Position
        self._input.synchronization = Synchronization.Phase
        self._input.target_position = position.tolist()
        self._input.target_velocity = velocity.tolist()
        if not self._plan(motion):
            return self.halt(motion, elapsed)
        return self._after(motion, elapsed)

    def shift(self, motion: JointMotion, velocity: FloatArray, elapsed: float) -> JointMotion:
        """The motion after going for ``elapsed`` [s] towards a velocity (N,), all together."""
        way = velocity if velocity.any() else motion.velocity
        if line := self._line.follow(motion, way, velocity, ControlInterface.Velocity, elapsed):
            return line
        if not self._plan_velocity(motion, velocity, Synchronization.Phase):
            return self.halt(motion, elapsed)
        return self._after(motion, elapsed)

    def halt(self, motion: JointMotion, elapsed: float) -> JointMotion:
        """The motion after braking for ``elapsed`` [s], each joint as hard as it may."""
        if not self._plan_velocity(motion, np.zeros(len(motion.position)), Synchronization.No):
            return JointMotion(motion.position)  # nothing better is known than to stand
        return self._after(motion, elapsed)

    def stopping(self, motion: JointMotion, begin: FloatArray, samples: int) -> FloatArray | None:
        """Positions (samples, N) on the way to rest of a halt, its end last.

        Args:
            motion: From where it begins.
            begin: (N,) where the joints are; beyond a limit already, they may stay as far out.
            samples: How many.

        Returns:
            None if a joint would leave its limits, or go further out.
        """
        if motion.at_rest:
            path = np.repeat(motion.position[None], samples, axis=0)
            lowest = highest = motion.position
        else:
            zero = np.zeros(len(motion.position))
            if not self._plan_velocity(motion, zero, Synchronization.No):
                return None
            (profiles,) = self._trajectory.profiles
            lowest, highest = np.array([_extrema(profile) for profile in profiles]).T
            end = self._trajectory.duration
            times = np.linspace(0.0, end, samples + 1)[1:]
            path = np.array([self._trajectory.at_time(when)[0] for when in times])
        limits = self._limits
        floor = np.minimum(begin, limits.lower) - _ROUNDING
        ceiling = np.maximum(begin, limits.upper) + _ROUNDING
        if (lowest < floor).any() or (highest > ceiling).any():
            return None
        return path

    def _plan_velocity(
        self, motion: JointMotion, velocity: FloatArray, together: Synchronization
    ) -> bool:
        self._input.control_interface = ControlInterface.Velocity
        self._input.synchronization = together
        self._input.target_velocity = velocity.tolist()
        return self._plan(motion)

    def _plan(self, motion: JointMotion) -> bool:
        limits, plan = self._limits, self._input
        # Rounding must not make a state illegal.
        plan.current_position = motion.position.tolist()
        plan.current_velocity = np.clip(motion.velocity, -limits.velocity, limits.velocity).tolist()
        plan.current_acceleration = np.clip(
            motion.acceleration, -limits.acceleration, limits.acceleration
        ).tolist()
        try:
            self._ruckig.calculate(plan, self._trajectory)
        except _UNPLANNED:
            return False
        return True

    def _after(self, motion: JointMotion, elapsed: float) -> JointMotion:
        """The planned motion after ``elapsed`` [s], at rest to the last bit where it rests."""
        if elapsed <= 0.0:
            return motion
        position, velocity, acceleration = map(np.array, self._trajectory.at_time(elapsed))
        if elapsed >= self._trajectory.duration:
            velocity = np.array(self._input.target_velocity)
            acceleration = np.zeros(len(position))
        return JointMotion(position, velocity, acceleration)


def _extrema(profile: Profile) -> tuple[float, float]:
    """Least and greatest position of one joint's way to rest.

    Ruckig's own ``position_extrema`` takes the end of a way to a velocity for zero.
    """
    seen = list(profile.p)
    for phase, (length, jerk) in enumerate(zip(profile.t, profile.j, strict=True)):
        v, a = profile.v[phase], profile.a[phase]
        if v * profile.v[phase + 1] >= 0.0:
            continue
        # It turns round within this phase, where v + a t + j t^2 / 2 = 0.
        root = math.sqrt(max(a * a - 2.0 * jerk * v, 0.0))
        t = -2.0 * v / (a + math.copysign(root, a)) if a or root else 0.0
        if not 0.0 <= t <= length and jerk:
            t = (-a - math.copysign(root, a)) / jerk
        seen.append(profile.p[phase] + t * (v + t * (a / 2.0 + t * jerk / 6.0)))
    return min(seen), max(seen)


class _Line:
    """Plans along a straight line of joint space, in units of the fastest motion along it.

    Args:
        limits: The bounds to keep.
    """

    def __init__(self, limits: JointLimits) -> None:
        self._limits = limits
        self._ruckig = Ruckig(1)
        self._trajectory = Trajectory(1)
        self._input = InputParameter(1)
        self._input.max_velocity = [1.0]

    def follow(
        self,
        motion: JointMotion,
        way: FloatArray,
        velocity: FloatArray,
        interface: ControlInterface,
        elapsed: float,
    ) -> JointMotion | None:
        """The motion after going on for ``elapsed`` [s], or None if it is not on the line.

        Args:
            motion: From where.
            way: (N,) from there to the end of the line.
            velocity: (N,) at the end.
            interface: Whether the end counts, or its velocity alone.
            elapsed: The time.
        """
        limits, plan = self._limits, self._input
        length = float((np.abs(way) / limits.velocity).max())
        if length < _ROUNDING:
            return None
        unit = way / length
        speed, change, goal = (
            self._along(part, unit, bound)
            for part, bound in (
                (motion.velocity, limits.velocity),
                (motion.acceleration, limits.acceleration),
                (velocity, limits.velocity),
            )
        )
        if speed is None or change is None or goal is None:
            return None
        across = np.abs(unit) + 1e-300
        most = float((limits.acceleration / across).min())
        plan.control_interface = interface
        plan.max_acceleration = [most]
        plan.max_jerk = [float((limits.jerk / across).min())]
        plan.current_position, plan.target_position = [0.0], [length]
        plan.current_velocity = [min(1.0, max(-1.0, speed))]
        plan.current_acceleration = [min(most, max(-most, change))]
        plan.target_velocity = [goal := min(1.0, max(-1.0, goal))]
        try:
            self._ruckig.calculate(plan, self._trajectory)
        except _UNPLANNED:
            return None
        (far,), (fast,), (faster,) = self._trajectory.at_time(elapsed)
        if elapsed >= self._trajectory.duration:
            fast, faster = goal, 0.0
        return JointMotion(motion.position + far * unit, fast * unit, faster * unit)

    def _along(self, part: FloatArray, unit: FloatArray, bound: FloatArray) -> float | None:
        """``part`` (N,) as a multiple of ``unit`` (N,), or None if it is not one."""
        scaled = unit / self._limits.velocity
        share = float(part / self._limits.velocity @ scaled / (scaled @ scaled))
        return None if (np.abs(part - share * unit) > _STRAIGHT * bound).any() else share
