# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only publisher of robot commands: policy and person go in, what is safe comes out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState, TimeReference
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from magma_ros.guard import CommandInterface, Guard, GuardOutput, Latches
from magma_ros.guard.servo import ServoSettings, misreading
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.clearance_input import clearance_topic
from magma_ros.nodes.controller_check import ControllerCheck, joint_controller_check
from magma_ros.nodes.graph_watch import foreign_sources
from magma_ros.nodes.gripper import gripper_topics, robot_grippers
from magma_ros.nodes.guard_inputs import GuardInputs
from magma_ros.nodes.guard_report import GuardReport
from magma_ros.nodes.guard_settings import GUARD_SETTINGS, guard_config
from magma_ros.nodes.joint_robot import joint_config
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.robot_output import COMMAND_TOPICS, robot_output
from magma_ros.nodes.servo_check import servo_check
from magma_ros.types import Answer, Mode, Source, StopReason

LEVELS = {
    Mode.AUTO: DiagnosticStatus.OK,
    Mode.TELEOP: DiagnosticStatus.OK,
    Mode.HOLD: DiagnosticStatus.WARN,
    Mode.STOPPED: DiagnosticStatus.ERROR,
}

GRAPH_PERIOD = 0.1
"""Time between two looks at who publishes what [s]."""

REST_TIME = 1.0
"""Longest time that joints are given to come to rest before the node ceases [s]."""


class GuardNode(ManagedNode):
    """Feeds the guard, asks it at a fixed rate, and publishes its answer."""

    SETTINGS = GUARD_SETTINGS

    def __init__(self) -> None:
        """Declare parameters; the guard is made on configure, and its latches outlive it."""
        super().__init__("guard")
        self._latches = Latches()
        self._inputs: GuardInputs | None = None
        self._instruction: String | None = None

    # Lifecycle

    def setup(self) -> None:
        """Make the guard and open the topics."""
        self._grippers = robot_grippers(self.settings)
        self._interface = CommandInterface(self.settings["command_interface"])
        self._core = Guard(guard_config(self.settings, joint_config(self)), self._latches)
        self._told: GuardOutput | None = None
        self._refused = ""
        self._foreign: dict[Source, str] = {}
        self._open_outputs()
        self._inputs = GuardInputs(self, self._core, self._grippers, self._on_instruction)
        self._controller = self._controller_check()
        for name, act in (
            ("take_over", self._core.take_over),
            ("hand_back", self._core.hand_back),
            ("hold", self._core.hold),
            ("stop", self._core.stop),
            ("reset", self._core.reset),
        ):
            self.create_service(
                Trigger, f"~/{name}", lambda _, r, a=act, n=name: self._on_request(r, a, n)
            )

    def start(self) -> None:
        """Begin to command, from rest and in HOLD or STOPPED."""
        self._core.activate(time.monotonic())
        self._told = None
        self._watch_graph()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._activities = [
            self.create_timer(1.0 / self.settings["command_rate"], self._command, clock=steady),
            self.create_timer(GRAPH_PERIOD, self._watch_graph, clock=steady),
            self.create_timer(1.0, self._publish_diagnostics, clock=steady),
        ]

    def stop(self) -> None:
        """Cease, and leave a robot at rest behind: the last command is a safe one."""
        for timer in self._activities:
            self.destroy_timer(timer)
        if self._interface is not CommandInterface.TWIST:
            self._come_to_rest()
        silent = self._told is not None and not self._told.publish
        self._core.deactivate()
        if not silent:  # else others may be using the controller
            self._robot.rest(self.get_clock().now().to_msg())

    def _come_to_rest(self) -> None:
        """Bring joints to rest within their limits, since no controller does so by itself."""
        deadline = time.monotonic() + REST_TIME
        while self._told is not None and self._told.moving and time.monotonic() < deadline:
            self._core.hold(time.monotonic())
            self._command()
            time.sleep(1.0 / self.settings["command_rate"])

    def teardown(self) -> None:
        """Close what is not a topic."""
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    # Inputs and requests

    def _on_instruction(self, message: String) -> None:
        """Keep the instruction for a policy that starts after its publisher has left."""
        if self._instruction is None or self._instruction.data != message.data:
            self._instruction = message
            self._instruction_publisher.publish(message)

    def _on_request(
        self, response: Trigger.Response, act: Callable[[float], Answer], name: str
    ) -> Trigger.Response:
        if self.working:
            self._watch_graph()
        answer = act(time.monotonic())
        response.success, response.message = answer
        said = f"{name}: {answer.sentence}"
        if answer.accepted or said != self._refused:  # who asks again and again is refused once
            self.get_logger().info(said)
        self._refused = "" if answer.accepted else said
        return response

    def _watch_graph(self) -> None:
        grippers = gripper_topics(self._grippers)
        outputs = (COMMAND_TOPICS[self._interface], *grippers.values())
        foreign = foreign_sources(self, clearance_topic(self.settings), outputs)
        for source, who in foreign.items():
            if self._foreign.get(source) != who:
                self.get_logger().warning(f"{StopReason.FOREIGN_SOURCE.sentence} {who}")
        self._foreign = foreign
        self._core.report_foreign(foreign)
        if self._controller is not None:
            self._core.report_controller(self._controller.look(time.monotonic()))

    def _controller_check(self) -> ControllerCheck | None:
        if self._interface is CommandInterface.TWIST:
            return servo_check(self, self._misreading) if self.settings["servo_check"] else None
        wanted = self.settings["joints.controller_check"]
        return joint_controller_check(self, self.settings) if wanted else None

    def _misreading(self, servo: ServoSettings) -> str:
        period = 1.0 / self.settings["command_rate"]
        return misreading(servo, period, self.settings["command_hold"])

    # What comes out

    def _open_outputs(self) -> None:
        publisher = self.create_publisher
        self._robot = robot_output(self)
        self._gripper_publishers = {
            name: publisher(JointState, topic, qos.STATE)
            for name, topic in gripper_topics(self._grippers).items()
        }
        self._follows_publisher = publisher(TimeReference, names.GUARD_FOLLOWS, qos.EVENTS)
        self._mode_publisher = publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        self._instruction_publisher = publisher(String, names.GUARD_INSTRUCTION, qos.LATCHED)
        if self._instruction is not None:
            self._instruction_publisher.publish(self._instruction)
        self._report = GuardReport(self)

    def _command(self) -> None:
        # The guard bounds a change by the time between two updates. Who receives the twists knows
        # that time by their stamps, and other threads may run between two readings of clocks.
        now, stamp = time.monotonic(), self.get_clock().now().to_msg()
        try:
            output = self._core.update(now, until=time.monotonic())
        except Exception as error:  # noqa: BLE001 - a guard that fails must still stop the arm
            output = self._core.fail(now, repr(error))
            self.get_logger().fatal(traceback.format_exc(), throttle_duration_sec=2.0)
        if output.publish:
            self._publish(output, stamp)
        if self._inputs is not None:
            self._report.note(now, output, self._inputs.rejected)
        self._tell(output)

    def _publish(self, output: GuardOutput, stamp: Time) -> None:
        self._robot.publish(output, stamp)
        assert self._inputs is not None
        if output.source is Source.POLICY and self._inputs.policy_stamp is not None:
            # Which of the policy's commands this one carries on: so that latency can be measured.
            self._follows_publisher.publish(
                TimeReference(
                    header=Header(stamp=stamp),
                    time_ref=self._inputs.policy_stamp,
                    source=Source.POLICY.value,
                )
            )
        for name, opening in output.grippers.items():
            command = self._grippers[name].command(opening, stamp)
            self._gripper_publishers[name].publish(command)

    def _tell(self, output: GuardOutput) -> None:
        """Publish the mode when it, its reason, the source, or whether the arm is held changed."""
        told, self._told = self._told, output
        if told is not None and _essence(told) == _essence(output):
            return
        self._mode_publisher.publish(self._mode_status(output))
        if told is None or _essence(told)[:2] != _essence(output)[:2]:
            self.get_logger().info(f"{output.mode.name}: {_sentence(output)}")
        elif output.blocked:
            self.get_logger().warning(_sentence(output), throttle_duration_sec=2.0)

    def _mode_status(self, output: GuardOutput) -> DiagnosticStatus:
        values = {
            "mode": output.mode.name,
            "reason": output.reason.name if output.reason else "",
            "source": output.source.value,
            "scale": output.scale,
            "detail": output.detail,
        }
        return convert.status_message(_level(output), "guard", _sentence(output), values)

    def _publish_diagnostics(self) -> None:
        """Say once a second what was said last, with the counters."""
        if self._told is None:
            return
        status = self._mode_status(self._told)
        self._mode_publisher.publish(status)  # a guard that has nothing new to say still lives
        status.name = "guard: mode"
        self._report.publish(time.monotonic(), status)


def _level(output: GuardOutput) -> bytes:
    """A warning also while nothing is heard of a person who drives: then nobody's twist is held."""
    unheard = output.blocked and output.source is Source.GUARD
    level: bytes = DiagnosticStatus.WARN if unheard else LEVELS[output.mode]
    return level


def _essence(output: GuardOutput) -> tuple[object, ...]:
    return output.mode, output.reason, output.source, output.blocked


def _sentence(output: GuardOutput) -> str:
    sentence = output.mode.sentence if output.reason is None else output.reason.sentence
    if output.reason is None and not output.blocked:
        return sentence
    return f"{sentence} {output.detail}".strip()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``guard_node``."""
    return run(GuardNode, args)
