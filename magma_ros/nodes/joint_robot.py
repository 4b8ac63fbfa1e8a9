# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a robot's file and its description (URDF) tell of a robot that is commanded by joints."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from magma_ros.guard import CommandInterface, GuardConfigError, JointConfig, JointLimits
from magma_ros.guard.joints import BOUNDS, RATES
from magma_ros.guard.kinematics import UrdfKinematics
from magma_ros.nodes import names
from magma_ros.nodes.limits import commanded_joints
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.robot_description import description_file
from magma_ros.nodes.settings import Settings
from magma_ros.nodes.subscriptions import subscribe_latched

PATIENCE = 5.0
"""Longest wait for a description that is latched on a topic [s]."""


def joint_config(node: ManagedNode) -> JointConfig | None:
    """How the robot is commanded by joints, or None if it takes twists.

    Args:
        node: Node whose parameters tell; its description is a file or comes on a topic.

    Raises:
        GuardConfigError: What is told makes no sense, or something is missing.
    """
    settings = node.settings
    interface = CommandInterface(settings["command_interface"])
    joints = commanded_joints(settings)
    if interface is CommandInterface.TWIST:
        if joints:
            raise GuardConfigError(
                "joints.names is given, but command_interface is twist; give joint_trajectory, "
                "forward_position or forward_velocity, or leave joints out"
            )
        return None
    if not joints:
        raise GuardConfigError(
            f"command_interface is {interface.value}, so joints.names must name the joints"
        )
    kinematics = None
    if not settings["joints.without_description"]:
        base, tool = tool_chain(settings)
        kinematics = UrdfKinematics(described(node), joints, base, tool)
    bounds = {name: settings[f"joints.{name}"] for name in (*BOUNDS, *RATES)}
    limits = JointLimits.tightened(joints, kinematics, **bounds)
    return JointConfig(limits, kinematics, interface, settings["joints.tolerance"])


def tool_chain(settings: Settings) -> tuple[str, str]:
    """The description's links at the base frame and at the tool."""
    return (
        settings["body.base_link"] or settings["base_frame"],
        settings["body.tool_link"] or settings["ee_frame"],
    )


def described(node: ManagedNode) -> str:
    """The robot description, as text.

    Args:
        node: Node whose parameter ``body.urdf`` names a file, or is empty for the topic.

    Raises:
        BodyError: There is no such file.
        GuardConfigError: Nobody publishes a description.
    """
    if path := str(node.settings["body.urdf"]):
        return description_file(path).read_text(encoding="utf-8")
    found: list[str] = []
    reader = rclpy.create_node(
        f"{node.get_name()}_description_reader",
        namespace=node.get_namespace(),
        start_parameter_services=False,
    )
    executor = SingleThreadedExecutor()
    topic = node.resolve_topic_name(names.DESCRIPTION)
    try:
        executor.add_node(reader)
        subscribe_latched(reader, String, topic, lambda message: found.append(message.data))
        deadline = time.monotonic() + PATIENCE
        while not found and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        reader.destroy_node()
    if not found:
        raise GuardConfigError(
            f"nobody publishes {topic}, and body.urdf gives no file: a robot that is commanded by "
            "joints needs its description for its limits, its workspace and teleoperation, or "
            "joints.without_description"
        )
    return found[-1]
