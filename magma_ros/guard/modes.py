# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who drives the arm: a table of legal transitions, and the reason latched with a stop.

Only HAND_BACK leads to AUTO and only TAKE_OVER to TELEOP; both are a person's acts. A reset clears
a reason and starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from magma_ros.types import Answer, Mode, StopReason


class Request(Enum):
    """What can change the mode."""

    TAKE_OVER = auto()  # a person wants to drive
    HAND_BACK = auto()  # a person gives the arm to the policy
    HOLD = auto()  # a person, the policy or a watchdog wants the arm still
    STOP = auto()  # a person, the emergency stop or a fault of the guard stops the arm
    RESET = auto()  # a person has seen the reason and clears it


TRANSITIONS: Mapping[tuple[Mode, Request], Mode] = {
    (Mode.AUTO, Request.TAKE_OVER): Mode.TELEOP,
    (Mode.AUTO, Request.HOLD): Mode.HOLD,
    (Mode.AUTO, Request.STOP): Mode.STOPPED,
    (Mode.TELEOP, Request.HAND_BACK): Mode.AUTO,
    (Mode.TELEOP, Request.HOLD): Mode.HOLD,
    (Mode.TELEOP, Request.STOP): Mode.STOPPED,
    (Mode.HOLD, Request.TAKE_OVER): Mode.TELEOP,
    (Mode.HOLD, Request.HAND_BACK): Mode.AUTO,
    (Mode.HOLD, Request.HOLD): Mode.HOLD,
    (Mode.HOLD, Request.STOP): Mode.STOPPED,
    (Mode.HOLD, Request.RESET): Mode.HOLD,
    (Mode.STOPPED, Request.STOP): Mode.STOPPED,
    (Mode.STOPPED, Request.RESET): Mode.HOLD,
}
"""Every legal transition; whatever is not here is refused."""

REFUSALS: Mapping[tuple[Mode, Request], str] = {
    (Mode.AUTO, Request.HAND_BACK): "The policy drives already.",
    (Mode.AUTO, Request.RESET): "There is nothing to reset: the policy drives.",
    (Mode.TELEOP, Request.TAKE_OVER): "A person drives already.",
    (Mode.TELEOP, Request.RESET): "There is nothing to reset: a person drives; hand back instead.",
    (Mode.STOPPED, Request.TAKE_OVER): "The arm is stopped; reset it before taking over.",
    (Mode.STOPPED, Request.HAND_BACK): "The arm is stopped; reset it before handing back.",
    (Mode.STOPPED, Request.HOLD): "The arm is stopped, which is stricter than holding.",
}
"""Why the others are refused, and what to do instead."""

UNHURRIED = frozenset(
    {
        StopReason.STARTUP,
        StopReason.READY,
        StopReason.HELP_REQUESTED,
        StopReason.OPERATOR_HOLD,
    }
)
"""Reasons of a HOLD in which the arm decelerates within its jerk limits instead of halting."""


class ModeSwitch:
    """The mode and its latched reason; it begins in HOLD.

    Attributes:
        mode: Who drives.
        reason: Why the arm is in HOLD or STOPPED, else None.
        detail: What exactly went wrong, in one sentence, or empty.
    """

    def __init__(self) -> None:
        self.mode = Mode.HOLD
        self.reason: StopReason | None = StopReason.STARTUP
        self.detail = ""

    def request(
        self, request: Request, reason: StopReason | None = None, detail: str = ""
    ) -> Answer:
        """Change the mode if the table allows it.

        The first reason of a stop stays until the mode changes or a reset clears it.
        """
        key = (self.mode, request)
        if key not in TRANSITIONS:
            return Answer(accepted=False, sentence=REFUSALS[key])
        mode = TRANSITIONS[key]
        if mode in (Mode.AUTO, Mode.TELEOP):
            self.reason, self.detail = None, ""
        elif request is Request.RESET:
            self.reason, self.detail = StopReason.READY, ""
        elif mode is not self.mode and reason is not None:
            self.reason, self.detail = reason, detail
        self.mode = mode
        return Answer(accepted=True, sentence=mode.sentence)

    def start_over(self) -> None:
        """Let nobody drive, as after a start; what is latched stays latched."""
        if self.mode in (Mode.AUTO, Mode.TELEOP):
            self.mode, self.reason, self.detail = Mode.HOLD, StopReason.STARTUP, ""

    @property
    def halts(self) -> bool:
        """Whether motion left over is to be halted: stopped, or held because something broke.

        A hold that was asked for decelerates instead.
        """
        return self.reason is not None and self.reason not in UNHURRIED
