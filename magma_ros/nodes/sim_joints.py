# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot's controller of joints, behind the topics of ros2_control's."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from magma_ros.guard import CommandInterface
from magma_ros.nodes import convert, qos
from magma_ros.nodes.limits import commanded_joints
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.robot_output import COMMAND_TOPICS
from magma_ros.nodes.settings import SettingError
from magma_ros.types import FloatArray, Source

if TYPE_CHECKING:
    from magma_ros.sim.simulation import Simulation

MOVED = 1e-3
"""Angle from where it began by which a joint counts as sent elsewhere [rad]."""


class SimJoints:
    """Keeps where the joints are to go.

    Args:
        node: The simulator's.
        arm: Names of the simulated arm's joints.
        interface: What is received; not a twist.

    Raises:
        SettingError: The robot's file names other joints than the arm has.
    """

    def __init__(
        self, node: ManagedNode, arm: tuple[str, ...], interface: CommandInterface
    ) -> None:
        given = commanded_joints(node.settings)
        if sorted(given) != sorted(arm):
            raise SettingError(
                f"joints.names is {', '.join(given) or 'empty'}, but the simulated arm has the "
                f"joints {', '.join(arm)}"
            )
        self._timeout: float = node.settings["command_timeout"]
        self._arm, self._order = arm, [given.index(name) for name in arm]
        self._target: FloatArray | None = None  # positions, in the arm's order [rad]
        self._speeds: FloatArray | None = None  # likewise [rad/s]
        self._begun: FloatArray | None = None  # where the joints were when the scene began [rad]
        self._heard = -math.inf
        topic = COMMAND_TOPICS[interface]
        if interface is CommandInterface.JOINT_TRAJECTORY:
            node.create_subscription(JointTrajectory, topic, self._on_trajectory, qos.STATE)
        else:
            by_velocity = interface is CommandInterface.FORWARD_VELOCITY
            take = self._on_speeds if by_velocity else self._on_positions
            node.create_subscription(Float64MultiArray, topic, take, qos.STATE)

    @classmethod
    def of(cls, node: ManagedNode, world: Simulation) -> SimJoints | None:
        """The controller that the node's parameters ask for, or None for twists."""
        interface = CommandInterface(node.settings["command_interface"])
        if interface is CommandInterface.TWIST:
            return None
        return cls(node, world.world.arm.spec.arm_joints, interface)

    def drive(self, world: Simulation, opening: float, elapsed: float) -> bool:
        """Command the arm for the next ``elapsed`` [s]; it rests where no command has come.

        Returns:
            Whether it was commanded to move since the scene began.
        """
        measured = world.joint_positions()[: len(self._arm)]
        self._begun = measured if self._begun is None else self._begun
        if self._target is None:
            self._target = measured
        if self._speeds is not None and time.monotonic() - self._heard < self._timeout:
            self._target = self._target + elapsed * self._speeds
        world.command_joints(self._target, opening)
        return bool((np.abs(self._target - self._begun) > MOVED).any())

    def restart(self) -> None:
        """Forget what was commanded: the scene is another."""
        self._target = self._speeds = self._begun = None

    def _on_trajectory(self, message: JointTrajectory) -> None:
        command = convert.joint_command_from_message(message, Source.GUARD)
        if sorted(command.names) != sorted(self._arm):
            raise convert.MessageError(f"a trajectory of {', '.join(command.names)} is not ours")
        at = [command.names.index(name) for name in self._arm]
        self._target = self._finite(command.positions)[at]

    def _on_positions(self, message: Float64MultiArray) -> None:
        self._target = self._finite(np.array(message.data, np.float64))[self._order]

    def _on_speeds(self, message: Float64MultiArray) -> None:
        self._speeds = self._finite(np.array(message.data, np.float64))[self._order]
        self._heard = time.monotonic()

    def _finite(self, values: FloatArray) -> FloatArray:
        if values.shape != (len(self._arm),) or not np.isfinite(values).all():
            raise convert.MessageError(f"{len(self._arm)} finite numbers are needed, one a joint")
        return values
