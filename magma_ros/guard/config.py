# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All settings of the guard in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.guard.limits import Limits
from magma_ros.guard.proximity import Proximity
from magma_ros.guard.workspace import Workspace
from magma_ros.types import Mode


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Settings of a :class:`~magma_ros.guard.Guard`.

    With the defaults and updates every ``period``, the commanded twist is zero within 0.2 s of the
    policy's last command: ``policy_timeout`` + ``period`` + a halt from full speed.

    Attributes:
        base_frame: The only frame a twist may be expressed in.
        start_mode: AUTO (moves with the policy's first command) or HOLD (waits for a person).
        period: Time between two updates in normal running [s]. An update that comes later than
            twice this is taken to have come then, so a stall never becomes a jump.
        policy_timeout: Silence of the policy after which AUTO becomes HOLD [s].
        teleop_timeout: Age at which a teleoperation twist counts as zero [s].
        teleop_patience: Silence of teleoperation after which TELEOP becomes HOLD [s].
        state_timeout: Age of the newest pose at which the arm holds [s]; None to drive blind,
            which a workspace does not allow.
        max_command_age: Greatest age of a command's stamp [s].
        future_tolerance: How far a stamp may lie ahead of now [s].
        limits: Speeds, accelerations and jerks.
        workspace: Box for the end effector, or None for no box.
        proximity: How clearance becomes speed; without effect until a clearance is reported.

    Raises:
        GuardConfigError: A setting makes no sense.
    """

    base_frame: str = "base_link"
    start_mode: Mode = Mode.HOLD
    period: float = 0.02
    policy_timeout: float = 0.12
    teleop_timeout: float = 0.25
    teleop_patience: float = 2.0
    state_timeout: float | None = 0.3
    max_command_age: float = 0.1
    future_tolerance: float = 0.05
    limits: Limits = field(default_factory=Limits)
    workspace: Workspace | None = None
    proximity: Proximity = field(default_factory=Proximity)

    def __post_init__(self) -> None:
        require_positive(
            self,
            "period",
            "policy_timeout",
            "teleop_timeout",
            "teleop_patience",
            "max_command_age",
            "future_tolerance",
        )
        if not self.base_frame:
            raise GuardConfigError("the guard's base_frame must name a frame, such as base_link")
        if self.start_mode not in (Mode.AUTO, Mode.HOLD):
            raise GuardConfigError(
                f"the guard's start_mode must be AUTO or HOLD, not {self.start_mode.name}"
            )
        if self.state_timeout is not None:
            require_positive(self, "state_timeout")
        elif self.workspace is not None:
            raise GuardConfigError(
                "the guard's workspace needs the robot's pose, so set a state_timeout as well"
            )
