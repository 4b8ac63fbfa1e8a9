# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads MoveIt Servo's parameters, and reports why it must not be driven."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node

from magma_ros.guard.servo import PREFIX, ServoSettings
from magma_ros.nodes import names
from magma_ros.nodes.controller_check import Controller, ControllerCheck
from magma_ros.nodes.settings import Value

SERVO = Controller(
    "MoveIt Servo",
    names.SERVO_PARAMETERS,
    (PREFIX + "command_in_type", PREFIX + "incoming_command_timeout"),
    "servo_check",
    "MoveIt Servo has not yet said how it reads twists.",
)


def servo_check(node: Node, judge: Callable[[ServoSettings], str]) -> ControllerCheck:
    """Looks at MoveIt Servo.

    Args:
        node: Node that asks; the client is closed with the node's others.
        judge: Returns from Servo's parameters why it must not be driven, or an empty string.
    """

    def judged(values: Sequence[Value | None]) -> str:
        kind, timeout = values
        return judge(
            ServoSettings(
                kind if isinstance(kind, str) else None,
                float(timeout) if isinstance(timeout, int | float) else None,
            )
        )

    return ControllerCheck(node, SERVO, judged)
