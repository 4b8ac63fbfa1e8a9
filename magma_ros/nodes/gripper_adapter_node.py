# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns the guard's ``gripper/command`` into goals of a gripper's action.

Two actions are in use: ``control_msgs/action/ParallelGripperCommand`` (a joint state), and the
older ``control_msgs/action/GripperCommand`` (position and effort). Actions need a real ROS 2.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState

from magma_ros.motion.gripper_goals import GoalRules, GripperGoal, GripperGoals
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.diagnosis import Diagnosis
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.nodes.subscriptions import subscribe_latched
from magma_ros.types import MagmaError, Mode

PARALLEL, SINGLE = "ParallelGripperCommand", "GripperCommand"

PERIOD = 0.05
"""Time between two looks at what to ask for [s]."""

TOLERANCE = 0.1
"""Part of the way from closed to open at which a moving stream leads to the next goal."""

SUCCEEDED = 4
"""``action_msgs/msg/GoalStatus.STATUS_SUCCEEDED``."""


class GripperAdapterError(MagmaError):
    """The gripper's action cannot be used on this machine."""


class GripperAdapterNode(ManagedNode):
    """Listens to the guard and asks the gripper's action server; stops it when the guard stops."""

    SETTINGS = (
        Setting("action", "gripper_controller/gripper_cmd", "Name of the gripper's action."),
        Setting("action_type", PARALLEL, "Its type, of control_msgs.", choices=(PARALLEL, SINGLE)),
        Setting(
            "position_scale",
            1.0,
            "Position in a goal per joint position; 2 where the action takes the gap between two "
            "fingers.",
            1e-3,
            1e3,
        ),
        Setting("timeout", 0.5, "Silence of the guard until a goal is cancelled [s].", 0.05, 10.0),
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters; the client is made on configure."""
        super().__init__("gripper_adapter")

    def setup(self) -> None:
        """Open the action, then the topics."""
        self._client: Any = None
        self._handle: Any = None
        self._problem = ""
        self._type, self._client = self._open_action()
        span = self.settings["gripper.open_position"] - self.settings["gripper.closed_position"]
        tolerance = TOLERANCE * abs(span)
        self._goals = GripperGoals(GoalRules(tolerance, timeout=self.settings["timeout"]))
        self.create_subscription(JointState, names.ROBOT_GRIPPER, self._on_command, qos.STATE)
        subscribe_latched(self, DiagnosticStatus, names.GUARD_MODE, self._on_mode)
        self._diagnosis = Diagnosis(self)
        self._asked, self._failed = 0, 0

    def start(self) -> None:
        """Begin to ask for goals."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [
            self.create_timer(PERIOD, self._follow, clock=steady),
            self.create_timer(1.0, self._publish_diagnostics, clock=steady),
        ]

    def stop(self) -> None:
        """Cancel what is under way: the gripper stays where it is."""
        for timer in self._timers:
            self.destroy_timer(timer)
        self._goals.halt(halted=True)
        self._follow()
        self._goals.halt(halted=False)

    def teardown(self) -> None:
        """Close the action."""
        if getattr(self, "_client", None) is not None:
            self._client.destroy()
            self._client = None

    def _open_action(self) -> tuple[Any, Any]:
        kind = self.settings["action_type"]
        try:
            client_class = import_module("rclpy.action").ActionClient
            action = getattr(import_module("control_msgs.action"), kind)
        except (ImportError, AttributeError) as error:
            raise GripperAdapterError(
                f"gripper actions need a real ROS 2 with control_msgs/action/{kind} ({error}): "
                "sudo apt install ros-$ROS_DISTRO-control-msgs, or let your driver listen to "
                "gripper/command itself"
            ) from error
        return action, client_class(self, action, self.settings["action"])

    # Inputs

    def _on_command(self, message: JointState) -> None:
        joint = self.settings["gripper.joint"]
        by_name = dict(zip(message.name, message.position, strict=False))
        if joint not in by_name:
            self._complain(f"gripper/command has no joint {joint}")
            return
        effort = message.effort[0] if len(message.effort) else self.settings["gripper.max_effort"]
        goal = GripperGoal(float(by_name[joint]), float(effort))
        answer = self._goals.offer(goal, convert.seconds(message.header.stamp), self._now())
        if not answer.accepted:
            self._complain(answer.sentence)

    def _on_mode(self, message: DiagnosticStatus) -> None:
        mode = convert.status_values(message).get("mode")
        if mode in Mode.__members__:
            self._goals.halt(halted=mode == Mode.STOPPED.name)

    # Goals

    def _follow(self) -> None:
        now = self._now()
        if self._goals.must_cancel(now):
            self.get_logger().warning(
                "the gripper's goal is cancelled: the guard stopped or fell silent"
            )
            if self._handle is not None:
                self._handle.cancel_goal_async()
                self._handle = None
        if not self._client.server_is_ready():
            self._complain(f"there is no action server at {self.settings['action']}")
            return
        if (goal := self._goals.next_goal(now)) is not None:
            self._handle = None
            self._asked += 1
            future = self._client.send_goal_async(self._message(goal))
            future.add_done_callback(partial(self._on_answer, goal))

    def _message(self, goal: GripperGoal) -> Any:
        position = goal.position * self.settings["position_scale"]
        message = self._type.Goal()
        if self.settings["action_type"] == PARALLEL:
            message.command.name = [self.settings["gripper.joint"]]
            message.command.position = [position]
            message.command.effort = [goal.effort]
        else:
            message.command.position = position
            message.command.max_effort = goal.effort
        return message

    def _on_answer(self, goal: GripperGoal, future: Any) -> None:
        handle = self._result(future)
        if handle is None or not handle.accepted:
            self._goals.ended(goal, succeeded=False)
            self._complain("the gripper's action refused a goal")
        elif not self._goals.is_newest(goal):
            handle.cancel_goal_async()  # cancelled or replaced while its answer was awaited
        else:
            self._handle, self._problem = handle, ""
            handle.get_result_async().add_done_callback(partial(self._on_result, goal))

    def _on_result(self, goal: GripperGoal, future: Any) -> None:
        result = self._result(future)
        # A gripper that holds an object stalls, which its controller may call aborted: as far as
        # the fingers are concerned the goal was met, and asking again would only squeeze anew.
        stalled = result is not None and getattr(result.result, "stalled", False)
        succeeded = result is not None and (result.status == SUCCEEDED or stalled)
        self._failed += not succeeded
        self._goals.ended(goal, succeeded=succeeded)

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except Exception as error:  # noqa: BLE001 - whatever the action raises must not end the node
            self._complain(f"the gripper's action failed: {error}")
            return None

    # Reports

    def _complain(self, sentence: str) -> None:
        self._problem = sentence
        self.get_logger().warning(sentence, throttle_duration_sec=2.0)

    def _publish_diagnostics(self) -> None:
        self._diagnosis.publish(
            self._diagnosis.check(
                "gripper_adapter: action",
                "the gripper follows",
                {self._problem: bool(self._problem)},
                {"goals": self._asked, "failed": self._failed},
            )
        )
        self._problem = ""

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    """Entry point of ``gripper_adapter_node``."""
    return run(GripperAdapterNode, args)
