# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may reach the arm: validation, limits, bounds, modes, watchdogs and stop reasons."""

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.error import GuardConfigError
from magma_ros.guard.gripper import GripperCommand
from magma_ros.guard.guard import Guard, GuardOutput, Latches
from magma_ros.guard.joint_ramp import JointMotion
from magma_ros.guard.joints import CommandInterface, JointConfig, JointLimits, Kinematics
from magma_ros.guard.limits import Limits
from magma_ros.guard.mismatch import MismatchConfig
from magma_ros.guard.modes import TRANSITIONS, Request
from magma_ros.guard.obstacles import Obstacles
from magma_ros.guard.proximity import Clearance, ClearanceSource, OnSilence, Proximity
from magma_ros.guard.sources import DeadMan, PolicyHealth
from magma_ros.guard.workspace import GuardedPoint, TiltCone, Workspace

__all__ = [
    "TRANSITIONS",
    "Clearance",
    "ClearanceSource",
    "CommandInterface",
    "DeadMan",
    "GripperCommand",
    "Guard",
    "GuardConfig",
    "GuardConfigError",
    "GuardOutput",
    "GuardedPoint",
    "JointConfig",
    "JointLimits",
    "JointMotion",
    "Kinematics",
    "Latches",
    "Limits",
    "MismatchConfig",
    "Obstacles",
    "OnSilence",
    "PolicyHealth",
    "Proximity",
    "Request",
    "TiltCone",
    "Workspace",
]
