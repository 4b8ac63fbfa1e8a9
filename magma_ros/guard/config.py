# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All settings of the guard in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.guard.joints import JointConfig
from magma_ros.guard.limits import Limits
from magma_ros.guard.mismatch import MismatchConfig
from magma_ros.guard.proximity import Proximity
from magma_ros.guard.sources import DeadMan
from magma_ros.guard.validate import Timing
from magma_ros.guard.workspace import GuardedPoint, TiltCone, Workspace
from magma_ros.spaces import GRIPPER_NAME


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Settings of a :class:`~magma_ros.guard.Guard`.

    What describes the robot has no default. With the defaults of the rest and updates every
    ``period``, the simulated arm is told zero within 0.2 s of the policy's last command:
    ``policy_timeout`` + ``period`` + a halt from full speed.

    Attributes:
        base_frame: The only frame a twist may be expressed in.
        limits: Speeds, accelerations and jerks.
        workspace: Box for the end effector.
        period: Time between two updates in normal running [s]. An update that comes later than
            twice this is taken to have come then, so a stall never becomes a jump.
        policy_timeout: Silence of the policy's twists after which AUTO becomes HOLD [s].
        health_timeout: Silence about the policy's health after which AUTO becomes HOLD [s].
        plan_timeout: Age of the policy's newest plan at which AUTO becomes HOLD [s].
        dead_man: What a person must keep doing for the arm to move in TELEOP.
        teleop_timeout: Age at which a teleoperation twist or the dead-man counts as released [s].
        teleop_patience: Silence of teleoperation after which TELEOP becomes HOLD [s].
        state_timeout: Age of the newest pose at which the arm holds [s].
        grippers: Names of the robot's grippers.
        gripper_timeout: Age at which a gripper target or its measured opening expires [s].
        max_command_age: Greatest age of a command's stamp [s].
        future_tolerance: How far a stamp may lie ahead of now [s].
        response_time: Longest time the arm takes to carry out a twist [s].
        command_hold: Time for which the arm carries out a twist when no other comes [s]: MoveIt
            Servo's incoming_command_timeout. After a longer gap the arm stands still until a pose
            tells where it has come to.
        stop_pub_timeout: Time at rest in HOLD or STOPPED after which nothing is published [s].
        e_stop_heartbeat: Longest silence of the emergency stop [s]; 0 for no heartbeat.
        proximity: How clearance becomes speed.
        point: A second guarded point, or None.
        tilt: How far the tool may lean, or None for any way.
        mismatch: How far the measured motion may differ from the one sent.
        joints: How the robot is commanded joint by joint, or None if it takes twists.

    Raises:
        GuardConfigError: A setting makes no sense.
    """

    base_frame: str
    limits: Limits
    workspace: Workspace
    period: float = 0.02
    policy_timeout: float = 0.12
    health_timeout: float = 0.5
    plan_timeout: float = 1.0
    dead_man: DeadMan = DeadMan.ENABLE
    teleop_timeout: float = 0.15
    teleop_patience: float = 2.0
    state_timeout: float = 0.2
    grippers: tuple[str, ...] = (GRIPPER_NAME,)
    gripper_timeout: float = 0.5
    max_command_age: float = 0.1
    future_tolerance: float = 0.05
    response_time: float = 0.05
    command_hold: float = 0.1
    stop_pub_timeout: float = 1.0
    e_stop_heartbeat: float = 0.0
    proximity: Proximity = field(default_factory=Proximity)
    point: GuardedPoint | None = None
    tilt: TiltCone | None = None
    mismatch: MismatchConfig = field(default_factory=MismatchConfig)
    joints: JointConfig | None = None

    def __post_init__(self) -> None:
        require_positive(
            self,
            "period",
            "policy_timeout",
            "health_timeout",
            "plan_timeout",
            "teleop_timeout",
            "teleop_patience",
            "state_timeout",
            "gripper_timeout",
            "max_command_age",
            "future_tolerance",
            "command_hold",
            "stop_pub_timeout",
        )
        for name in ("response_time", "e_stop_heartbeat"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise GuardConfigError(f"the guard's {name} must not be negative, but is {value}")
        if not self.base_frame:
            raise GuardConfigError("the guard's base_frame must name a frame, such as base_link")

    @property
    def timing(self) -> Timing:
        """What is allowed of a command's stamp."""
        return Timing(self.max_command_age, self.future_tolerance)
