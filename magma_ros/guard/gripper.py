# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gripper's command: the driver's target at a limited speed, or the measured opening held."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from magma_ros.guard.validate import Timing, untimeliness
from magma_ros.spaces import GRIPPER_NAME
from magma_ros.types import Answer, Source

_SLACK = 0.05
"""How far beyond 0..1 a target may lie: joints do not end exactly at their limits."""

_STILL = 0.01
"""Change of the opening within :data:`_LOOK_BACK` up to which the gripper rests."""

_LOOK_BACK = 0.15
"""Time over which the gripper's motion is judged [s]."""


class GripperCommand(NamedTuple):
    """A target asked of the gripper.

    Attributes:
        stamp: When it was made, on the clock of the messages [s].
        opening: 0 (closed) to 1 (open).
        source: Who asks.
        gripper: Which one, by its name in the robot's file.
    """

    stamp: float
    opening: float
    source: Source
    gripper: str = GRIPPER_NAME


class GripperRamp:
    """Moves the gripper's setpoint.

    The setpoint begins at a measured opening. While nobody drives it stays where the gripper was
    measured last; a gripper that rests against an object keeps its setpoint instead, because
    letting go would be a motion.

    Args:
        speed: Greatest speed [openings/s].
        timeout: Age at which a target or a measurement no longer counts [s].
    """

    def __init__(self, speed: float, timeout: float) -> None:
        self._speed, self._timeout = speed, timeout
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._setpoint: float | None = None
        self._measured: tuple[float, float] | None = None  # opening, when [s]
        self._recent: list[tuple[float, float]] = []
        self._target: tuple[float, float] | None = None  # opening, when it was made [s]
        self._stamps: dict[Source, float] = {}
        self._frozen = True

    def measure(self, opening: float, stamp: float) -> Answer:
        """Take in the measured ``opening``, 0..1, of ``stamp`` [s]."""
        if not -_SLACK <= opening <= 1.0 + _SLACK:
            return Answer(
                accepted=False,
                sentence=f"the measured gripper opening must be between 0 and 1, not {opening:g}",
            )
        if self._measured is not None and stamp <= self._measured[1]:
            return Answer(accepted=False, sentence="the gripper's state is not newer than the last")
        self._measured = min(1.0, max(0.0, opening)), stamp
        self._recent = [m for m in self._recent if m[1] >= stamp - _LOOK_BACK] + [self._measured]
        return Answer(accepted=True, sentence="the opening is taken")

    def submit(self, command: GripperCommand, now: float, offset: float, timing: Timing) -> Answer:
        """Offer a target; see :meth:`Stream.take` for ``offset``."""
        source = command.source
        if not -_SLACK <= command.opening <= 1.0 + _SLACK:
            return Answer(
                accepted=False,
                sentence=f"the {source.value} gripper must be between 0 and 1, "
                f"not {command.opening:g}",
            )
        if self._measured is None:
            return Answer(
                accepted=False,
                sentence="the gripper is not moved, because its opening is not known: check that "
                "joint_states names gripper.joint",
            )
        newest = self._stamps.get(source, -math.inf)
        if newest + offset > now + timing.future_tolerance:
            newest = -math.inf  # the messages' clock was set back
        age = now - (command.stamp + offset)
        wrong = untimeliness(source, age, timing, overtaken=command.stamp < newest)
        if wrong:
            return Answer(accepted=False, sentence=wrong)
        self._stamps[source] = command.stamp
        self._target = min(1.0, max(0.0, command.opening)), now
        return Answer(accepted=True, sentence="the gripper follows")

    def drop(self) -> None:
        """Forget the target: its driver drives no more."""
        self._target = None

    def update(self, now: float, elapsed: float, *, driven: bool) -> float | None:
        """The opening to ask for at ``now`` [s], or None before one was ever measured.

        Args:
            now: The time.
            elapsed: Time since the last update [s].
            driven: Whether somebody drives; if not, the setpoint is frozen.
        """
        self._begin(now)
        if self._setpoint is None:
            return None
        if self._target is not None and now - self._target[1] > self._timeout:
            self._target = None
        if not driven or self._target is None:
            self._freeze(now)
            return self._setpoint
        self._frozen = False
        step = self._speed * elapsed
        self._setpoint += min(step, max(-step, self._target[0] - self._setpoint))
        return self._setpoint

    def _begin(self, now: float) -> None:
        if self._setpoint is None and self._measured is not None and self._fresh(now):
            self._setpoint = self._measured[0]

    def _freeze(self, now: float) -> None:
        """Keep the setpoint from now on, first brought back to where a moving gripper is."""
        if self._frozen:
            return
        self._frozen = True
        if self._measured is None or not self._fresh(now):
            return
        openings = [opening for opening, _ in self._recent]
        if max(openings) - min(openings) > _STILL:
            self._setpoint = self._measured[0]

    def _fresh(self, now: float) -> bool:
        return self._measured is not None and now - self._measured[1] <= self._timeout


class Grippers:
    """All grippers of a robot, each with a setpoint of its own.

    Args:
        names: What the robot's file calls them.
        speed: Greatest speed of each [openings/s].
        timeout: Age at which a target or a measurement no longer counts [s].
    """

    def __init__(self, names: Iterable[str], speed: float, timeout: float) -> None:
        self._ramps = {name: GripperRamp(speed, timeout) for name in names}

    def clear(self) -> None:
        """Forget everything."""
        for ramp in self._ramps.values():
            ramp.clear()

    def drop(self) -> None:
        """Forget the targets: their driver drives no more."""
        for ramp in self._ramps.values():
            ramp.drop()

    def measure(self, name: str, opening: float, stamp: float) -> Answer:
        """Take in the measured ``opening`` of a gripper; see :meth:`GripperRamp.measure`."""
        if (ramp := self._ramps.get(name)) is None:
            return self._unknown(name)
        return ramp.measure(opening, stamp)

    def submit(self, command: GripperCommand, now: float, offset: float, timing: Timing) -> Answer:
        """Offer a target; see :meth:`GripperRamp.submit`."""
        if (ramp := self._ramps.get(command.gripper)) is None:
            return self._unknown(command.gripper)
        return ramp.submit(command, now, offset, timing)

    def update(self, now: float, elapsed: float, *, driven: bool) -> dict[str, float]:
        """What to ask of each gripper that was ever measured; see :meth:`GripperRamp.update`."""
        asked = {name: r.update(now, elapsed, driven=driven) for name, r in self._ramps.items()}
        return {name: opening for name, opening in asked.items() if opening is not None}

    def _unknown(self, name: str) -> Answer:
        known = ", ".join(self._ramps)
        return Answer(accepted=False, sentence=f"the robot has no gripper {name}, but {known}")
