# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slows the arm along its commanded path as obstacles come near; the path is never bent.

Graded slowing keeps missions alive where stop-or-go ends them and sideways avoidance confuses the
policy, whose command would be altered. Where the obstacle lies is known from a direction:
then only motion towards it is slowed, and the arm may always retreat. Without a direction a person
may still move slowly whichever way is free; between several a person may creep away from the
nearest, even towards others that are farther away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.guard.obstacles import (
    Obstacles,
    Sides,
    kept,
    malformation,
    separating_speed,
    sides,
    way_out,
)
from magma_ros.guard.track import Track
from magma_ros.guard.workspace import direction
from magma_ros.types import Answer, FloatArray


class OnSilence(Enum):
    """What a silent clearance sensor means."""

    HOLD = "hold"
    SLOW = "slow"
    IGNORE = "ignore"


class ClearanceSource(Enum):
    """Which measurement of obstacles counts."""

    RANGE = "range"
    VECTORS = "vectors"


@dataclass(frozen=True, slots=True)
class Proximity:
    """How clearance becomes speed.

    Attributes:
        stop_distance: Clearance at and below which the arm does not come nearer [m].
        slow_distance: Clearance from which on it moves freely [m].
        timeout: Age at which a clearance no longer counts [s].
        source: RANGE for one distance, VECTORS for a vector to each of several obstacles.
        required: Whether there is a sensor; one that has been received once is required as well,
            and so is whatever gives vectors.
        on_silence: What follows when a required sensor has fallen silent: HOLD makes AUTO hold
            and a person creep, SLOW makes both creep, IGNORE takes it for free space.
        creep_speed: Speed at which the arm may move though it cannot tell whether that is towards
            an obstacle [m/s]; angular speed is scaled alike.
        approach_speed: Speed at which an obstacle itself may come nearer [m/s], 0 for one that
            stands still; see :func:`~magma_ros.guard.obstacles.separating_speed`.
        direction: From the end effector to the obstacle (3,), or empty if that is not known.
        in_tool: Whether the direction is in the end effector's frame, not in the base frame.

    Raises:
        GuardConfigError: The distances are not 0 <= stop < slow, another number is not positive,
            or the direction is not three finite numbers with a length.
    """

    stop_distance: float = 0.03
    slow_distance: float = 0.15
    timeout: float = 0.5
    source: ClearanceSource = ClearanceSource.RANGE
    required: bool = False
    on_silence: OnSilence = OnSilence.HOLD
    creep_speed: float = 0.02
    approach_speed: float = 0.0
    direction: Sequence[float] = ()
    in_tool: bool = False

    def __post_init__(self) -> None:
        require_positive(self, "slow_distance", "timeout", "creep_speed")
        if not 0.0 <= self.stop_distance < self.slow_distance:
            raise GuardConfigError(
                f"the guard's stop_distance ({self.stop_distance} m) must not be negative and must "
                f"be below its slow_distance ({self.slow_distance} m)"
            )
        if not (math.isfinite(self.approach_speed) and self.approach_speed >= 0.0):
            raise GuardConfigError(
                f"the guard's approach_speed must not be negative, but is {self.approach_speed}"
            )
        if len(self.direction):
            direction(self.direction, "the guard's proximity direction")

    @property
    def expected(self) -> bool:
        """Whether a sensor must be there from the beginning."""
        return self.required or self.source is ClearanceSource.VECTORS

    def share(self, clearance: FloatArray | float) -> FloatArray:
        """Share of full speed, 0..1, at which the arm may approach an obstacle ``clearance`` away.

        Following REP 117, +inf [m] means that nothing is in range and -inf that something is too
        close to measure.
        """
        part = (clearance - self.stop_distance) / (self.slow_distance - self.stop_distance)
        return np.clip(part, 0.0, 1.0)


class Arm(NamedTuple):
    """What slowing for obstacles must know of the arm.

    Attributes:
        speed: Its linear speed limit [m/s].
        deceleration: With which it slows down [m/s^2].
        reaction: Longest time from a decision until it is carried out [s].
    """

    speed: float
    deceleration: float
    reaction: float


@dataclass(frozen=True, slots=True, eq=False)
class Clearance:
    """One measurement of the distance to the nearest obstacle.

    Attributes:
        stamp: When it was measured [s].
        distance: [m], following REP 117.
        lowest: Least distance that the sensor measures [m].
        highest: Greatest distance that it measures [m]; 0 if unknown.
        direction: Unit vector (3,) to the obstacle in the base frame, or None if not known.
    """

    stamp: float
    distance: float
    lowest: float = 0.0
    highest: float = 0.0
    direction: FloatArray | None = None


class ClearanceWatch:
    """Keeps the newest measurement of obstacles and limits the speed by it.

    Args:
        config: Settings.
        base_frame: The frame that vectors must be in.
        arm: The arm that is slowed.
        future_tolerance: How far a stamp may lie ahead of now [s].
    """

    def __init__(
        self, config: Proximity, base_frame: str, arm: Arm, future_tolerance: float
    ) -> None:
        self._config, self._base_frame, self._arm = config, base_frame, arm
        self._future_tolerance = future_tolerance
        self._fixed = (
            direction(config.direction, "the guard's proximity direction")
            if len(config.direction)
            else None
        )
        self._newest: Clearance | Obstacles | None = None
        self._since: float | None = None

    def start(self, now: float) -> None:
        """Begin to wait for the sensor, with nothing measured yet."""
        self._newest, self._since = None, now

    def report(self, measured: Clearance | Obstacles, now: float) -> Answer:
        """Take in a measurement, unless it is none."""
        vectors = isinstance(measured, Obstacles)
        if vectors != (self._config.source is ClearanceSource.VECTORS):
            return Answer(accepted=True, sentence="noted, but the other source of clearance counts")
        if isinstance(measured, Obstacles):
            wrong = malformation(measured, self._base_frame)
        else:
            wrong = _wrong(measured)
        if wrong := wrong or self._untimely(measured.stamp, now):
            return Answer(accepted=False, sentence=wrong)
        self._newest = measured
        return Answer(accepted=True, sentence="the clearance is taken")

    def silence(self, now: float) -> str:
        """Since when nothing usable came from a sensor that must be there, or empty."""
        config = self._config
        if config.on_silence is OnSilence.IGNORE:
            return ""
        if self._newest is None:
            if not config.expected or self._since is None:
                return ""
            waited = now - self._since
            return f"no clearance came for {waited:.2f} s" if waited > config.timeout else ""
        age = now - self._newest.stamp
        return f"the last clearance is {age:.2f} s old" if age > config.timeout else ""

    def missing(self, now: float) -> str:
        """Why AUTO cannot begin for lack of a clearance, or empty."""
        config = self._config
        if config.on_silence is not OnSilence.HOLD:
            return ""
        if self._newest is None:
            return "the clearance sensor has reported nothing yet" if config.expected else ""
        return self.silence(now)

    def limit(
        self,
        twist: FloatArray,
        rotation: FloatArray,
        track: Track,
        now: float,
        *,
        person: bool,
        straighten: bool = True,
    ) -> tuple[FloatArray, float, str]:
        """What obstacles leave of ``twist`` (6,).

        Args:
            twist: What is asked for, within the speed limits.
            rotation: (3, 3) from the end effector's frame to the base frame.
            track: Tells how the arm has moved since a measurement.
            now: The time [s].
            person: Whether a person drives, who may creep where the direction is not known, and
                away from the nearest of several obstacles.
            straighten: Whether components may be left out that cannot be meant.

        Returns:
            The twist without what was negligible, the share of it to keep, and why.
        """
        newest = self._newest
        if self.silence(now):
            scale = self._creeping(twist)
            return twist, scale, "creeping because the clearance sensor has fallen silent"
        if newest is None or now - newest.stamp > self._config.timeout:
            return twist, 1.0, ""
        age = max(now - newest.stamp, 0.0)
        if isinstance(newest, Obstacles):
            rows = sides(newest, track.since(newest.stamp, now))
            allowed = self._allowed(rows.gaps, age)
            left, scale, why = _slowed(twist, rows, allowed, straighten=straighten)
            out = way_out(left, rows, self._config.creep_speed) if person and scale < 1.0 else 0.0
            return left, max(scale, out), f"{why}; creeping out" if out > scale else why
        distance = np.array([newest.distance])
        allowed = self._allowed(distance, age)
        towards = self._towards(newest, rotation)
        if towards is not None:
            rows = Sides(distance, np.array([[*towards, 0, 0, 0]]))
            return _slowed(twist, rows, allowed, straighten=straighten)
        share = min(float(allowed[0]) / self._arm.speed, 1.0)
        if share >= 1.0:
            return twist, 1.0, ""
        return twist, max(share, self._creeping(twist)) if person else share, _near(distance[0])

    def share(self, now: float) -> tuple[float, str]:
        """The share of any motion to keep where nobody knows what leads nearer, and why."""
        newest = self._newest
        if self.silence(now):
            creeping = min(1.0, self._config.creep_speed / self._arm.speed)
            return creeping, "creeping because the clearance sensor has fallen silent"
        if newest is None or now - newest.stamp > self._config.timeout:
            return 1.0, ""
        distance = newest.nearest if isinstance(newest, Obstacles) else newest.distance
        allowed = self._allowed(np.array([distance]), max(now - newest.stamp, 0.0))
        share = min(float(allowed[0]) / self._arm.speed, 1.0)
        return share, _near(distance) if share < 1.0 else ""

    def _allowed(self, distances: FloatArray, age: float) -> FloatArray:
        """Greatest speed (N,) towards obstacles that were measured ``age`` [s] ago [m/s]."""
        config, arm = self._config, self._arm
        graded = config.share(distances)
        # Above the slow distance nothing slows what stands still.
        allowed = np.where(graded < 1.0, graded * arm.speed, math.inf)
        if config.approach_speed > 0.0:
            gaps = np.clip(distances - config.stop_distance, 0.0, 1e6)
            reaction = age + arm.reaction
            meeting = separating_speed(gaps, config.approach_speed, reaction, arm.deceleration)
            allowed = np.minimum(allowed, meeting)
        return allowed

    def _creeping(self, twist: FloatArray) -> float:
        speed = math.hypot(*twist[:3])
        return min(1.0, self._config.creep_speed / speed) if speed > 0.0 else 1.0

    def _towards(self, clearance: Clearance, rotation: FloatArray) -> FloatArray | None:
        """Unit vector (3,) to the obstacle in the base frame, or None if that is not known."""
        if clearance.direction is not None:
            return clearance.direction
        if self._fixed is None:
            return None
        return np.asarray(rotation @ self._fixed) if self._config.in_tool else self._fixed

    def _untimely(self, stamp: float, now: float) -> str:
        age = now - stamp
        if not -age <= self._future_tolerance:
            return f"the clearance is stamped {-age:.3f} s in the future; synchronise the clocks"
        if age > self._config.timeout:
            return f"the clearance is stale: it was stamped {age:.3f} s ago"
        if self._newest is not None and stamp < self._newest.stamp:
            return "the clearance was overtaken by a newer one"
        return ""


def _slowed(
    twist: FloatArray, rows: Sides, allowed: FloatArray, *, straighten: bool
) -> tuple[FloatArray, float, str]:
    """What is left of a twist where ``allowed`` (N,) is the greatest speed towards each [m/s]."""
    if not len(allowed):
        return twist, 1.0, ""
    left, scale, index = kept(twist, rows, allowed, straighten=straighten)
    if index < 0:
        return left, 1.0, ""
    if scale == 1.0:
        return left, 1.0, "kept from drifting towards an obstacle"
    return left, scale, _near(float(rows.gaps[index]))


def _near(distance: float) -> str:
    return f"slowed because an obstacle is {max(distance, 0.0):.3f} m away"


def _wrong(clearance: Clearance) -> str:
    """What is wrong with a distance in itself, or empty.

    REP 117: what is finite counts only within the range; infinities are as there.
    """
    distance = clearance.distance
    if math.isnan(distance):
        return "a clearance must be a number, not nan; check its sensor"
    if clearance.direction is not None and not np.isfinite(clearance.direction).all():
        return "the direction of a clearance must be finite; check its sensor"
    below = distance < clearance.lowest
    above = 0.0 < clearance.highest < distance
    if math.isfinite(distance) and (below or above):
        return (
            f"the clearance is {distance:.3f} m, outside the {clearance.lowest:.3f} to "
            f"{clearance.highest:.3f} m that its sensor measures"
        )
    return ""
