# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may reach the arm: validation, limits, modes, watchdogs and stop reasons."""

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.error import GuardConfigError
from magma_ros.guard.guard import Guard, GuardOutput
from magma_ros.guard.limits import Limits
from magma_ros.guard.modes import TRANSITIONS, Request
from magma_ros.guard.proximity import Proximity
from magma_ros.guard.workspace import Workspace

__all__ = [
    "TRANSITIONS",
    "Guard",
    "GuardConfig",
    "GuardConfigError",
    "GuardOutput",
    "Limits",
    "Proximity",
    "Request",
    "Workspace",
]
