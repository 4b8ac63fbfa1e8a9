# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a running robot was told about itself, read from its nodes, so that nobody says it twice."""

from __future__ import annotations

import time
from collections.abc import Sequence

import rclpy
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from magma_ros.nodes import names
from magma_ros.nodes.console_settings import CAMERAS_OF_CONSOLE, FRAMES_OF_CONSOLE
from magma_ros.nodes.settings import Value
from magma_ros.types import MagmaError

ANSWER_TIME = 2.0
"""Longest wait for an answer of a node that is there [s]."""


class NoRobotError(MagmaError):
    """No robot answers."""


def robot_facts(ros_arguments: Sequence[str], patience: float) -> dict[str, Value]:
    """The parameters of a console, as the guard and the policy of a running robot have them.

    Args:
        ros_arguments: Namespace and remappings, as on the command line of a node.
        patience: Longest wait for the guard [s].

    Raises:
        NoRobotError: No guard answers.
    """
    rclpy.init(args=["--ros-args", *ros_arguments])
    try:
        node = rclpy.create_node("console_begins")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        service = node.resolve_service_name(names.GUARD_PARAMETERS)
        wanted = [setting.name for setting in FRAMES_OF_CONSOLE]
        told = _ask(node, executor, names.GUARD_PARAMETERS, wanted, patience)
        if told is None:
            raise NoRobotError(
                f"no guard answers on {service} within {patience:g} s; start the robot first, or "
                "give its --namespace and --domain, or --robot to begin without it"
            )
        wanted = [setting.name for setting in CAMERAS_OF_CONSOLE]
        seen = _ask(node, executor, names.POLICY_PARAMETERS, wanted, ANSWER_TIME) or {}
        node.destroy_node()
        return told | seen
    finally:
        rclpy.try_shutdown()


def _ask(
    node: Node, executor: SingleThreadedExecutor, service: str, wanted: list[str], patience: float
) -> dict[str, Value] | None:
    """Parameters of another node by name, those that it has; None if it does not answer."""
    client = node.create_client(GetParameters, service)
    deadline = time.monotonic() + patience
    while not client.service_is_ready():
        if (left := deadline - time.monotonic()) <= 0.0:
            return None
        executor.spin_once(timeout_sec=min(0.05, left))
    future = client.call_async(GetParameters.Request(names=wanted))
    executor.spin_until_future_complete(future, timeout_sec=ANSWER_TIME)
    if not future.done():
        return None
    values = future.result().values
    if len(values) != len(wanted):
        return None
    return {
        name: parameter_value_to_python(value)
        for name, value in zip(wanted, values, strict=True)
        if value.type != ParameterType.PARAMETER_NOT_SET
    }
