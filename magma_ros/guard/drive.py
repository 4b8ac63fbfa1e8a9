# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a guard moves a robot: by twists here, by joints in ``joint_drive``.

A drive is what differs between kinds of robots: which commands it takes, what is left of one after
limits, obstacles and bounds, and the ramp that leads there. Who may drive, what must be heard and
what follows from silence is the guard's, and the same for all.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.fences import Fences
from magma_ros.guard.joint_ramp import JointMotion
from magma_ros.guard.limits import Motion, Ramp
from magma_ros.guard.track import Estimate
from magma_ros.guard.validate import malformation
from magma_ros.guard.watch import Watch
from magma_ros.types import FloatArray, JointCommand, Source, TwistCommand

Command = TwistCommand | JointCommand
"""What a driver may send."""


class Shaping(NamedTuple):
    """What is left of a driver's command.

    Attributes:
        scale: Share of it that is aimed at, 0..1.
        detail: What demands that, in one sentence, or empty.
    """

    scale: float
    detail: str


class Drive(Protocol):
    """Moves a robot.

    Attributes:
        quiet: Whether nothing is sent before somebody has driven: a position that is sent to an
            arm at rest may move it a little.
    """

    quiet: bool

    @property
    def at_rest(self) -> bool:
        """Whether the last command is at rest."""
        ...

    @property
    def twist(self) -> FloatArray:
        """(6,) the tool's velocity by the last command; zero where that is not known."""
        ...

    @property
    def joints(self) -> JointMotion | None:
        """The joints' motion by the last command; None for a robot that takes twists."""
        ...

    def clear(self) -> None:
        """Forget everything: the robot is at rest."""
        ...

    def cut(self) -> None:
        """Be at rest at once."""
        ...

    def release(self) -> None:
        """Nothing is sent from now on: others may move the robot, until somebody drives."""
        ...

    def lose(self, now: float) -> None:
        """What the robot has done since the last command up to ``now`` [s] is not known."""
        ...

    def obstacle(self, driver: Source) -> str:
        """Why ``driver`` can never drive this robot, in one sentence, or empty."""
        ...

    def malformation(self, command: Command) -> str | None:
        """What is wrong with a command in itself, in one sentence, or None."""
        ...

    def step(
        self,
        command: Command | None,
        received: float,
        now: float,
        elapsed: float,
        *,
        person: bool,
        broken: bool,
    ) -> Shaping | None:
        """Make the next command.

        Args:
            command: What the driver asks for, or None to come to rest.
            received: When it came [s].
            now: The time [s].
            elapsed: Time since the last command, at most the longest that counts [s].
            person: Whether a person drives.
            broken: Whether something broke, so that the robot halts.

        Returns:
            What is left of the command, or None if none is followed.
        """
        ...


class TwistDrive:
    """Moves a robot that takes twists; see :class:`Drive`.

    Args:
        config: Settings of the guard.
        heard: Where the end effector is, and what is near.
        latest: Longest time from one update to the next that counts [s].
    """

    quiet = False
    joints = None

    def __init__(self, config: GuardConfig, heard: Watch, latest: float) -> None:
        self._config, self._heard = config, heard
        self._ramp = Ramp(config.limits)
        self._fences = Fences(config.limits, config.workspace, config.point, config.tilt, latest)
        self.clear()

    @property
    def at_rest(self) -> bool:
        """Whether the last command is at rest."""
        return not self._motion.twist.any()

    @property
    def twist(self) -> FloatArray:
        """(6,) the last command [m/s, rad/s]."""
        return self._motion.twist

    def clear(self) -> None:
        """Be at rest."""
        self._motion = Motion()

    def cut(self) -> None:
        """Be at rest at once."""
        self._motion = Motion()

    def release(self) -> None:
        """Nothing: an arm that is sent no twist rests wherever it is."""

    def lose(self, now: float) -> None:
        """Nobody knows when the arm gave up the last twist: only a pose from now on shows it."""
        self._heard.track.lose(now)

    def obstacle(self, driver: Source) -> str:
        """Nothing: everybody may drive by twists."""
        del driver
        return ""

    def malformation(self, command: Command) -> str | None:
        """What is wrong with a command in itself, in one sentence, or None."""
        if isinstance(command, JointCommand):
            return (
                f"the {command.source.value} sends joint targets, but this robot is commanded by "
                "twists; give command_interface and joints in its file, or another policy"
            )
        return malformation(command, self._config.base_frame, self._config.limits)

    def step(
        self,
        command: Command | None,
        received: float,
        now: float,
        elapsed: float,
        *,
        person: bool,
        broken: bool,
    ) -> Shaping | None:
        """Make the next twist; see :meth:`Drive.step`."""
        del received
        estimate = self._heard.track.estimate(now)
        shaping: Shaping | None = None
        twist: FloatArray = np.zeros(6)
        if isinstance(command, TwistCommand) and estimate is not None:
            twist, shaping = self._shaped(command.twist, estimate, now, person=person)
        self._motion = self._next(twist, estimate, elapsed, broken=broken)
        self._heard.track.sent.record(now, self._motion.twist)
        return shaping

    def _shaped(
        self, asked: FloatArray, estimate: Estimate, now: float, *, person: bool
    ) -> tuple[FloatArray, Shaping]:
        """The twist to aim at, and what is left of ``asked`` in it."""
        limits = self._config.limits
        twist: FloatArray = np.asarray(asked, dtype=np.float64)
        scale = limits.speed_scale(twist)
        detail = "slowed to the speed limit" if scale < 1.0 else ""
        twist = scale * twist
        twist, share, near = self._heard.clearance.limit(
            twist, estimate.rotations[0], self._heard.track, now, person=person
        )
        approach = self._fences.approach(estimate, share * twist)
        detail = approach.detail or near or detail
        share *= approach.scale
        return approach.scale * approach.twist, Shaping(scale * share, detail)

    def _next(
        self, twist: FloatArray, estimate: Estimate | None, elapsed: float, *, broken: bool
    ) -> Motion:
        """One ramp step towards ``twist``, or a halt where nothing else is safe."""
        if broken or estimate is None:
            return self._ramp.halt(self._motion, elapsed)
        motion = self._ramp.towards(self._motion, twist, elapsed)
        if not motion.twist.any() or self._fences.permits(estimate, motion.twist):
            return motion
        return self._ramp.halt(self._motion, elapsed)
