# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy and a person send: their newest twist, and whether they are there at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from magma_ros.guard.validate import Timing, untimeliness
from magma_ros.types import JointCommand, Source, StopReason, TwistCommand


class DeadMan(Enum):
    """What a person must keep doing for the arm to move."""

    ENABLE = "enable"  # hold a button, which is reported as true at 10 Hz or more
    STREAM = "stream"  # keep sending twists


@dataclass(frozen=True, slots=True)
class PolicyHealth:
    """The policy's report on itself.

    Attributes:
        plan_age: Time since the observation that its newest plan answers [s]; inf without a plan.
        fault: What is wrong with it, in one sentence, or empty.
        waiting_for: What it waits for before it can plan, in one sentence, or empty.
        lacking: Which input it must not do without is missing, in one sentence, or empty.
    """

    plan_age: float
    fault: str = ""
    waiting_for: str = ""
    lacking: str = ""


@dataclass(slots=True)
class Stream:
    """The twists of one source.

    Attributes:
        source: Who sends them.
        heard: When the last good one was received [s].
        stamp: Its stamp on the clock of the messages [s].
        refused: When the last bad one was received [s].
        refusal: What was wrong with that, in one sentence.
    """

    source: Source
    heard: float = -math.inf
    stamp: float = -math.inf
    refused: float = -math.inf
    refusal: str = ""

    def take(
        self, command: TwistCommand | JointCommand, now: float, offset: float, timing: Timing
    ) -> str:
        """Take in a well-formed command; what is wrong with its stamp, or empty.

        Args:
            command: The command, stamped on the clock of the messages.
            now: The time on the guard's clock [s].
            offset: What must be added to its stamp to bring it onto the guard's clock [s].
            timing: What is allowed.
        """
        if self.stamp + offset > now + timing.future_tolerance:
            self.stamp = -math.inf  # the messages' clock was set back, as by a new simulation
        age = now - (command.stamp + offset)
        wrong = untimeliness(self.source, age, timing, overtaken=command.stamp < self.stamp)
        if wrong:
            self.refuse(wrong, now)
        else:
            self.heard, self.stamp = now, command.stamp
        return wrong

    def refuse(self, wrong: str, now: float) -> None:
        """Note that a command came in which something was wrong."""
        self.refusal, self.refused = wrong, now

    def silence(self, now: float, since: float) -> float:
        """How long nothing has come, counted from ``since`` at the earliest [s]."""
        return now - max(self.heard, since)


@dataclass(slots=True)
class PolicyWatch:
    """Whether the policy is alive, well, and has a fresh plan.

    Attributes:
        twist_timeout: Longest silence of its twists [s].
        health_timeout: Longest silence about its health [s].
        plan_timeout: Age of a plan at which it no longer counts [s].
        stream: Its twists.
    """

    twist_timeout: float
    health_timeout: float
    plan_timeout: float
    stream: Stream = field(default_factory=lambda: Stream(Source.POLICY))
    _health: PolicyHealth = field(default_factory=lambda: PolicyHealth(math.inf))
    _told: float = -math.inf

    def clear(self) -> None:
        """Forget everything."""
        self.stream = Stream(Source.POLICY)
        self._health, self._told = PolicyHealth(math.inf), -math.inf

    def report(self, health: PolicyHealth, now: float) -> None:
        """Receive the policy's health."""
        self._health, self._told = health, now

    def trouble(self, now: float) -> tuple[StopReason, str] | None:
        """Why the policy may not drive, or None."""
        if (silence := now - self.stream.heard) > self.twist_timeout:
            return StopReason.POLICY_SILENT, f"the last policy command came {_ago(silence)}"
        if (silence := now - self._told) > self.health_timeout:
            said = f"the policy last told of its health {_ago(silence)}"
            return StopReason.POLICY_SILENT, said
        if self._health.fault:
            return StopReason.POLICY_FAULT, self._health.fault
        if self._health.lacking:
            return StopReason.INPUT_SILENT, self._health.lacking
        age = self._health.plan_age + silence
        if not age <= self.plan_timeout:
            plan = "it has made none" if math.isinf(age) else f"the newest answers {_ago(age)}"
            return StopReason.PLAN_SILENT, f"{plan} {self._health.waiting_for}".strip()
        return None

    def obstacle(self, now: float) -> str:
        """Why the policy cannot begin to drive, in one sentence, or empty."""
        if now - self.stream.heard > self.twist_timeout:
            if now - self.stream.refused <= self.twist_timeout:
                return f"The policy's commands are refused: {self.stream.refusal}."
            return "The policy sends no commands; start it, then ask again."
        if (trouble := self.trouble(now)) is None:
            return ""
        reason, detail = trouble
        if reason is StopReason.POLICY_SILENT:
            return "The policy says nothing about its health; start it, then ask again."
        if reason is StopReason.POLICY_FAULT:
            return f"The policy reports a fault: {detail}"
        waits = self._health.waiting_for or "see its log for what it waits for"
        return f"The policy has no fresh plan: {waits}"


@dataclass(slots=True)
class TeleopWatch:
    """Whether a person sends twists and keeps the dead-man pressed.

    Attributes:
        dead_man: What that person must keep doing.
        timeout: Age at which a twist or the button no longer counts [s].
        patience: Silence that ends TELEOP [s].
        stream: The twists.
    """

    dead_man: DeadMan
    timeout: float
    patience: float
    stream: Stream = field(default_factory=lambda: Stream(Source.TELEOP))
    _pressed: bool = False
    _told: float = -math.inf

    def clear(self) -> None:
        """Forget everything."""
        self.stream = Stream(Source.TELEOP)
        self._pressed, self._told = False, -math.inf

    def enable(self, now: float, *, pressed: bool) -> None:
        """Receive whether the dead-man is pressed."""
        self._pressed, self._told = pressed, now

    def drives(self, now: float) -> bool:
        """Whether the arm may follow the newest twist at ``now`` [s]."""
        return not self.lost(now) and (self.dead_man is DeadMan.STREAM or self._pressed)

    def lost(self, now: float) -> bool:
        """Whether the person has fallen silent, which is no release: something broke."""
        return now - self._spoke > self.timeout

    @property
    def _spoke(self) -> float:
        """When everything that must come was last there [s]."""
        if self.dead_man is DeadMan.ENABLE:
            return min(self.stream.heard, self._told)
        return self.stream.heard

    def unheard(self, now: float, since: float) -> str:
        """That a person who drives since ``since`` [s] has fallen silent, or empty.

        Told long before TELEOP ends, so that others need not guess why the arm stands still.
        """
        silence = now - max(self._spoke, since)
        if silence <= self.timeout:
            return ""
        return f"held still: the operator's link is silent, for {silence:.1f} s now"

    def trouble(self, now: float, since: float) -> tuple[StopReason, str] | None:
        """Why TELEOP must end, or None; ``since`` is when it began [s]."""
        if (silence := self.stream.silence(now, since)) > self.patience:
            return StopReason.TELEOP_SILENT, f"nothing came on teleop/twist for {silence:.1f} s"
        if self.dead_man is DeadMan.ENABLE:
            silence = now - max(self._told, since)
            if silence > self.patience:
                said = f"nothing came on teleop/enable for {silence:.1f} s"
                return StopReason.TELEOP_SILENT, said
        return None

    def waits(self, now: float) -> str:
        """What the person must do for the arm to move, or empty."""
        pressed = self._pressed and now - self._told <= self.timeout
        if self.dead_man is DeadMan.ENABLE and not pressed:
            return "held still until the dead-man is pressed (true on teleop/enable)"
        return ""


def _ago(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:.3f} s ago"
