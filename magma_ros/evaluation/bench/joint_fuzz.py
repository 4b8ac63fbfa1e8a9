# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The random messages of ``guard_fuzz`` to a guard of a robot that is commanded by joints."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from magma_ros.evaluation.bench.guard_fuzz import EXCURSION, WEIRD, Fuzz, FuzzResult, run_fuzz
from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import CommandInterface, GuardConfig, GuardOutput, JointConfig
from magma_ros.types import FloatArray, JointCommand, Source

HOME = (0.0, 0.4, 2.0, 0.74, 0.0)
"""Where the simulated arm begins: its tool points down in the middle of its box [rad]."""

NEAR = (0.5, 0.3, 0.3, 0.5, 2.5)
"""How far most targets are from there at most, so that the joints move freely [rad]."""

FAST = {"linear_speed": 2.0, "angular_speed": 20.0}
"""Speed limits of the tool [m/s, rad/s]: so high that those of the joints are what counts."""

PACE = 0.25
"""Most of a joint's speed limit that a moving target asks for; beyond it some do [-]."""

ENDLESS = "wrist_roll"
"""The joint that turns without end here."""

FAR = (-9e3, -4.0, 0.5, 7.0, 9e3)
"""Targets of that joint; some are so far off that not every way there can be planned [rad]."""

BEYOND = (-2e4, 1e9, -1e12, 1e300)
"""Targets of that joint that nobody can mean [rad]."""

SHARE_BEYOND = 0.002
"""Share of the commands that ask for one of these."""

_ROUNDING = 1e-6
"""Share of a limit that rounding may add."""


def fuzz_joints(
    messages: int,
    seed: int = 0,
    interface: CommandInterface = CommandInterface.JOINT_TRAJECTORY,
    tell: Callable[[int], object] = lambda _: None,
) -> FuzzResult:
    """Send random messages and requests, and check every command that comes out.

    One joint turns without end. No command may be beyond a joint's position, velocity,
    acceleration or jerk; the tool may not leave its box; and what
    :func:`~magma_ros.evaluation.bench.guard_fuzz.fuzz_guard` looks for.

    Args:
        messages: How many messages and requests.
        seed: Of the random numbers.
        interface: How the robot is commanded; not by twists.
        tell: Called now and then with the number of messages sent so far.
    """
    config = robot_config("sim_joints", endless=(ENDLESS,))
    assert config.joints is not None, "the robot's file names joints"
    # A driver that stops soon: how far the arm goes while the guard is paused is not its doing.
    config = replace(
        config,
        command_hold=2.0 * config.period,
        limits=replace(config.limits, **FAST),
        joints=replace(config.joints, interface=interface),
    )
    return run_fuzz(JointFuzz(config, np.random.default_rng(seed)), messages, tell)


class JointFuzz(Fuzz):
    """A guard, joints that go where they are sent, and everybody who may send something.

    Args:
        config: Settings of the guard.
        rng: Where random numbers come from.
    """

    def __init__(self, config: GuardConfig, rng: np.random.Generator) -> None:
        assert config.joints is not None, "the robot is commanded by joints"
        self._joints: JointConfig = config.joints
        super().__init__(config, rng)

    # The arm

    def _begin(self) -> None:
        self._position: FloatArray = np.array(HOME)
        self._speeds: FloatArray = np.zeros(len(HOME))
        self._moved, self._since = self._now, self._now
        self._measured: list[tuple[float, FloatArray]] = []
        self._target: FloatArray = self._position
        self._drift: FloatArray = np.zeros(len(HOME))

    def _move(self) -> None:
        until = min(self._now, self._since + self._config.command_hold)
        self._position = self._position + max(until - self._moved, 0.0) * self._speeds
        self._moved = self._now

    def _obey(self, output: GuardOutput) -> None:
        if output.joints is None or not output.publish:
            return
        if self._joints.by_velocity:
            self._speeds, self._since = output.joints.velocity, self._now
        else:
            self._position = output.joints.position

    def _rest(self) -> None:
        self._speeds = np.zeros(len(HOME))

    # What is sent

    def _command(self) -> None:
        """Joint targets, of which some move; one in eight is a twist."""
        rng, odd, limits = self._rng, self._odd, self._joints.limits
        if rng.random() < 0.125:
            super()._command()
            return
        if rng.random() < 0.01:
            far = rng.random() < 0.3
            self._target = (
                self._anywhere()
                if far
                else np.array(HOME) + rng.uniform(-1.0, 1.0, len(HOME)) * NEAR
            )
            still = rng.random() < 0.5
            self._drift = (0.0 if still else PACE) * rng.uniform(-1, 1, len(HOME)) * limits.velocity
        order = rng.permutation(len(HOME))
        names = [limits.names[index] for index in order]
        target, drift = self._target[order], self._drift[order]
        if rng.random() < odd:
            target = np.array([self._number(-4.0, 4.0) for _ in range(rng.integers(0, 7))])
        if rng.random() < SHARE_BEYOND:
            target = np.where(
                np.isinf(limits.upper[order]), rng.choice(BEYOND), self._target[order]
            )
        if rng.random() < odd:
            drift = np.array([float(rng.choice(WEIRD)) for _ in range(rng.integers(0, 7))])
        if rng.random() < odd:
            names[int(rng.integers(len(names)))] = str(rng.choice(["elbow", "tail", ""]))
        if rng.random() < odd:
            names = names[: rng.integers(len(names))]
        sources = list(Source) if rng.random() < odd else [Source.POLICY]
        source = sources[rng.integers(len(sources))]
        velocities = drift if drift.any() else np.zeros(0)
        command = JointCommand(self._stamp(), tuple(names), target, velocities, source)
        self._guard.submit(command, self._now)

    def _anywhere(self) -> FloatArray:
        """A target within the limits or a little beyond, and one of :data:`FAR` without limits."""
        limits = self._joints.limits
        share = self._rng.random(len(HOME))
        endless = np.isinf(limits.upper)
        lower, upper = (np.where(endless, 0.0, each) for each in (limits.lower, limits.upper))
        far = np.array(FAR)[(share * len(FAR)).astype(int)]
        near = lower - 0.2 + share * (upper - lower + 0.4)
        target: FloatArray = np.where(endless, far, near)
        return target

    def _state(self) -> None:
        """True positions, perhaps late and in parts, or impossible ones."""
        rng, names = self._rng, self._joints.limits.names
        self._move()
        self._measured = [*self._measured[-40:], (self._now, self._position)]
        due = [each for each in self._measured if each[0] <= self._now - self._late]
        if due:
            stamp, position = due[-1 - int(rng.integers(min(3, len(due))))]
            cut = int(rng.integers(6)) if rng.random() < 0.1 else 0
            for part in (slice(0, cut), slice(cut, None)):
                self._guard.report_joints(names[part], position[part], stamp, self._now)
        if rng.random() < self._odd:
            bad = [math.nan, 0.0, math.inf, 0.0, 0.0][: rng.integers(1, 6)]
            self._guard.report_joints(names, bad, self._stamp(), self._now)

    # What comes out

    def _beyond_limits(self, output: GuardOutput) -> list[str]:
        wrong, joints = [], output.joints
        if output.gripper is not None and not 0.0 <= output.gripper <= 1.0:
            wrong.append("the gripper is beyond its limits")
        if joints is None:
            return wrong
        parts = (joints.position, joints.velocity, joints.acceleration)
        if any(p.shape != (len(HOME),) or not np.isfinite(p).all() for p in parts):
            return [*wrong, "a joint's command is not finite"]
        limits = self._joints.limits
        position = self._position if self._joints.by_velocity else joints.position
        if (position < limits.lower - _ROUNDING).any() or (
            position > limits.upper + _ROUNDING
        ).any():
            wrong.append("a position is beyond its limit")
        if _beyond(joints.velocity, limits.velocity):
            wrong.append("a velocity is beyond its limit")
        if _beyond(joints.acceleration, limits.acceleration):
            wrong.append("an acceleration is beyond its limit")
        tool, _ = (
            self._joints.kinematics.pose(position) if self._joints.kinematics else (None, None)
        )
        if tool is not None and -float(self._config.workspace.gaps(tool).min()) > EXCURSION:
            wrong.append("the tool is out of its box")
        return wrong + self._jumps(output)

    def _jumps(self, output: GuardOutput) -> list[str]:
        """Which bounds the change from the last command breaks."""
        joints, last, limits = output.joints, self._last, self._joints.limits
        if joints is None or last is None or last.joints is None or self._updated is None:
            return []
        elapsed = min(self._now - self._updated, 2.0 * self._config.period)
        wrong = []
        if _beyond(joints.velocity - last.joints.velocity, limits.acceleration * elapsed):
            wrong.append("a velocity has jumped")
        if _beyond(joints.acceleration - last.joints.acceleration, limits.jerk * elapsed):
            wrong.append("an acceleration has jumped")
        step = joints.position - last.joints.position
        if not self._joints.by_velocity and _beyond(step, limits.velocity * elapsed):
            wrong.append("a position has jumped")
        return wrong


def _beyond(values: FloatArray, bounds: FloatArray) -> bool:
    return bool((np.abs(values) > bounds * (1.0 + _ROUNDING) + _ROUNDING).any())
