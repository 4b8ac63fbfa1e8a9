# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only way to the arm: commands go in, and what is safe of them comes out.

An update is a row of small pieces: watchdogs, the driver's newest command, speed limit, proximity,
the bounds on where the arm may be, and last the ramp, so that acceleration stays bounded whatever
the others decide. A person's commands pass through the very same row. All from the speed limit on
is a drive's, one for robots that take twists and one for those that take joint targets. This is a
software stop, not a certified safety function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.drive import Command, Drive, TwistDrive
from magma_ros.guard.e_stop import EmergencyStop
from magma_ros.guard.gripper import GripperCommand, Grippers
from magma_ros.guard.joint_drive import JointDrive
from magma_ros.guard.joint_ramp import JointMotion
from magma_ros.guard.modes import TRANSITIONS, ModeSwitch, Request
from magma_ros.guard.obstacles import Obstacles
from magma_ros.guard.proximity import Clearance
from magma_ros.guard.sources import PolicyHealth
from magma_ros.guard.watch import Watch
from magma_ros.spaces import GRIPPER_NAME
from magma_ros.types import Answer, FloatArray, Mode, Pose, Source, StopReason

DRIVERS: Mapping[Mode, Source] = {Mode.AUTO: Source.POLICY, Mode.TELEOP: Source.TELEOP}
"""Who drives in which mode; in the others nobody does."""

_INACTIVE = "The guard is not active; activate it, then ask again."

_BLOCKED = 0.01
"""Share of the driver's command at and below which the arm counts as held by what slows it."""


@dataclass(frozen=True, slots=True, eq=False)
class GuardOutput:
    """The command of one update, and why.

    Attributes:
        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame, to be held until
            the next update; for a robot that takes joint targets the tool's, as far as known.
        grippers: Target opening (1 = open) of each gripper that was measured, by its name.
        mode: Who drives.
        reason: Why the arm is in HOLD or STOPPED, else None.
        source: Who the command comes from; GUARD while it ramps the arm down or keeps it still.
        scale: Share of the driver's command that is aimed at, 0..1; 1 when nobody drives, 0 while
            nothing is heard of a person who does.
        detail: What slows the arm or what went wrong, in one sentence, or empty.
        publish: Whether to send this; not any more after a while at rest without a driver, so
            that others may use the same controller.
        joints: Where the joints of a robot that takes joint targets are to be by the next update,
            and how fast; None for other robots, and before the joints were measured.
    """

    twist: FloatArray
    grippers: Mapping[str, float]
    mode: Mode
    reason: StopReason | None
    source: Source
    scale: float
    detail: str
    publish: bool = True
    joints: JointMotion | None = None

    @property
    def gripper(self) -> float | None:
        """Target opening of the gripper of a robot that has one; None before it was measured."""
        return self.grippers.get(GRIPPER_NAME)

    @property
    def moving(self) -> bool:
        """Whether the robot is commanded to move."""
        return bool(self.twist.any()) if self.joints is None else not self.joints.at_rest

    @property
    def blocked(self) -> bool:
        """Whether the arm is as good as held although its driver wants to move."""
        return self.scale <= _BLOCKED


@dataclass(slots=True)
class Latches:
    """What outlives a guard that is configured anew: why it stopped, and the emergency stop.

    Attributes:
        switch: Mode and reason.
        e_stop: Last state of the emergency stop.
    """

    switch: ModeSwitch = field(default_factory=ModeSwitch)
    e_stop: EmergencyStop = field(default_factory=EmergencyStop)


class Guard:
    """Decides what reaches the arm.

    All times are seconds on one clock that never runs back. Stamps are on the clock of the
    messages; ``offset`` is what brings them onto the guard's. A guard begins inactive: it refuses
    requests, receives nothing but the emergency stop, and keeps the arm still. No call may come
    from two threads at once.

    Args:
        config: Settings.
        latches: Those of the guard before this one; a fresh guard is in HOLD.
    """

    def __init__(self, config: GuardConfig, latches: Latches | None = None) -> None:
        self._config = config
        latches = latches or Latches()
        self._switch, self._e_stop = latches.switch, latches.e_stop
        self._latest = 2.0 * config.period  # longest time from one update to the next that counts
        self._heard = Watch(config, self._e_stop)
        self._drive: Drive = (
            TwistDrive(config, self._heard, self._latest)
            if config.joints is None
            else JointDrive(config, config.joints, self._heard, self._latest)
        )
        self._grippers = Grippers(
            config.grippers, config.limits.gripper_speed, config.gripper_timeout
        )
        self._active = False
        self._forget(0.0)

    # Life

    def activate(self, now: float) -> None:
        """Begin at rest, with no driver and nothing received; what is latched stays so."""
        self._switch.start_over()
        self._forget(now)
        self._active = True

    def deactivate(self) -> None:
        """Cease; the last command of the caller must be one at rest."""
        self._active = False
        self._switch.start_over()
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._command: Command | None = None  # the driver's newest
        self._received = now  # when it came
        self._since = now  # when the mode began
        # Since when the arm has been at rest without a driver:
        self._rested = -math.inf if self._drive.quiet else now
        self._bridging = False  # a new driver waits for the arm to be at rest
        self._updated: float | None = None
        self._heard.start(now)
        self._drive.clear()
        self._grippers.clear()

    # Inputs

    def submit(self, command: Command, now: float, offset: float = 0.0) -> Answer:
        """Offer a twist or joint targets at ``now`` [s].

        A malformed one from whoever drives makes the arm hold. One from anybody else only shows
        that its sender is alive.
        """
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        source = command.source
        if (wrong := self._drive.malformation(command)) is not None:
            return self.refuse(source, wrong, now)
        if wrong := self._heard.stream(source).take(command, now, offset, self._config.timing):
            return Answer(accepted=False, sentence=wrong)
        if source is not self._driver:
            return Answer(accepted=True, sentence=f"noted, but the {source.value} does not drive")
        if self._bridging:
            return Answer(accepted=True, sentence="noted, but the arm must come to rest first")
        self._command, self._received = command, now
        return Answer(accepted=True, sentence="the arm follows")

    def refuse(self, source: Source, wrong: str, now: float) -> Answer:
        """A command of ``source`` was no command at all; the arm holds if it drives."""
        if self._active and source is not Source.GUARD:
            self._heard.stream(source).refuse(wrong, now)
        if self._active and source is self._driver:
            self._change(now, Request.HOLD, StopReason.INVALID_COMMAND, wrong)
        return Answer(accepted=False, sentence=wrong)

    def submit_gripper(self, command: GripperCommand, now: float, offset: float = 0.0) -> Answer:
        """Offer a gripper target; it must be sent again before it expires."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        source = command.source
        if source is not self._driver or self._bridging:
            return Answer(accepted=True, sentence=f"ignored: the {source.value} does not drive")
        return self._grippers.submit(command, now, offset, self._config.timing)

    def report_health(self, health: PolicyHealth, now: float) -> Answer:
        """Receive the policy's health."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        self._heard.policy.report(health, now)
        return Answer(accepted=True, sentence="the health is noted")

    def report_enable(self, now: float, *, pressed: bool) -> Answer:
        """Receive whether a person presses the dead-man."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        self._heard.teleop.enable(now, pressed=pressed)
        return Answer(accepted=True, sentence="the dead-man is noted")

    def report_e_stop(self, now: float, *, pressed: bool, others: str = "") -> Answer:
        """Receive the emergency stop, also while inactive.

        Args:
            now: The time [s].
            pressed: What was said.
            others: Who publishes it, if that is more than one; a press then stays.
        """
        answer = self._e_stop.report(now, pressed=pressed, others=others)
        if pressed:
            self._switch.request(Request.STOP, StopReason.E_STOP)
            self._on_change(now)
        return answer

    def report_pose(self, pose: Pose, now: float, offset: float = 0.0) -> Answer:
        """Receive where the end effector was; without fresh poses nothing moves."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        return self._heard.see(pose, now, offset, driven=self._driver is not None)

    def report_joints(
        self,
        names: Sequence[str],
        positions: Sequence[float] | FloatArray,
        stamp: float,
        now: float,
        offset: float = 0.0,
    ) -> Answer:
        """Receive where joints were, for a robot that takes joint targets.

        Args:
            names: Of the joints; joints that are not commanded may be among them.
            positions: Of each [rad or m].
            stamp: When, on the clock of the messages [s].
            now: The time [s].
            offset: What brings the stamp onto the guard's clock [s].
        """
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        driven = self._driver is not None
        return self._heard.see_joints(names, positions, stamp, now, offset, driven=driven)

    def report_opening(
        self, opening: float, stamp: float, now: float, gripper: str = GRIPPER_NAME
    ) -> Answer:
        """Receive the measured opening of a gripper, with its stamp on the guard's clock [s]."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        if not stamp - now <= self._config.future_tolerance:
            return Answer(
                accepted=False,
                sentence="the gripper's state is stamped in the future; synchronise the clocks",
            )
        return self._grippers.measure(gripper, opening, stamp)

    def report_clearance(self, clearance: Clearance | Obstacles, now: float) -> Answer:
        """Receive how far obstacles are, with its stamp on the guard's clock."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        return self._heard.clearance.report(clearance, now)

    def report_foreign(self, foreign: Mapping[Source, str]) -> None:
        """Receive who publishes where only one may.

        Args:
            foreign: A sentence that names the nodes: under GUARD for the guard's own outputs,
                under POLICY and TELEOP for the inputs of these sources.
        """
        self._heard.foreign = dict(foreign)

    def report_controller(self, misreading: str) -> None:
        """Receive why the robot's controller would misread commands, in one sentence, or empty."""
        self._heard.misreading = misreading

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
        trouble = self._heard.emergency(now)
        if trouble is not None and self._switch.mode is Mode.STOPPED:
            return Answer(accepted=False, sentence=f"{trouble[0].sentence} {trouble[1]}".strip())
        return self._request(now, Request.RESET)

    def fail(self, now: float, why: str) -> GuardOutput:
        """Stop at once because the guard itself has failed; what to send then."""
        self._drive.cut()
        self._drive.lose(now)
        self._change(now, Request.STOP, StopReason.GUARD_FAULT, why)
        return GuardOutput(
            twist=np.zeros(6),
            joints=self._drive.joints,
            grippers={},
            mode=self._switch.mode,
            reason=self._switch.reason,
            source=Source.GUARD,
            scale=1.0,
            detail=self._switch.detail,
        )

    # What comes out

    def update(self, now: float, until: float | None = None) -> GuardOutput:
        """The command to send at ``now`` [s].

        Args:
            now: The time.
            until: When it was over with reading the clock that stamps the command, if that is
                another one: a change is bounded by the time that has passed by either clock.
        """
        elapsed = 0.0 if self._updated is None else max(now - self._updated, 0.0)
        if elapsed > self._config.command_hold:
            self._drive.lose(now)
        elapsed = min(elapsed, self._latest)
        self._updated = now if until is None else until
        self._watch(now)
        command = self._wanted(now)
        shaping = self._drive.step(
            command,
            self._received,
            now,
            elapsed,
            person=self._driver is Source.TELEOP,
            broken=self._switch.halts or self._cut_off(now),
        )
        scale, detail = shaping or self._idle(now)
        at_rest = self._drive.at_rest
        self._bridging = self._bridging and not at_rest
        if self._driver is not None or not at_rest:
            self._rested = now
        if not (publish := now - self._rested <= self._config.stop_pub_timeout):
            self._drive.release()
        return GuardOutput(
            twist=self._drive.twist.copy(),
            grippers=self._grippers.update(now, elapsed, driven=self._follows(now)),
            mode=self._switch.mode,
            reason=self._switch.reason,
            source=Source.GUARD if command is None else command.source,
            scale=scale,
            detail=detail,
            publish=publish,
            joints=self._drive.joints,
        )

    @property
    def _driver(self) -> Source | None:
        return DRIVERS.get(self._switch.mode)

    def _request(self, now: float, request: Request, reason: StopReason | None = None) -> Answer:
        """What a person asks for; only while active."""
        if not self._active:
            return Answer(accepted=False, sentence=_INACTIVE)
        after = TRANSITIONS.get((self._switch.mode, request))
        driver = None if after is None else DRIVERS.get(after)
        if driver is not None:
            obstacle = self._drive.obstacle(driver) or self._heard.obstacle(driver, now)
            if obstacle:
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
        """Nothing received before may move the arm in the new mode."""
        self._since, self._command = now, None
        self._bridging = self._driver is not None and not self._drive.at_rest
        self._grippers.drop()
        self._heard.on_new_driver()

    def _watch(self, now: float) -> None:
        """Stop or hold when something that must be there has fallen silent or gone wrong."""
        if self._active and (trouble := self._heard.emergency(now)):
            self._change(now, Request.STOP, *trouble)
        driver = self._driver
        if driver is not None and (trouble := self._heard.trouble(driver, self._since, now)):
            self._change(now, Request.HOLD, *trouble)

    def _follows(self, now: float) -> bool:
        """Whether whoever drives may move the arm at this moment."""
        if self._driver is None or self._bridging:
            return False
        return self._driver is Source.POLICY or self._heard.teleop.drives(now)

    def _cut_off(self, now: float) -> bool:
        """Whether a person who drives has fallen silent without letting go of the dead-man."""
        driving = self._driver is Source.TELEOP and not self._bridging
        return driving and self._heard.teleop.lost(now)

    def _wanted(self, now: float) -> Command | None:
        """The command to follow, or None if the arm is to be still."""
        return self._command if self._follows(now) else None

    def _idle(self, now: float) -> tuple[float, str]:
        """Scale and detail while no command is followed."""
        if self._driver is not Source.TELEOP:
            return 1.0, self._switch.detail
        if unheard := self._heard.teleop.unheard(now, self._since):
            return 0.0, unheard
        return 1.0, self._switch.detail or self._heard.teleop.waits(now)
