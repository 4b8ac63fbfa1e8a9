# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only way to the arm: commands go in, and what is safe of them comes out.

An update is a row of small pieces: watchdogs, the driver's newest command, speed limit, proximity,
workspace box, and last the ramp, so that acceleration stays bounded whatever the others decide. A
person's commands pass through the very same row. This is a software stop, not a certified safety
function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.limits import Motion, Ramp
from magma_ros.guard.modes import TRANSITIONS, ModeSwitch, Request
from magma_ros.guard.validate import malformation, untimeliness
from magma_ros.types import Answer, FloatArray, Mode, Pose, Source, StopReason, TwistCommand

DRIVERS: Mapping[Mode, Source] = {Mode.AUTO: Source.POLICY, Mode.TELEOP: Source.TELEOP}
"""Who drives in which mode; in the others nobody does."""


@dataclass(frozen=True, slots=True, eq=False)
class GuardOutput:
    """What the arm is told by one update, and why.

    Attributes:
        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame, to be held until
            the next update.
        gripper: Target opening (1 = open), or None while no driver has given one.
        mode: Who drives.
        reason: Why the arm is in HOLD or STOPPED, else None.
        source: Who the twist comes from; GUARD while it ramps the arm down or keeps it still.
        scale: Share of the driver's twist that is aimed at, 0..1; 1 when nobody drives.
        detail: What slows the arm or what went wrong, in one sentence, or empty.
    """

    twist: FloatArray
    gripper: float | None
    mode: Mode
    reason: StopReason | None
    source: Source
    scale: float
    detail: str


class Guard:
    """Decides what reaches the arm.

    All times are seconds on one clock that never runs back; stamps must have been brought onto it.
    No call may come from two threads at once.

    Args:
        config: Settings.
    """

    def __init__(self, config: GuardConfig | None = None) -> None:
        self._config = config or GuardConfig()
        limits = self._config.limits
        self._ramp = Ramp(limits)
        self._switch = ModeSwitch(self._config.start_mode)
        self._motion = Motion()
        self._gripper: float | None = None
        self._command: TwistCommand | None = None  # the driver's newest
        self._heard: dict[Source, float] = {}  # when each source last sent a good command
        self._stamps: dict[Source, float] = {}  # what that command was stamped
        self._pose: Pose | None = None
        self._position: FloatArray = np.zeros(
            3
        )  # the pose's, carried on by what was commanded since
        self._carried = 0.0  # up to when [s]
        self._clearance: tuple[float, float] | None = None  # distance [m], when reported [s]
        self._since: float | None = None  # start of driving; None until AUTO's first twist and pose
        self._bridging = False  # a new driver waits for the arm to be at rest
        self._updated: float | None = None
        self._latest_update = 2.0 * self._config.period
        # Before soft braking towards a face takes hold: an update, the jerk, and half a halt.
        full_speed = np.array([limits.linear_speed, 0, 0, limits.angular_speed, 0, 0])
        self._reaction = (
            self._latest_update
            + limits.linear_acceleration / limits.linear_jerk
            + 0.5 * limits.stop_time(full_speed)
        )

    def submit(self, command: TwistCommand, now: float) -> Answer:
        """Offer a twist at ``now`` [s].

        A malformed one from whoever drives makes the arm hold. One from anybody else only shows
        that its sender is alive.
        """
        config = self._config
        source = command.source
        if (wrong := malformation(command, config.base_frame)) is not None:
            if source is self._driver:
                self._hold(now, StopReason.INVALID_COMMAND, wrong)
            return Answer(accepted=False, sentence=wrong)
        wrong = untimeliness(
            command,
            now,
            newest=self._stamps.get(source, -math.inf),
            max_age=config.max_command_age,
            future_tolerance=config.future_tolerance,
        )
        if wrong is not None:
            return Answer(accepted=False, sentence=wrong)
        self._heard[source], self._stamps[source] = now, command.stamp
        if source is not self._driver:
            return Answer(accepted=True, sentence=f"noted, but the {source.value} does not drive")
        if self._since is None and (self._pose is not None or config.state_timeout is None):
            self._since = now  # both ends have been heard of: from here on silence is a fault
        if self._bridging:
            return Answer(accepted=True, sentence="noted, but the arm must come to rest first")
        self._command = command
        return Answer(accepted=True, sentence="the arm follows")

    def submit_gripper(self, opening: float, source: Source) -> Answer:
        """Offer a gripper target, 0 (closed) to 1 (open); the last one taken stays in force."""
        if not 0.0 <= opening <= 1.0:
            return Answer(
                accepted=False,
                sentence=f"the {source.value} gripper must be between 0 and 1, not {opening}",
            )
        if source is not self._driver or self._bridging:
            return Answer(accepted=False, sentence=f"ignored: the {source.value} does not drive")
        self._gripper = opening
        return Answer(accepted=True, sentence="the gripper follows")

    def report_pose(self, pose: Pose, now: float) -> Answer:
        """Tell where the end effector is; without fresh poses nothing moves."""
        if pose.position.shape != (3,) or not np.isfinite(pose.position).all():
            return Answer(
                accepted=False,
                sentence=f"a position must be three finite numbers, not {pose.position.tolist()}",
            )
        if not pose.stamp - now <= self._config.future_tolerance:
            return Answer(
                accepted=False,
                sentence=f"the pose is stamped {pose.stamp - now:.3f} s in the future; "
                "synchronise the clocks",
            )
        self._pose = pose
        self._position, self._carried = pose.position, pose.stamp
        return Answer(accepted=True, sentence="the pose is taken")

    def report_clearance(self, clearance: float | None, now: float) -> Answer:
        """Tell the distance [m] to the nearest obstacle (REP 117), or None for no sensor."""
        if clearance is not None and math.isnan(clearance):
            return Answer(accepted=False, sentence="a clearance must be a number, not nan")
        self._clearance = None if clearance is None else (clearance, now)
        return Answer(accepted=True, sentence="the clearance is taken")

    def take_over(self, now: float) -> Answer:
        """A person takes the arm, from AUTO or HOLD."""
        return self._change(now, Request.TAKE_OVER)

    def hand_back(self, now: float) -> Answer:
        """A person gives the arm to the policy, from TELEOP or HOLD."""
        return self._change(now, Request.HAND_BACK)

    def hold(self, now: float, reason: StopReason = StopReason.OPERATOR_HOLD) -> Answer:
        """Decelerate and wait for a person."""
        return self._hold(now, reason)

    def request_help(self, now: float, why: str) -> Answer:
        """The policy asks a person for help: while it drives, decelerate and wait for one."""
        if self._driver is not Source.POLICY:
            return Answer(accepted=False, sentence="The policy asks for help, but does not drive.")
        return self._hold(now, StopReason.HELP_REQUESTED, why)

    def stop(self, now: float, reason: StopReason = StopReason.OPERATOR_STOP) -> Answer:
        """Halt, from any mode."""
        return self._change(now, Request.STOP, reason)

    def reset(self, now: float) -> Answer:
        """Clear the latched reason: STOPPED becomes HOLD, HOLD becomes AUTO."""
        return self._change(now, Request.RESET)

    def update(self, now: float) -> GuardOutput:
        """The command to send at ``now`` [s]."""
        elapsed = 0.0 if self._updated is None else now - self._updated
        elapsed = min(max(elapsed, 0.0), self._latest_update)
        self._updated = now
        self._position = self._position + max(now - self._carried, 0.0) * self._motion.twist[:3]
        self._carried = now
        self._watch(now)
        command = self._wanted(now)
        scale, detail = 1.0, self._switch.detail
        twist = np.zeros(6)
        if command is not None:
            twist = np.asarray(command.twist, dtype=np.float64)
            scale, detail = self._scale(twist, now)
            twist = scale * twist
        self._motion = self._next(twist, elapsed)
        if self._bridging and not self._motion.twist.any():
            self._bridging = False
        return GuardOutput(
            twist=self._motion.twist.copy(),
            gripper=self._gripper,
            mode=self._switch.mode,
            reason=self._switch.reason,
            source=Source.GUARD if command is None else command.source,
            scale=scale,
            detail=detail,
        )

    @property
    def _driver(self) -> Source | None:
        return DRIVERS.get(self._switch.mode)

    def _hold(self, now: float, reason: StopReason, detail: str = "") -> Answer:
        return self._change(now, Request.HOLD, reason, detail)

    def _change(
        self, now: float, request: Request, reason: StopReason | None = None, detail: str = ""
    ) -> Answer:
        before = self._switch.mode
        after = TRANSITIONS.get((before, request))
        driver = None if after is None else DRIVERS.get(after)
        if driver is not None and (obstacle := self._obstacle(driver, now)):
            return Answer(accepted=False, sentence=obstacle)
        answer = self._switch.request(request, reason, detail)
        if self._switch.mode is not before:
            self._since, self._command = now, None
            self._bridging = self._driver is not None and bool(self._motion.twist.any())
        return answer

    def _obstacle(self, driver: Source, now: float) -> str:
        """Why ``driver`` cannot start to drive, or empty."""
        config = self._config
        patience = config.state_timeout
        if patience is not None and (self._pose is None or now - self._pose.stamp > patience):
            return "The robot reports no fresh pose; start its driver, then ask again."
        heard = self._heard.get(Source.POLICY, -math.inf)
        if driver is Source.POLICY and now - heard > config.policy_timeout:
            return "The policy sends no commands; start it, then ask again."
        return ""

    def _watch(self, now: float) -> None:
        """Hold when the driver or the robot has fallen silent."""
        if self._driver is None or self._since is None:
            return
        config = self._config
        patience, reason = (
            (config.policy_timeout, StopReason.POLICY_SILENT)
            if self._driver is Source.POLICY
            else (config.teleop_patience, StopReason.TELEOP_SILENT)
        )
        silence = now - max(self._heard.get(self._driver, -math.inf), self._since)
        if silence > patience:
            said = f"the last {self._driver.value} twist came {silence:.3f} s ago"
            self._hold(now, reason, said)
        elif config.state_timeout is not None:
            seen = -math.inf if self._pose is None else self._pose.stamp
            if (silence := now - max(seen, self._since)) > config.state_timeout:
                said = f"the last pose is {silence:.3f} s old"
                self._hold(now, StopReason.STATE_SILENT, said)

    def _wanted(self, now: float) -> TwistCommand | None:
        """The twist to follow, or None if the arm is to be still."""
        command = self._command
        if command is None or (self._pose is None and self._config.state_timeout is not None):
            return None
        age = now - self._heard[command.source]
        if command.source is Source.TELEOP and age > self._config.teleop_timeout:
            return None
        return command

    def _scale(self, twist: FloatArray, now: float) -> tuple[float, str]:
        """The share of ``twist`` to aim at, and what has the last word on it."""
        config = self._config
        scale, detail = config.limits.speed_scale(twist), ""
        if scale < 1.0:
            detail = "slowed to the speed limit"
        if self._clearance is not None:
            clearance, reported = self._clearance
            if now - reported > config.proximity.timeout:
                scale, detail = 0.0, "held because the clearance sensor has fallen silent"
            elif (share := config.proximity.scale(clearance)) < 1.0:
                scale *= share
                detail = f"slowed because an obstacle is {clearance:.3f} m away"
        if config.workspace is not None:
            approach = config.workspace.approach(
                self._position,
                scale * twist,
                deceleration=0.5 * config.limits.linear_acceleration,
                reaction=self._reaction,
            )
            if approach.scale < 1.0:
                scale *= approach.scale
                detail = f"slowed {approach.gap:.3f} m before the {approach.face} workspace face"
        return scale, detail

    def _next(self, twist: FloatArray, elapsed: float) -> Motion:
        """One ramp step towards ``twist``, or a halt where nothing else is safe."""
        if self._switch.halts:
            return self._ramp.halt(self._motion, elapsed)
        motion = self._ramp.towards(self._motion, twist, elapsed)
        workspace = self._config.workspace
        if workspace is None or not motion.twist.any():
            return motion
        inside = workspace.can_stop(
            self._position,
            motion.twist,
            stop_time=self._config.limits.stop_time(motion.twist),
            reaction=self._latest_update,
        )
        return motion if inside else self._ramp.halt(self._motion, elapsed)
