# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moves a robot that takes joint targets: what a drive makes of targets, and of twists.

Targets and the ramp are in joint space. Workspace, tilt, the tool's speed and obstacles bound the
tool, whose motion follows from the joints' by the robot's kinematics; they slow the joints along
the way these are on, all together, and never bend it.
"""

from __future__ import annotations

import numpy as np

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.drive import Command, Shaping
from magma_ros.guard.fences import Fences
from magma_ros.guard.jog import joint_speeds
from magma_ros.guard.joint_ramp import JointMotion, JointRamp
from magma_ros.guard.joint_track import JointTrack
from magma_ros.guard.joints import JointConfig
from magma_ros.guard.track import Estimate
from magma_ros.guard.validate import joint_malformation, malformation
from magma_ros.guard.watch import Watch
from magma_ros.types import FloatArray, JointCommand, Source, TwistCommand

_SAMPLES = 5
"""Points of a stopping path that are checked against the workspace."""

_CARRY = 2.0
"""Updates for which a target with a velocity moves on when no newer one has come."""

_UNREACHED = 0.5
"""Share of a twist that the joints may fail to give before they do not follow it at all."""

NO_DESCRIPTION = (
    "This robot is commanded joint by joint, so a twist needs its description: give body.urdf in "
    "the robot's file."
)


class JointDrive:
    """Moves a robot that takes joint targets; see :class:`~magma_ros.guard.drive.Drive`.

    Args:
        config: Settings of the guard.
        joints: The robot's joints.
        heard: Where they are, and what is near.
        latest: Longest time from one update to the next that counts [s].
    """

    quiet = True

    def __init__(
        self, config: GuardConfig, joints: JointConfig, heard: Watch, latest: float
    ) -> None:
        assert heard.joints is not None
        self._config, self._joints, self._heard = config, joints, heard
        self._track: JointTrack = heard.joints
        self._latest = latest
        self._ramp = JointRamp(joints.limits)
        self._fences = Fences(config.limits, config.workspace, config.point, config.tilt, latest)
        limits = joints.limits
        self._reaction = latest + limits.acceleration / limits.jerk
        self.clear()

    @property
    def at_rest(self) -> bool:
        """Whether the last command is at rest."""
        return self._motion is None or self._motion.at_rest

    @property
    def twist(self) -> FloatArray:
        """(6,) the tool's velocity by the last command; zero where that is not known."""
        return self._twist

    @property
    def joints(self) -> JointMotion | None:
        """The last command; None before all joints were measured."""
        return self._motion

    def clear(self) -> None:
        """Forget everything: the joints are at rest."""
        self._motion: JointMotion | None = None
        self._released = True  # the next command begins where the joints are measured
        self._travel: FloatArray = np.zeros(len(self._joints.limits.names))
        self._twist: FloatArray = np.zeros(6)

    def cut(self) -> None:
        """Be at rest at once."""
        if self._motion is not None:
            self._motion = JointMotion(self._motion.position)
        self._twist = np.zeros(6)

    def release(self) -> None:
        """Nothing is sent from now on, so that others may move the joints."""
        self._released = True

    def lose(self, now: float) -> None:
        """Nobody knows for how long velocities were carried out; positions are where they are."""
        self._heard.track.lose(now)
        if self._joints.by_velocity:
            self._track.lose(now)

    def obstacle(self, driver: Source) -> str:
        """Why ``driver`` can never drive this robot, in one sentence, or empty."""
        if driver is Source.TELEOP and self._joints.kinematics is None:
            return NO_DESCRIPTION
        return ""

    def malformation(self, command: Command) -> str | None:
        """What is wrong with a command in itself, in one sentence, or None."""
        if isinstance(command, JointCommand):
            return joint_malformation(command, self._joints.limits)
        if self._joints.kinematics is None:
            return NO_DESCRIPTION
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
        """Make the next command; see :meth:`~magma_ros.guard.drive.Drive.step`."""
        motion, lost = self._begun(now)
        if motion is None:
            return None
        shaping = None
        if broken or lost:
            following = self._ramp.halt(motion, elapsed)
        elif command is None:
            following = self._ramp.shift(motion, np.zeros(len(motion.position)), elapsed)
        elif isinstance(command, JointCommand):
            following, shaping = self._targeted(
                motion, command, now - received, now, elapsed, person=person
            )
        else:
            following, shaping = self._jogged(motion, command, now, elapsed, person=person)
        if not self._permits(motion, following):
            following = self._ramp.halt(motion, elapsed)
        self._send(motion, following, now, elapsed)
        return shaping

    def _begun(self, now: float) -> tuple[JointMotion | None, bool]:
        """The motion to go on from, or None before one is known; and whether sight was lost.

        A robot that takes positions is where it was sent, unless nothing was sent for a while. One
        that takes velocities is where it was measured, carried on by those sent since.
        """
        track, motion = self._track, self._motion
        fresh = track.known and now - track.seen <= self._config.state_timeout
        if motion is None or (self._released and motion.at_rest):
            if fresh:
                motion = JointMotion(track.positions.copy())
                self._released = False
            return motion, not fresh
        if not self._joints.by_velocity:
            return motion, False
        if fresh:
            position = track.positions + track.travelled(now)
            motion = JointMotion(position, motion.velocity, motion.acceleration)
        return motion, not fresh

    def _send(self, before: JointMotion, motion: JointMotion, now: float, elapsed: float) -> None:
        self._motion = motion
        self._travel = self._travel + elapsed * before.velocity
        self._track.record(now, self._travel if self._joints.by_velocity else motion.position)
        kinematics = self._joints.kinematics
        if kinematics is not None:
            moving = bool(motion.velocity.any())
            jacobian = kinematics.jacobian(motion.position) if moving else np.zeros((6, 1))
            self._twist = jacobian @ motion.velocity if moving else np.zeros(6)
            self._heard.track.sent.record(now, self._twist)

    def _targeted(
        self,
        motion: JointMotion,
        command: JointCommand,
        age: float,
        now: float,
        elapsed: float,
        *,
        person: bool,
    ) -> tuple[JointMotion, Shaping]:
        """One step towards joint targets that came ``age`` [s] ago."""
        limits = self._joints.limits
        at = [command.names.index(name) for name in limits.names]
        target, velocity = command.positions[at], np.zeros(len(at))
        if len(command.velocities):
            velocity = np.clip(command.velocities[at], -limits.velocity, limits.velocity)
            carry = _CARRY * self._config.period
            target = target + min(age, carry) * velocity
            velocity = velocity if age < carry else np.zeros(len(at))
        held = (target < limits.lower) | (target > limits.upper)
        target = np.clip(target, limits.lower, limits.upper)
        velocity = np.where(held, 0.0, velocity)
        following = self._ramp.towards(motion, target, velocity, elapsed)
        detail = ""
        if held.any():
            named = [name for name, far in zip(limits.names, held, strict=True) if far]
            detail = f"held at the limit of {', '.join(named)}"
        if not (pace := following.velocity).any():
            return following, Shaping(1.0, detail)
        # As fast as the joints will be by the time that they cease to accelerate.
        swell = following.acceleration * np.abs(following.acceleration) / (2.0 * limits.jerk)
        pace = pace * float(np.linalg.norm(pace + swell) / np.linalg.norm(pace))
        # The share counts for full speed along the way, as obstacles grade the greatest speed.
        full = float((limits.velocity / np.maximum(np.abs(pace), 1e-12)).min())
        share, why = self._share(motion.position, full * pace, now, person=person)
        if (scale := min(1.0, share * full)) < 1.0:
            return self._ramp.shift(motion, scale * pace, elapsed), Shaping(scale, why)
        return following, Shaping(1.0, detail)

    def _jogged(
        self,
        motion: JointMotion,
        command: TwistCommand,
        now: float,
        elapsed: float,
        *,
        person: bool,
    ) -> tuple[JointMotion, Shaping]:
        """One step along a twist of the tool."""
        kinematics, limits = self._joints.kinematics, self._config.limits
        assert kinematics is not None, "a twist without kinematics is malformed"
        twist: FloatArray = np.asarray(command.twist, np.float64)
        length = limits.linear_speed / limits.angular_speed
        jacobian = kinematics.jacobian(motion.position)
        speeds, missed = joint_speeds(jacobian, twist, length)
        if missed > _UNREACHED:
            rest = self._ramp.shift(motion, np.zeros(len(speeds)), elapsed)
            return rest, Shaping(0.0, "held because the joints cannot move the tool that way here")
        scale, detail = self._within_joints(motion.position, speeds)
        share, why = self._share(motion.position, scale * speeds, now, person=person)
        scale *= share
        return self._ramp.shift(motion, scale * speeds, elapsed), Shaping(scale, why or detail)

    def _within_joints(self, position: FloatArray, speeds: FloatArray) -> tuple[float, str]:
        """The share of joint ``speeds`` (N,) with which each could still stop before its limit.

        The speed v allowed at distance g solves g = v^2 / (2 a) + v t; see
        :meth:`~magma_ros.guard.fences.Fences.approach`.
        """
        limits = self._joints.limits
        gaps = np.where(speeds > 0.0, limits.upper - position, position - limits.lower)
        braking, t = 0.5 * limits.acceleration, self._reaction
        allowed = braking * (np.sqrt(t**2 + 2.0 * np.maximum(gaps, 0.0) / braking) - t)
        allowed = np.minimum(allowed, limits.velocity)
        over = np.abs(speeds) > allowed
        if not over.any():
            return 1.0, ""
        shares = np.divide(allowed, np.abs(speeds), out=np.ones(len(speeds)), where=over)
        index = int(np.argmin(shares))
        name = limits.names[index]
        if allowed[index] >= limits.velocity[index]:
            return float(shares[index]), f"slowed to the speed limit of {name}"
        return float(
            shares[index]
        ), f"slowed {max(gaps[index], 0.0):.3f} before the limit of {name}"

    def _share(
        self, position: FloatArray, speeds: FloatArray, now: float, *, person: bool
    ) -> tuple[float, str]:
        """The share of ``speeds`` (N,) that the tool's bounds and obstacles leave, and why."""
        kinematics, limits = self._joints.kinematics, self._config.limits
        if kinematics is None:
            return self._heard.clearance.share(now)
        twist: FloatArray = kinematics.jacobian(position) @ speeds
        scale = limits.speed_scale(twist)
        detail = "slowed to the tool's speed limit" if scale < 1.0 else ""
        estimate = self._at(position[None])
        _, share, near = self._heard.clearance.limit(
            scale * twist,
            estimate.rotations[0],
            self._heard.track,
            now,
            person=person,
            straighten=False,
        )
        scale *= share
        approach = self._fences.approach(estimate, scale * twist, straighten=False)
        return scale * approach.scale, approach.detail or near or detail

    def _permits(self, motion: JointMotion, following: JointMotion) -> bool:
        """Whether a halt from ``following`` ends within all limits and bounds.

        If it did for the last command, it does for one step of that halt, so there is always a
        permitted command. Velocities are carried out until another one comes.
        """
        begin = following
        if self._joints.by_velocity:
            limits = self._joints.limits
            swell = following.acceleration**2 / (2.0 * limits.jerk)
            fastest = np.sign(following.velocity) * swell + following.velocity
            ahead = following.position + self._latest * fastest
            begin = JointMotion(ahead, following.velocity, following.acceleration)
        path = self._ramp.stopping(begin, motion.position, _SAMPLES)
        if path is None:
            return False
        if self._joints.kinematics is None or np.array_equal(path[-1], motion.position):
            return True
        return self._fences.keeps(self._at(motion.position[None]), self._at(path))

    def _at(self, positions: FloatArray) -> Estimate:
        """Where the tool is at joint positions (M, N)."""
        assert self._joints.kinematics is not None
        poses = [self._joints.kinematics.pose(each) for each in positions]
        return Estimate(np.array([p for p, _ in poses]), np.array([r for _, r in poses]))
