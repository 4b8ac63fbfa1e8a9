# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only way to the arm: commands go in, and what is safe of them comes out.

An update is a row of small pieces: watchdogs, the driver's newest command, speed limit, proximity,
the bounds on where the arm may be, and last the ramp, so that acceleration stays bounded whatever
the others decide. A person's commands pass through the very same row. This is a software stop, not
a certified safety function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.e_stop import EmergencyStop
from magma_ros.guard.fences import Fences
from magma_ros.guard.gripper import GripperCommand, GripperRamp
from magma_ros.guard.limits import Motion, Ramp
from magma_ros.guard.mismatch import MotionWatch
from magma_ros.guard.modes import TRANSITIONS, ModeSwitch, Request
from magma_ros.guard.proximity import Clearance, ClearanceWatch
from magma_ros.guard.sources import PolicyHealth, PolicyWatch, Stream, TeleopWatch
from magma_ros.guard.track import Estimate, Track
from magma_ros.guard.validate import malformation
from magma_ros.types import Answer, FloatArray, Mode, Pose, Source, StopReason, TwistCommand

DRIVERS: Mapping[Mode, Source] = {Mode.AUTO: Source.POLICY, Mode.TELEOP: Source.TELEOP}
"""Who drives in which mode; in the others nobody does."""

_INACTIVE = "The guard is not active; activate it, then ask again."

_BLOCKED = 0.01
"""Share of the driver's twist at and below which the arm counts as held by what slows it."""


@dataclass(frozen=True, slots=True, eq=False)
class GuardOutput:
    """What the arm is told by one update, and why.

    Attributes:
        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame, to be held until
            the next update.
        gripper: Target opening (1 = open), or None before one was measured.
        mode: Who drives.
        reason: Why the arm is in HOLD or STOPPED, else None.
        source: Who the twist comes from; GUARD while it ramps the arm down or keeps it still.
        scale: Share of the driver's twist that is aimed at, 0..1; 1 when nobody drives.
        detail: What slows the arm or what went wrong, in one sentence, or empty.
        publish: Whether to send this; not any more after a while at rest without a driver, so
            that others may use the same controller.
    """

    twist: FloatArray
    gripper: float | None
    mode: Mode
    reason: StopReason | None
    source: Source
    scale: float
    detail: str
    publish: bool = True

    @property
    def blocked(self) -> bool:
        """Whether the arm is as good as held although its driver wants to move."""
        return self.scale <= _BLOCKED


@dataclass(slots=True)
class Latches:
    """What outlives a guard that is configured anew: why it stopped, and the emergency stop.

    Attributes:
        switch: Mode and reason.
        e_stop: What the emergency stop said last.
    """

    switch: ModeSwitch = field(default_factory=ModeSwitch)
    e_stop: EmergencyStop = field(default_factory=EmergencyStop)


class Guard:
    """Decides what reaches the arm.

    All times are seconds on one clock that never runs back. Stamps are on the clock of the
    messages; ``offset`` is what brings them onto the guard's. A guard begins inactive: it refuses
    requests, hears nothing but the emergency stop, and keeps the arm still. No call may come from
    two threads at once.

    Args:
        config: Settings.
        latches: Those of the guard before this one; a fresh guard is in HOLD.
    """

    def __init__(self, config: GuardConfig, latches: Latches | None = None) -> None:
        self._config = config
        latches = latches or Latches()
        self._switch, self._e_stop = latches.switch, latches.e_stop
        self._ramp = Ramp(config.limits)
        self._latest = 2.0 * config.period  # longest time from one update to the next that counts
        self._fences = Fences(
            config.limits, config.workspace, config.point, config.tilt, self._latest
        )
        self._track = Track(config.response_time, config.state_timeout + config.mismatch.window)
        self._arm = MotionWatch(config.mismatch, self._track)
        self._policy = PolicyWatch(
            config.policy_timeout, config.health_timeout, config.plan_timeout
        )
        self._teleop = TeleopWatch(config.dead_man, config.teleop_timeout, config.teleop_patience)
        self._clearance = ClearanceWatch(config.proximity, config.future_tolerance)
        self._gripper = GripperRamp(config.limits.gripper_speed, config.gripper_timeout)
        self._foreign: dict[Source, str] = {}
        self._active = False
        self._forget(0.0)

    # Life

    def activate(self, now: float) -> None:
        """Begin at rest, with nobody driving and nothing heard; what is latched stays so."""
        self._switch.start_over()
        self._forget(now)
        self._e_stop.start(now)
        self._active = True

    def deactivate(self) -> None:
        """Cease; the last twist of the caller must be zero."""
        self._active = False
        self._switch.start_over()
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._motion = Motion()
        self._command: TwistCommand | None = None  # the driver's newest
        self._since = now  # when the mode began
        self._rested = now  # since when the arm has been at rest without a driver
        self._bridging = False  # a new driver waits for the arm to be at rest
        self._updated: float | None = None
        self._pose_stamp = -math.inf  # of the newest pose, on the clock of the messages
        self._policy.clear()
        self._teleop.clear()
        self._track.clear()
        self._track.lose(now)
        self._arm.start()
        self._clearance.start(now)
        self._gripper.clear()

    # What is heard

    def submit(self, command: TwistCommand, now: float, offset: float = 0.0) -> Answer:
        """Offer a twist at ``now`` [s].

        A malformed one from whoever drives makes the arm hold. One from anybody else only shows
        that its sender is alive.
        """
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        source = command.source
        if (wrong := malformation(command, self._config.base_frame)) is not None:
            if source is self._driver:
                self._change(now, Request.HOLD, StopReason.INVALID_COMMAND, wrong)
            return Answer(accepted=False, sentence=wrong)
        if wrong := self._stream(source).take(command, now, offset, self._config.timing):
            return Answer(accepted=False, sentence=wrong)
        if source is not self._driver:
            return Answer(accepted=True, sentence=f"noted, but the {source.value} does not drive")
        if self._bridging:
            return Answer(accepted=True, sentence="noted, but the arm must come to rest first")
        self._command = command
        return Answer(accepted=True, sentence="the arm follows")

    def submit_gripper(self, command: GripperCommand, now: float, offset: float = 0.0) -> Answer:
        """Offer a gripper target; it must be sent again before it expires."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        source = command.source
        if source is not self._driver or self._bridging:
            return Answer(accepted=True, sentence=f"ignored: the {source.value} does not drive")
        return self._gripper.submit(command, now, offset, self._config.timing)

    def report_health(self, health: PolicyHealth, now: float) -> Answer:
        """Hear what the policy says about itself."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        self._policy.report(health, now)
        return Answer(accepted=True, sentence="the health is noted")

    def report_enable(self, now: float, *, pressed: bool) -> Answer:
        """Hear whether a person presses the dead-man."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        self._teleop.enable(now, pressed=pressed)
        return Answer(accepted=True, sentence="the dead-man is noted")

    def report_e_stop(self, now: float, *, pressed: bool) -> Answer:
        """Hear the emergency stop, also while inactive."""
        self._e_stop.report(now, pressed=pressed)
        if pressed:
            self._switch.request(Request.STOP, StopReason.E_STOP)
            self._on_change(now)
        return Answer(accepted=True, sentence="the emergency stop is noted")

    def report_pose(self, pose: Pose, now: float, offset: float = 0.0) -> Answer:
        """Hear where the end effector was; without fresh poses nothing moves."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        if wrong := self._malformed_pose(pose):
            return Answer(accepted=False, sentence=wrong)
        stamp = pose.stamp + offset
        if stamp - now > self._config.future_tolerance:
            return Answer(
                accepted=False,
                sentence=f"the pose is stamped {stamp - now:.3f} s in the future; "
                "synchronise the clocks",
            )
        if self._pose_stamp + offset > now + self._config.future_tolerance:
            self._pose_stamp = -math.inf  # the messages' clock was set back
        if pose.stamp < self._pose_stamp:
            return Answer(accepted=False, sentence="the pose was overtaken by a newer one")
        self._pose_stamp = pose.stamp
        pose = replace(pose, stamp=min(stamp, now))
        self._track.see(pose)
        if self._driver is not None:
            self._arm.see(pose)
        return Answer(accepted=True, sentence="the pose is taken")

    def report_opening(self, opening: float, stamp: float, now: float) -> Answer:
        """Hear the measured opening of the gripper, with its stamp on the guard's clock [s]."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        if not stamp - now <= self._config.future_tolerance:
            return Answer(
                accepted=False,
                sentence="the gripper's state is stamped in the future; synchronise the clocks",
            )
        return self._gripper.measure(opening, stamp)

    def report_clearance(self, clearance: Clearance, now: float) -> Answer:
        """Hear how far the nearest obstacle is, with its stamp on the guard's clock."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        return self._clearance.report(clearance, now)

    def report_foreign(self, foreign: Mapping[Source, str]) -> None:
        """Hear who publishes where only one may.

        Args:
            foreign: A sentence that names the nodes: under GUARD for the guard's own outputs,
                under POLICY and TELEOP for the inputs of these sources.
        """
        self._foreign = dict(foreign)

    # What is asked for

    def take_over(self, now: float) -> Answer:
        """A person takes the arm, from AUTO or HOLD."""
        return self._request(now, Request.TAKE_OVER)

    def hand_back(self, now: float) -> Answer:
        """A person gives the arm to the policy, from TELEOP or HOLD."""
        return self._request(now, Request.HAND_BACK)

    def hold(self, now: float) -> Answer:
        """A person wants the arm to decelerate and wait."""
        return self._request(now, Request.HOLD, StopReason.OPERATOR_HOLD)

    def request_help(self, now: float, why: str) -> Answer:
        """The policy asks a person for help: while it drives, decelerate and wait for one."""
        if self._driver is not Source.POLICY:
            return Answer(accepted=False, sentence="The policy asks for help, but does not drive.")
        return self._change(now, Request.HOLD, StopReason.HELP_REQUESTED, why)

    def stop(self, now: float) -> Answer:
        """A person wants the arm to halt, from any mode."""
        return self._request(now, Request.STOP, StopReason.OPERATOR_STOP)

    def reset(self, now: float) -> Answer:
        """A person clears the latched reason; the arm goes on waiting in HOLD."""
        trouble = self._e_stop.trouble(now, self._config.e_stop_heartbeat)
        if trouble is not None and self._switch.mode is Mode.STOPPED:
            return Answer(accepted=False, sentence=f"{trouble[0].sentence} {trouble[1]}".strip())
        return self._request(now, Request.RESET)

    def fail(self, now: float, why: str) -> None:
        """Stop because the guard itself has failed."""
        self._change(now, Request.STOP, StopReason.GUARD_FAULT, why)

    # What comes out

    def update(self, now: float) -> GuardOutput:
        """The command to send at ``now`` [s]."""
        elapsed = 0.0 if self._updated is None else max(now - self._updated, 0.0)
        if elapsed > self._config.command_hold:
            # Nobody knows when the arm gave up the last twist: only a pose from now on tells.
            self._track.lose(now)
        elapsed = min(elapsed, self._latest)
        self._updated = now
        self._watch(now)
        estimate = self._track.estimate(now)
        command = self._wanted(now)
        scale, detail = 1.0, self._switch.detail or self._idle_detail(now)
        twist: FloatArray = np.zeros(6)
        if command is not None and estimate is not None:
            twist, scale, detail = self._shaped(command.twist, estimate, now)
        self._motion = self._next(twist, estimate, elapsed)
        self._track.sent.record(now, self._motion.twist)
        at_rest = not self._motion.twist.any()
        self._bridging = self._bridging and not at_rest
        if self._driver is not None or not at_rest:
            self._rested = now
        return GuardOutput(
            twist=self._motion.twist.copy(),
            gripper=self._gripper.update(now, elapsed, driven=self._follows(now)),
            mode=self._switch.mode,
            reason=self._switch.reason,
            source=Source.GUARD if command is None else command.source,
            scale=scale,
            detail=detail,
            publish=now - self._rested <= self._config.stop_pub_timeout,
        )

    @property
    def _driver(self) -> Source | None:
        return DRIVERS.get(self._switch.mode)

    def _stream(self, source: Source) -> Stream:
        return self._policy.stream if source is Source.POLICY else self._teleop.stream

    def _request(self, now: float, request: Request, reason: StopReason | None = None) -> Answer:
        """What a person asks for; only while active."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        after = TRANSITIONS.get((self._switch.mode, request))
        driver = None if after is None else DRIVERS.get(after)
        if driver is not None and (obstacle := self._obstacle(driver, now)):
            return Answer(accepted=False, sentence=obstacle)
        return self._change(now, request, reason)

    def _change(
        self, now: float, request: Request, reason: StopReason | None = None, detail: str = ""
    ) -> Answer:
        before = self._switch.mode
        answer = self._switch.request(request, reason, detail)
        if self._switch.mode is not before:
            self._on_change(now)
        return answer

    def _on_change(self, now: float) -> None:
        """Nothing heard before may move the arm in the new mode."""
        self._since, self._command = now, None
        self._bridging = self._driver is not None and bool(self._motion.twist.any())
        self._gripper.drop()
        self._arm.start()

    def _obstacle(self, driver: Source, now: float) -> str:
        """Why ``driver`` cannot begin to drive, in one sentence, or empty."""
        if trouble := self._e_stop.trouble(now, self._config.e_stop_heartbeat):
            return trouble[0].sentence
        for source in (Source.GUARD, driver):
            if who := self._foreign.get(source):
                return f"{StopReason.FOREIGN_SOURCE.sentence} {who}"
        if now - self._track.seen > self._config.state_timeout:
            return "The robot reports no fresh pose; start its driver, then ask again."
        if driver is Source.TELEOP:
            return ""
        if missing := self._clearance.missing(now):
            return f"{StopReason.CLEARANCE_SILENT.sentence} In detail, {missing}."
        return self._policy.obstacle(now)

    def _watch(self, now: float) -> None:
        """Stop or hold when something that must be there has fallen silent or gone wrong."""
        trouble = self._e_stop.trouble(now, self._config.e_stop_heartbeat)
        if trouble is not None and self._active:
            self._change(now, Request.STOP, *trouble)
        if self._driver is None:
            return
        if trouble := self._driver_trouble(now) or self._arm_trouble(now):
            self._change(now, Request.HOLD, *trouble)

    def _driver_trouble(self, now: float) -> tuple[StopReason, str] | None:
        for source in (Source.GUARD, self._driver):
            if source is not None and (who := self._foreign.get(source)):
                return StopReason.FOREIGN_SOURCE, who
        if self._driver is Source.POLICY:
            return self._policy.trouble(now)
        return self._teleop.trouble(now, self._since)

    def _arm_trouble(self, now: float) -> tuple[StopReason, str] | None:
        if (age := now - self._track.seen) > self._config.state_timeout:
            return StopReason.STATE_SILENT, f"the last pose is {age:.3f} s old"
        if wrong := self._arm.trouble:
            return StopReason.POSITION_MISMATCH, wrong
        if self._driver is Source.POLICY and (missing := self._clearance.missing(now)):
            return StopReason.CLEARANCE_SILENT, missing
        return None

    def _follows(self, now: float) -> bool:
        """Whether whoever drives may move the arm at this moment."""
        if self._driver is None or self._bridging:
            return False
        return self._driver is Source.POLICY or self._teleop.drives(now)

    def _wanted(self, now: float) -> TwistCommand | None:
        """The twist to follow, or None if the arm is to be still."""
        return self._command if self._follows(now) else None

    def _idle_detail(self, now: float) -> str:
        return self._teleop.waits(now) if self._driver is Source.TELEOP else ""

    def _shaped(
        self, asked: FloatArray, estimate: Estimate, now: float
    ) -> tuple[FloatArray, float, str]:
        """The twist to aim at, the share of ``asked`` that it is, and what demands that."""
        limits = self._config.limits
        twist: FloatArray = np.asarray(asked, dtype=np.float64)
        scale = limits.speed_scale(twist)
        detail = "slowed to the speed limit" if scale < 1.0 else ""
        twist = scale * twist
        twist, share, near = self._clearance.limit(
            twist,
            estimate.rotations[0],
            now,
            person=self._driver is Source.TELEOP,
            full=limits.linear_speed,
        )
        approach = self._fences.approach(estimate, share * twist)
        detail = approach.detail or near or detail
        share *= approach.scale
        return approach.scale * approach.twist, scale * share, detail

    def _next(self, twist: FloatArray, estimate: Estimate | None, elapsed: float) -> Motion:
        """One ramp step towards ``twist``, or a halt where nothing else is safe."""
        if self._switch.halts or estimate is None:
            return self._ramp.halt(self._motion, elapsed)
        motion = self._ramp.towards(self._motion, twist, elapsed)
        if not motion.twist.any() or self._fences.permits(estimate, motion.twist):
            return motion
        return self._ramp.halt(self._motion, elapsed)

    @staticmethod
    def _malformed_pose(pose: Pose) -> str:
        if pose.position.shape != (3,) or not np.isfinite(pose.position).all():
            return f"a position must be three finite numbers, not {pose.position.tolist()}"
        length = float(np.linalg.norm(pose.quaternion)) if pose.quaternion.shape == (4,) else 0.0
        if not abs(length - 1.0) < 1e-3:
            return f"an orientation must be a unit quaternion, not {pose.quaternion.tolist()}"
        return (
            "" if math.isfinite(pose.stamp) else f"a pose's stamp must be finite, not {pose.stamp}"
        )
