# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only publisher of robot commands: policy and person go in, what is safe comes out.

Watchdogs run on the steady clock, also in simulation. Stamps are on the clock of the messages and
are brought onto the steady one as they come in.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState, Range, TimeReference
from std_msgs.msg import Float64, Header, String
from std_srvs.srv import Trigger

from magma_ros.guard import Guard, GuardConfig, GuardOutput, Limits, Workspace
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, GripperJoint
from magma_ros.nodes.limits import BASE_FRAME, LIMIT_SETTINGS, WORKSPACE_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.types import Answer, Mode, Source

LEVELS = {
    Mode.AUTO: DiagnosticStatus.OK,
    Mode.TELEOP: DiagnosticStatus.OK,
    Mode.HOLD: DiagnosticStatus.WARN,
    Mode.STOPPED: DiagnosticStatus.ERROR,
}


class GuardNode(ManagedNode):
    """Feeds the guard, asks it at a fixed rate, and publishes its answer."""

    SETTINGS = (
        BASE_FRAME,
        Setting("start_mode", "HOLD", "Mode at the start.", choices=("HOLD", "AUTO")),
        Setting("command_rate", 50.0, "Rate of commands to the robot [Hz].", 20.0, 200.0),
        Setting("policy_timeout", 0.12, "Silence of the policy until HOLD [s].", 0.02, 5.0),
        Setting("teleop_timeout", 0.25, "Age at which a person's twist is zero [s].", 0.02, 5.0),
        Setting("teleop_patience", 2.0, "Silence of a person until HOLD [s].", 0.1, 60.0),
        Setting("state_timeout", 0.3, "Age of the robot's pose until HOLD [s].", 0.02, 5.0),
        *WORKSPACE_SETTINGS,
        *LIMIT_SETTINGS,
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters; the guard is made on configure."""
        super().__init__("guard")

    # Lifecycle

    def setup(self) -> None:
        """Make the guard and open the topics."""
        self._gripper = GripperJoint.from_settings(self.settings)
        self._core = Guard(self._configuration())
        self._told: GuardOutput | None = None
        self._rejected = 0
        self._policy_stamp: Time | None = None  # of the policy's newest good command
        self._open_outputs()
        self._open_inputs()

    def start(self) -> None:
        """Begin to command."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = 1.0 / self.settings["command_rate"]
        self._activities = [
            self.create_timer(period, self._command, clock=steady),
            self.create_timer(1.0, self._publish_diagnostics, clock=steady),
        ]

    def stop(self) -> None:
        """Cease, and leave a zero twist behind: the last word is a safe one."""
        for timer in self._activities:
            self.destroy_timer(timer)
        self._publish_twist(np.zeros(6))

    def _configuration(self) -> GuardConfig:
        settings = self.settings
        return GuardConfig(
            base_frame=settings["base_frame"],
            start_mode=Mode[settings["start_mode"]],
            period=1.0 / settings["command_rate"],
            policy_timeout=settings["policy_timeout"],
            teleop_timeout=settings["teleop_timeout"],
            teleop_patience=settings["teleop_patience"],
            state_timeout=settings["state_timeout"],
            limits=Limits(**settings.group("limits")),
            workspace=Workspace(**settings.group("workspace")),
        )

    # Inputs

    def _open_inputs(self) -> None:
        subscribe, serve = self.create_subscription, self.create_service
        for source, twist, gripper in (
            (Source.POLICY, names.POLICY_TWIST, names.POLICY_GRIPPER),
            (Source.TELEOP, names.TELEOP_TWIST, names.TELEOP_GRIPPER),
        ):
            subscribe(TwistStamped, twist, lambda m, s=source: self._on_twist(m, s), qos.STATE)
            subscribe(Float64, gripper, lambda m, s=source: self._on_gripper(m, s), qos.STATE)
        subscribe(String, names.POLICY_HELP, self._on_help, qos.EVENTS)
        subscribe(PoseStamped, names.EE_POSE, self._on_pose, qos.STATE)
        subscribe(Range, names.CLEARANCE, self._on_clearance, qos.IMAGES)
        for name, act in (
            ("take_over", self._core.take_over),
            ("hand_back", self._core.hand_back),
            ("hold", self._core.hold),
            ("stop", self._core.stop),
            ("reset", self._core.reset),
        ):
            serve(Trigger, f"~/{name}", lambda _, r, a=act, n=name: self._on_request(r, a, n))

    def _on_twist(self, message: TwistStamped, source: Source) -> None:
        command = convert.twist_from_message(message, source)
        now = time.monotonic()
        stamped = convert.shifted(command, now - self._message_time())
        answer = self._core.submit(stamped, now)
        self._note(answer)
        if answer.accepted and source is Source.POLICY:
            self._policy_stamp = message.header.stamp

    def _on_gripper(self, message: Float64, source: Source) -> None:
        self._core.submit_gripper(float(message.data), source)

    def _on_help(self, message: String) -> None:
        answer = self._core.request_help(time.monotonic(), message.data[:200])
        self.get_logger().info(f"help: {answer.sentence}")

    def _on_pose(self, message: PoseStamped) -> None:
        now = time.monotonic()
        try:
            pose = convert.pose_from_message(message)
        except convert.MessageError as error:
            self._note(Answer(accepted=False, sentence=str(error)))
            return
        self._note(self._core.report_pose(convert.shifted(pose, now - self._message_time()), now))

    def _on_clearance(self, message: Range) -> None:
        self._note(self._core.report_clearance(float(message.range), time.monotonic()))

    def _on_request(
        self, response: Trigger.Response, act: Callable[[float], Answer], name: str
    ) -> Trigger.Response:
        answer = act(time.monotonic())
        response.success, response.message = answer
        self.get_logger().info(f"{name}: {answer.sentence}")
        return response

    def _note(self, answer: Answer) -> None:
        if not answer.accepted:
            self._rejected += 1
            self.get_logger().warning(answer.sentence, throttle_duration_sec=2.0)

    # Outputs

    def _open_outputs(self) -> None:
        publisher = self.create_publisher
        self._twist_publisher = publisher(TwistStamped, names.ROBOT_TWIST, qos.STATE)
        self._gripper_publisher = publisher(JointState, names.ROBOT_GRIPPER, qos.STATE)
        self._follows_publisher = publisher(TimeReference, names.GUARD_FOLLOWS, qos.EVENTS)
        self._mode_publisher = publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        self._diagnostics_publisher = publisher(DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS)

    def _command(self) -> None:
        output = self._core.update(time.monotonic())
        header = Header(stamp=self._publish_twist(output.twist))
        if output.source is Source.POLICY and self._policy_stamp is not None:
            # Which of the policy's commands this one carries on: so that latency can be measured.
            self._follows_publisher.publish(
                TimeReference(
                    header=header, time_ref=self._policy_stamp, source=Source.POLICY.value
                )
            )
        if output.gripper is not None:
            stamp = self.get_clock().now().to_msg()
            self._gripper_publisher.publish(self._gripper.command(output.gripper, stamp))
        self._tell(output)

    def _publish_twist(self, twist: np.ndarray) -> Time:
        stamp = self.get_clock().now().to_msg()
        frame = self.settings["base_frame"]
        self._twist_publisher.publish(convert.twist_to_message(twist, frame, stamp))
        return stamp

    def _tell(self, output: GuardOutput) -> None:
        """Publish the mode when it, its reason, or the source of the commands has changed."""
        told, self._told = self._told, output
        if told is not None and (told.mode, told.reason, told.source) == (
            output.mode,
            output.reason,
            output.source,
        ):
            return
        self._mode_publisher.publish(self._mode_status(output))
        if told is None or (told.mode, told.reason) != (output.mode, output.reason):
            self.get_logger().info(f"{output.mode.name}: {_sentence(output)}")

    def _mode_status(self, output: GuardOutput) -> DiagnosticStatus:
        values = {
            "mode": output.mode.name,
            "reason": output.reason.name if output.reason else "",
            "source": output.source.value,
        }
        return convert.status_message(LEVELS[output.mode], "guard", _sentence(output), values)

    def _publish_diagnostics(self) -> None:
        if self._told is None:
            return
        status = self._mode_status(self._told)
        status.name = "guard: mode"
        extra = {"scale": self._told.scale, "rejected": self._rejected, "detail": self._told.detail}
        status.values = [*status.values, *convert.key_values(extra)]
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics_publisher.publish(DiagnosticArray(header=header, status=[status]))

    def _message_time(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def _sentence(output: GuardOutput) -> str:
    if output.reason is None:
        return output.mode.sentence
    return f"{output.reason.sentence} {output.detail}".strip()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``guard_node``."""
    return run(GuardNode, args)
