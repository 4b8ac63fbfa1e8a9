# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads MoveIt Servo's parameters, and reports why it must not be driven."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.task import Future

from magma_ros.guard.servo import PREFIX, ServoSettings
from magma_ros.nodes import names

NAMES = (PREFIX + "command_in_type", PREFIX + "incoming_command_timeout")

PATIENCE = 2.0
"""Longest time that an answer may take [s], and time between two questions."""


class ServoCheck:
    """Looks at Servo now and then, as it may be started anew with other parameters.

    Args:
        node: Node that asks; the client is closed with the node's others.
        judge: Returns from Servo's parameters why it must not be driven, or an empty string.
    """

    def __init__(self, node: Node, judge: Callable[[ServoSettings], str]) -> None:
        self._client = node.create_client(GetParameters, names.SERVO_PARAMETERS)
        self._judge = judge
        self._answer: Future | None = None
        self._asked = 0.0
        self._problem: str | None = None  # None before the first answer

    def look(self, now: float) -> str:
        """What is wrong with Servo at ``now`` [s], or empty; never waits.

        Where no Servo is there is nothing to drive and nothing wrong.
        """
        if not self._client.service_is_ready():
            self._answer, self._problem = None, None
            return ""
        if self._answer is not None and self._answer.done():
            self._problem = self._judged(self._answer)
            self._answer = None
        elif self._answer is not None and now - self._asked > PATIENCE:
            self._client.remove_pending_request(self._answer)
            self._answer = None
            self._problem = (
                f"MoveIt Servo does not answer on {self._client.srv_name}: run it with "
                "RMW_IMPLEMENTATION=rmw_cyclonedds_cpp, or set servo_check to false."
            )
        elif self._answer is None and (self._problem is None or now - self._asked > PATIENCE):
            self._asked = now
            self._answer = self._client.call_async(GetParameters.Request(names=list(NAMES)))
        if self._problem is None:
            return "MoveIt Servo has not yet said how it reads twists."
        return self._problem

    def _judged(self, answer: Future) -> str:
        try:
            values = answer.result().values
        except Exception as error:  # noqa: BLE001 - a call that fails must not end the node
            return f"MoveIt Servo could not be asked for its parameters ({error})."
        if len(values) != len(NAMES):
            values = [ParameterValue(), ParameterValue()]
        return self._judge(ServoSettings(_text(values[0]), _number(values[1])))


def _text(value: ParameterValue) -> str | None:
    return value.string_value if value.type == ParameterType.PARAMETER_STRING else None


def _number(value: ParameterValue) -> float | None:
    if value.type == ParameterType.PARAMETER_INTEGER:
        return float(value.integer_value)
    return float(value.double_value) if value.type == ParameterType.PARAMETER_DOUBLE else None
