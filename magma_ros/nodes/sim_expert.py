# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the scripted expert would do in the simulated scene now, for whoever plays a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.settings import Setting
from magma_ros.spaces import GRIPPER

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from rclpy.node import Node

    from magma_ros.sim.simulation import Simulation

SHOW_EXPERT = Setting(
    "show_expert", False, "Publish what the scripted expert would do; it sees the scene itself."
)


class SimExpert:
    """Publishes the expert's twist [m/s, rad/s] and gripper; nothing in the robot obeys them.

    Args:
        node: Publishes.
        gripper: The gripper's joint.
        frame: Base frame, in which the twists are.
    """

    def __init__(self, node: Node, gripper: GripperJoint, frame: str) -> None:
        from magma_ros.sim.expert import Expert  # pybullet is an extra

        self._expert, self._gripper, self._frame = Expert(), gripper, frame
        self._twists = node.create_publisher(TwistStamped, names.EXPERT_TWIST, qos.STATE)
        self._openings = node.create_publisher(JointState, names.EXPERT_GRIPPER, qos.STATE)

    def publish(self, simulation: Simulation, stamp: Time) -> None:
        """Tell what the expert would do in the scene as it is."""
        from magma_ros.sim.simulation import ENV_STEP

        action = self._expert.act(simulation)
        twist = action[:GRIPPER] / ENV_STEP
        self._twists.publish(convert.twist_to_message(twist, self._frame, stamp))
        self._openings.publish(self._gripper.command(float(action[GRIPPER]), stamp))
