# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and an ideal arm for policy and guard, and a record of when the guard answered.

The pictures are shown at a fixed rate, whatever the answers; the arm does exactly what the guard
says. What is heard is written to a file, for ``magma_ros.evaluation.bench.nodes_wall``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, JointState, TimeReference
from std_msgs.msg import String
from std_srvs.srv import Trigger

from magma_ros.evaluation.bench.nodes_wall import TOOL_DOWN
from magma_ros.files import write_json
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, GripperJoint
from magma_ros.nodes.hand_over import HandOver
from magma_ros.nodes.limits import BASE_FRAME
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.types import FloatArray, MagmaError, Mode, Pose, Source

STATE_PERIOD = 0.01
"""Time between two poses [s]."""

LAST_WAIT = 1.0
"""How long answers to the last pictures are waited for [s]."""

DRIFT = 1.001
"""How much longer the period of the pictures is than asked for, so that every phase between
cameras and guard is met, as it is on a robot."""

PATIENCE = 60.0
"""Longest wait for the guard to let the policy drive [s]."""


FASTEST = 10.0
"""The most that its arm follows of a command, a component [m/s, rad/s]; no real arm is faster."""


class ProbeError(MagmaError):
    """The probe cannot measure anything."""


class LatencyProbeNode(ManagedNode):
    """Publishes pictures, follows commands, and records what it receives."""

    SETTINGS = (
        Setting("pictures", str, "What the cameras show: an .npz file."),
        Setting("record", str, "File for the record (JSON)."),
        Setting("ticks", 1000, "Pictures that count.", 1, 10_000_000),
        Setting("warm_up", 10, "Pictures shown before those that count.", 0, 100_000),
        Setting("rate", 10.0, "Pictures a second [Hz].", 0.5, 100.0),
        BASE_FRAME,
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters."""
        super().__init__("latency_probe")

    def setup(self) -> None:
        """Load the pictures and open the topics."""
        self._load(Path(self.settings["pictures"]))
        self._gripper = GripperJoint.from_settings(self.settings)
        self._mode = ""
        self._shown: list[dict[str, Any]] = []
        self._plans: list[dict[str, Any]] = []
        self._follows: dict[int, int] = {}  # stamps [ns]: the policy's command, the guard's first
        self._holds: list[str] = []
        self._twist: FloatArray = np.zeros(6)
        publisher, subscribe = self.create_publisher, self.create_subscription
        self._cameras = {
            name: publisher(Image, names.camera_topic(name), qos.IMAGES) for name in self._pictures
        }
        self._pose_publisher = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self._joint_publisher = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self._instruction_publisher = publisher(String, names.INSTRUCTION, qos.LATCHED)
        subscribe(TwistStamped, names.ROBOT_TWIST, self._on_twist, qos.STATE)
        subscribe(TimeReference, names.GUARD_FOLLOWS, self._on_follows, qos.EVENTS)
        subscribe(DiagnosticStatus, names.POLICY_STATUS, self._on_plan, qos.EVENTS)
        subscribe(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        self._hand_over = HandOver(self, self.get_logger().info)
        self._began: float | None = None  # when the arm was first to be driven
        self.create_service(Trigger, "~/begin", self._on_begin)

    def start(self) -> None:
        """Begin to show pictures; the policy drives once ``~/begin`` was called."""
        self._instruction_publisher.publish(String(data=self._instruction))
        self._moved = time.monotonic()
        self._period = DRIFT / self.settings["rate"]
        self._due = self._moved + self._period
        self._left = self.settings["warm_up"]  # pictures before those that count
        self._turn = 0
        self._timers = [
            self._every(self._period, self._show),
            self._every(STATE_PERIOD, self._publish_state),
            self._every(0.25, self._ask),
        ]

    def stop(self) -> None:
        """End, and write the record."""
        for timer in self._timers:
            self.destroy_timer(timer)
        follows = [(answer, command) for command, answer in self._follows.items()]
        content = {
            "shown": self._shown,
            "plans": self._plans,
            "follows": follows,
            "holds": self._holds,
        }
        write_json(content, Path(self.settings["record"]))

    def _every(self, period: float, act: Any) -> Any:
        return self.create_timer(period, act, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _load(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                prefix = "camera/"
                self._pictures = {
                    name.removeprefix(prefix): file[name] for name in file if prefix in name
                }
                self._instruction = str(file["instruction"])
                self._position: FloatArray = np.array(file["position"], float)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ProbeError(f"{path} holds no pictures to show: {error}") from error
        self._orientation = Rotation.from_quat(TOOL_DOWN)

    def _on_begin(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Whoever watches does so: let the policy drive, and count."""
        response.success = self.working
        response.message = "it begins" if self.working else "the probe is not active"
        if self.working and self._began is None:
            self._began = time.monotonic()
        return response

    def _ask(self) -> None:
        if self._began is not None:
            self._hand_over.ask()

    # What it shows

    def _show(self) -> None:
        """Show the next picture of every camera, with one stamp."""
        now = time.monotonic()
        late = max(0.0, now - self._due)
        self._due = max(self._due + self._period, now + 0.5 * self._period)
        stamp = self.get_clock().now()
        for name, publisher in self._cameras.items():
            pictures = self._pictures[name]
            pixels = pictures[self._turn % len(pictures)].copy()
            pixels[0, 0] ^= self._turn % 2  # a working camera never shows the same twice
            publisher.publish(convert.image_to_message(pixels, f"{name}_optical", stamp.to_msg()))
        self._turn += 1
        self._count(int(stamp.nanoseconds), late)

    def _count(self, stamp_ns: int, late: float) -> None:
        if self._began is None:
            return
        if self._mode != Mode.AUTO.name and not self._shown:
            if time.monotonic() - self._began > PATIENCE:
                self.get_logger().error(f"the guard stayed in {self._mode or 'silence'}")
                self._finish()
            return
        if self._left > 0:
            self._left -= 1
        elif len(self._shown) < self.settings["ticks"]:
            self._shown.append({"stamp_ns": stamp_ns, "late_s": late})
        elif stamp_ns - self._shown[-1]["stamp_ns"] > LAST_WAIT * convert.NANOSECONDS:
            self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _publish_state(self) -> None:
        now = time.monotonic()
        elapsed, self._moved = now - self._moved, now
        self._position = self._position + elapsed * self._twist[:3]
        self._orientation = Rotation.from_rotvec(elapsed * self._twist[3:]) * self._orientation
        stamp = self.get_clock().now().to_msg()
        pose = Pose(convert.seconds(stamp), self._position, self._orientation.as_quat())
        frame = self.settings["base_frame"]
        self._pose_publisher.publish(convert.pose_to_message(pose, frame, stamp))
        self._joint_publisher.publish(self._gripper.command(1.0, stamp))

    # Inputs

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD).twist
        if not np.isfinite(twist).all():
            raise convert.MessageError("the robot's twist is not finite")
        # A larger one could be finite and its integral not.
        self._twist = np.clip(twist, -FASTEST, FASTEST)

    def _on_follows(self, message: TimeReference) -> None:
        command = _nanoseconds(message.time_ref)
        self._follows.setdefault(command, _nanoseconds(message.header.stamp))

    def _on_plan(self, message: DiagnosticStatus) -> None:
        self._plans.append(
            {
                "observation_ns": convert.status_whole(message, "observation_ns"),
                "command_ns": convert.status_whole(message, "command_ns"),
                "depth": convert.status_whole(message, "depth"),
                "flops_fraction": convert.status_number(message, "flops_fraction"),
                "reason": convert.status_value(message, "reason"),
            }
        )

    def _on_mode(self, message: DiagnosticStatus) -> None:
        mode, reason = (convert.status_value(message, key) for key in ("mode", "reason"))
        before, self._mode = self._mode, mode
        self._hand_over.on_mode(mode, reason)
        if before == Mode.AUTO.name and self._mode != before:
            self._holds.append(message.message)
            self.get_logger().warning(f"{self._mode}: {message.message}")


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * convert.NANOSECONDS + int(stamp.nanosec)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``latency_probe_node``."""
    return run(LatencyProbeNode, args)
