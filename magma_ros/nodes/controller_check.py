# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the parameters of the robot's controller, and reports why it must not be driven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future

from magma_ros.guard import CommandInterface
from magma_ros.guard.controller import misordering
from magma_ros.nodes.limits import commanded_joints
from magma_ros.nodes.robot_output import COMMAND_TOPICS
from magma_ros.nodes.settings import Settings, Value

PATIENCE = 2.0
"""Longest time that an answer may take [s], and time between two questions."""

Judge = Callable[[Sequence[Value | None]], str]
"""Returns from a controller's parameters why it must not be driven, or an empty string."""


@dataclass(frozen=True, slots=True)
class Controller:
    """Whom to ask, and for what.

    Attributes:
        name: What people call it.
        service: Its service that tells parameters.
        parameters: Those that are asked for.
        switch: The guard's parameter that turns the question off.
        unheard: That it has not answered yet, as a sentence.
        topic: Where it listens; who listens there and cannot be asked is not driven. Empty to
            drive such a one.
    """

    name: str
    service: str
    parameters: tuple[str, ...]
    switch: str
    unheard: str
    topic: str = ""


class ControllerCheck:
    """Looks at a controller now and then, as it may be started anew with other parameters.

    Args:
        node: Node that asks; the client is closed with the node's others.
        controller: Whom to ask.
        judge: Judges the answer.
    """

    def __init__(self, node: Node, controller: Controller, judge: Judge) -> None:
        self._node = node
        self._client = node.create_client(GetParameters, controller.service)
        self._controller, self._judge = controller, judge
        self._answer: Future | None = None
        self._asked = 0.0
        self._problem: str | None = None  # None before the first answer

    def look(self, now: float) -> str:
        """What is wrong with the controller at ``now`` [s], or empty; never waits.

        Where nobody listens there is nothing to drive and nothing wrong.
        """
        controller = self._controller
        if not self._client.service_is_ready():
            self._answer, self._problem = None, None
            return controller.unheard if self._listened_to() else ""
        if self._answer is not None and self._answer.done():
            self._problem = self._judged(self._answer)
            self._answer = None
        elif self._answer is not None and now - self._asked > PATIENCE:
            self._client.remove_pending_request(self._answer)
            self._answer = None
            self._problem = (
                f"{controller.name} does not answer on {self._client.srv_name}: run it with "
                f"RMW_IMPLEMENTATION=rmw_cyclonedds_cpp, or set {controller.switch} to false."
            )
        elif self._answer is None and (self._problem is None or now - self._asked > PATIENCE):
            self._asked = now
            request = GetParameters.Request(names=list(controller.parameters))
            self._answer = self._client.call_async(request)
        return controller.unheard if self._problem is None else self._problem

    def _listened_to(self) -> bool:
        topic = self._controller.topic
        return bool(topic and self._node.count_subscribers(self._node.resolve_topic_name(topic)))

    def _judged(self, answer: Future) -> str:
        try:
            values = [parameter_value_to_python(value) for value in answer.result().values]
        except Exception as error:  # noqa: BLE001 - a call that fails must not end the node
            name = self._controller.name
            return f"{name} could not be asked for its parameters ({error})."
        if len(values) != len(self._controller.parameters):
            values = [None] * len(self._controller.parameters)
        return self._judge(values)


_FORWARD = ("joints", "interface_name")


def joint_controller_check(node: Node, settings: Settings) -> ControllerCheck:
    """Checks that the robot's joint controller takes the joints that its file names."""
    interface = CommandInterface(settings["command_interface"])
    name = COMMAND_TOPICS[interface].rpartition("/")[0]
    commanded = commanded_joints(settings)

    # A node of rclcpp that lacks one of those asked for tells none.
    asked = ("joints",) if interface is CommandInterface.JOINT_TRAJECTORY else _FORWARD

    def judge(values: Sequence[Value | None]) -> str:
        joints, quantity, *_ = (*values, None)
        listed = [str(joint) for joint in joints] if isinstance(joints, list) else None
        return misordering(name, interface, listed, str(quantity or ""), commanded)

    controller = Controller(
        name,
        f"{name}/get_parameters",
        asked,
        "joints.controller_check",
        f"{name} has not yet said which joints it takes; if it is no controller of ros2_control, "
        "set joints.controller_check to false.",
        COMMAND_TOPICS[interface],
    )
    return ControllerCheck(node, controller, judge)
