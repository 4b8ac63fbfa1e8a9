# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the guard sends to the robot's controller, in the form that this one takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from magma_ros.guard import CommandInterface, GuardOutput
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.limits import commanded_joints
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import FloatArray

COMMAND_TOPICS: Mapping[CommandInterface, str] = {
    CommandInterface.TWIST: names.ROBOT_TWIST,
    CommandInterface.JOINT_TRAJECTORY: names.ROBOT_TRAJECTORY,
    CommandInterface.FORWARD_POSITION: names.ROBOT_POSITIONS,
    CommandInterface.FORWARD_VELOCITY: names.ROBOT_VELOCITIES,
}
"""Where commands go."""


class RobotOutput(Protocol):
    """Publishes commands."""

    def publish(self, output: GuardOutput, stamp: Time) -> None:
        """Send one of the guard's commands, if it holds one."""
        ...

    def rest(self, stamp: Time) -> None:
        """Send a last command that keeps the robot at rest; the one before was at rest, or none."""
        ...


def robot_output(node: ManagedNode) -> RobotOutput:
    """What publishes commands to the robot that the node's parameters describe."""
    interface = CommandInterface(node.settings["command_interface"])
    if interface is CommandInterface.TWIST:
        return TwistOutput(node)
    if interface is CommandInterface.JOINT_TRAJECTORY:
        return TrajectoryOutput(node)
    return ForwardOutput(node, interface)


class TwistOutput:
    """Twists, as MoveIt Servo takes them.

    Args:
        node: The guard's.
        topic: Where they go; another one only tells how the tool moves.
    """

    def __init__(self, node: ManagedNode, topic: str = names.ROBOT_TWIST) -> None:
        self._frame = str(node.settings["base_frame"])
        self._publisher = node.create_publisher(TwistStamped, topic, qos.STATE)

    def publish(self, output: GuardOutput, stamp: Time) -> None:
        """Send the twist."""
        self._send(output.twist, stamp)

    def rest(self, stamp: Time) -> None:
        """Send a zero twist."""
        self._send(np.zeros(6), stamp)

    def _send(self, twist: FloatArray, stamp: Time) -> None:
        self._publisher.publish(convert.twist_to_message(twist, self._frame, stamp))


class TrajectoryOutput:
    """Trajectories of one point, as a joint_trajectory_controller takes them.

    The point is to be reached when the next one comes, and names no velocity, so that the
    controller rests there by itself should none come.

    Args:
        node: The guard's.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._joints = commanded_joints(node.settings)
        self._reach = 1.0 / node.settings["command_rate"]
        self._publisher = node.create_publisher(JointTrajectory, names.ROBOT_TRAJECTORY, qos.STATE)
        self._told = TwistOutput(node, names.GUARD_TWIST)

    def publish(self, output: GuardOutput, stamp: Time) -> None:
        """Send where the joints are to be."""
        if output.joints is None:
            return
        self._told.publish(output, stamp)
        # A stamp of zero begins on arrival; by another one, what comes late would be dropped.
        self._publisher.publish(
            convert.joint_command_to_message(
                self._joints, output.joints.position, Time(), reach=self._reach
            )
        )

    def rest(self, stamp: Time) -> None:
        """Tell that the tool rests; the controller rests at the last point by itself."""
        self._told.rest(stamp)


class ForwardOutput:
    """Positions or velocities without names, as a forward command controller takes them.

    Args:
        node: The guard's.
        interface: FORWARD_POSITION or FORWARD_VELOCITY.
    """

    def __init__(self, node: ManagedNode, interface: CommandInterface) -> None:
        self._by_velocity = interface is CommandInterface.FORWARD_VELOCITY
        self._count = len(commanded_joints(node.settings))
        self._publisher = node.create_publisher(
            Float64MultiArray, COMMAND_TOPICS[interface], qos.STATE
        )
        self._told = TwistOutput(node, names.GUARD_TWIST)

    def publish(self, output: GuardOutput, stamp: Time) -> None:
        """Send where the joints are to be, or how fast they are to move."""
        if (joints := output.joints) is not None:
            self._told.publish(output, stamp)
            self._send(joints.velocity if self._by_velocity else joints.position)

    def rest(self, stamp: Time) -> None:
        """Send zero velocities; joints that take positions rest at the last ones."""
        self._told.rest(stamp)
        if self._by_velocity:
            self._send(np.zeros(self._count))

    def _send(self, values: FloatArray) -> None:
        self._publisher.publish(Float64MultiArray(data=[float(value) for value in values]))
