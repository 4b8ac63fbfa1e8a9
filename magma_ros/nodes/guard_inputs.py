# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of the guard node: commands, the robot's state, sensors and the emergency stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory

from magma_ros.agent.interpolated_clock import InterpolatedClock
from magma_ros.guard import (
    Clearance,
    CommandInterface,
    GripperCommand,
    Guard,
    Obstacles,
    PolicyHealth,
)
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clearance_input import ClearanceInput
from magma_ros.nodes.graph_watch import crowd
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.pose_input import PoseInput
from magma_ros.nodes.subscriptions import subscribe_latched, subscribe_newest
from magma_ros.types import Answer, JointCommand, Pose, Source, TwistCommand


class GuardInputs:
    """Subscribes to everything the guard is given and hands it on.

    Stamps are on the clock of the messages; the guard's own clock is the steady one, also in
    simulation. Nothing but the emergency stop and the instruction is received while the node is
    inactive.

    Args:
        node: Node to subscribe with.
        guard: The core that receives them.
        grippers: The grippers' joints, by their names.
        on_instruction: Called with each instruction.

    Attributes:
        rejected: Messages that were refused since the node was configured.
        policy_stamp: Stamp of the policy's newest good command, or None.
    """

    def __init__(
        self,
        node: ManagedNode,
        guard: Guard,
        grippers: Mapping[str, GripperJoint],
        on_instruction: Callable[[String], None],
    ) -> None:
        self.rejected = 0
        self.policy_stamp: Time | None = None
        self._clock = InterpolatedClock()
        self._node, self._guard, self._grippers = node, guard, grippers
        subscribe = node.create_subscription
        for source, twist, opening in (
            (Source.POLICY, names.POLICY_TWIST, names.POLICY_GRIPPER),
            (Source.TELEOP, names.TELEOP_TWIST, names.TELEOP_GRIPPER),
        ):
            subscribe(TwistStamped, twist, partial(self._on_twist, source), qos.STATE)
            subscribe(JointState, opening, partial(self._on_gripper, source), qos.STATE)
        subscribe(JointTrajectory, names.POLICY_JOINTS, self._on_targets, qos.STATE)
        subscribe(DiagnosticStatus, names.POLICY_HEALTH, self._on_health, qos.STATE)
        subscribe(String, names.POLICY_HELP, self._on_help, qos.EVENTS)
        subscribe(Bool, names.TELEOP_ENABLE, self._on_enable, qos.STATE)
        subscribe(JointState, names.JOINT_STATES, self._on_joints, qos.SENSOR_STATE)
        subscribe_latched(node, Bool, names.E_STOP, self._on_e_stop)
        subscribe_newest(node, String, [names.INSTRUCTION], on_instruction)
        self._pose: PoseInput | None = None
        if node.settings["command_interface"] == CommandInterface.TWIST.value:
            timeout = node.settings["state_timeout"]
            self._pose = PoseInput(node, timeout, self._on_pose, self._refuse)
        self._clearance = ClearanceInput(node, self._on_clearance)

    def close(self) -> None:
        """End what does not end with the node's subscriptions."""
        if self._pose is not None:
            self._pose.close()
        self._clearance.close()

    def _on_twist(self, source: Source, message: TwistStamped) -> None:
        self._submit(convert.twist_from_message(message, source), message.header.stamp)

    def _on_targets(self, message: JointTrajectory) -> None:
        try:
            command = convert.joint_command_from_message(message, Source.POLICY)
        except convert.MessageError as error:
            self._note(self._guard.refuse(Source.POLICY, str(error), time.monotonic()))
            return
        self._submit(command, message.header.stamp)

    def _submit(self, command: TwistCommand | JointCommand, stamp: Time) -> None:
        now = time.monotonic()
        answer = self._guard.submit(command, now, self._offset(now))
        self._note(answer)
        if answer.accepted and command.source is Source.POLICY:
            self.policy_stamp = stamp

    def _on_gripper(self, source: Source, message: JointState) -> None:
        now, stamp = time.monotonic(), convert.seconds(message.header.stamp)
        named = [each for each in self._grippers.values() if each.joint in message.name]
        for gripper in named or self._grippers.values():
            if (opening := gripper.asked(message)) is None:
                self._refuse(f"the {source.value} gripper names no finite {gripper.joint}")
                continue
            command = GripperCommand(stamp, opening, source, gripper.name)
            self._note(self._guard.submit_gripper(command, now, self._offset(now)))

    def _on_health(self, message: DiagnosticStatus) -> None:
        values = convert.status_values(message)
        try:
            age = float(values["plan_age_s"])
        except (KeyError, ValueError):
            self._refuse("policy/health holds no plan_age_s; only a policy may publish there")
            return
        fault = values.get("fault", "")
        if not fault and message.level == DiagnosticStatus.ERROR:
            fault = message.message or "it tells of an error"
        age = math.inf if math.isnan(age) else max(age, 0.0)
        health = PolicyHealth(age, fault, values.get("waiting_for", ""), values.get("lacking", ""))
        self._note(self._guard.report_health(health, time.monotonic()))

    def _on_help(self, message: String) -> None:
        answer = self._guard.request_help(time.monotonic(), message.data[:200])
        self._node.get_logger().info(f"help: {answer.sentence}")

    def _on_enable(self, message: Bool) -> None:
        self._note(self._guard.report_enable(time.monotonic(), pressed=bool(message.data)))

    def _on_e_stop(self, message: Bool) -> None:
        others = "" if message.data else crowd(self._node, names.E_STOP)
        answer = self._guard.report_e_stop(
            time.monotonic(), pressed=bool(message.data), others=others
        )
        if not answer.accepted:
            self._node.get_logger().warning(answer.sentence, throttle_duration_sec=2.0)

    def _on_pose(self, pose: Pose) -> None:
        now = time.monotonic()
        self._note(self._guard.report_pose(pose, now, self._offset(now)))

    def _on_joints(self, message: JointState) -> None:
        if self._pose is None:
            now, stamp = time.monotonic(), convert.seconds(message.header.stamp)
            self._note(
                self._guard.report_joints(
                    message.name, message.position, stamp, now, self._offset(now)
                )
            )
        for gripper in self._grippers.values():
            if gripper.joint not in message.name:
                continue  # an arm and its gripper may report on their own
            if (opening := gripper.asked(message)) is None:
                self._refuse(f"joint_states holds no finite position of {gripper.joint}")
                continue
            now = time.monotonic()
            stamp = convert.seconds(message.header.stamp) + self._offset(now)
            self._note(self._guard.report_opening(opening, stamp, now, gripper.name))

    def _on_clearance(self, measured: Clearance | Obstacles) -> None:
        now = time.monotonic()
        measured = replace(measured, stamp=measured.stamp + self._offset(now))
        self._note(self._guard.report_clearance(measured, now))

    def _offset(self, now: float) -> float:
        """What brings a stamp onto the steady clock, whose time is ``now`` [s]."""
        told = float(self._node.get_clock().now().nanoseconds) * 1e-9
        return now - self._clock.read(told, now)

    def _note(self, answer: Answer) -> None:
        if not answer.accepted:
            self._refuse(answer.sentence)

    def _refuse(self, sentence: str) -> None:
        if not self._node.working:
            return
        self.rejected += 1
        self._node.get_logger().warning(sentence, throttle_duration_sec=2.0)
