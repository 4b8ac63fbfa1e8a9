# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Watches a run, prints a line a second, and writes the closing report when the task ends."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from std_msgs.msg import String
from visualization_msgs.msg import ImageMarker

from magma_ros.evaluation.report.run import PlanRecord, PolicyView, RunRecord, write_report
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.hand_over import HandOver
from magma_ros.nodes.images import picture_from_message
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.types import FloatArray, ImageArray, Source

ROW = "{time:>7} {mode:<8} {depth:>5} {slack:>9} {model:>9} {reason:<10} {speed:>8}"
HEADER = ROW.format(
    time="time",
    mode="mode",
    depth="depth",
    slack="slack",
    model="model",
    reason="reason",
    speed="speed",
)


RECENT_VIEWS = 10
"""Images kept to find the one that a trace belongs to."""


class ReportNode(ManagedNode):
    """Ends the process, and with it the launch, once the task has an outcome."""

    SETTINGS = (
        Setting("directory", "runs/latest", "Folder for the report."),
        Setting("camera", "overview", "Camera whose images become the clip."),
        Setting("view", "front", "Camera of the policy's traces, shown in a corner of the clip."),
        Setting("patience", 120.0, "Longest wait for an outcome [s].", 1.0, 86400.0),
        Setting(
            "hand_over",
            False,
            "Hand the arm to the policy at the start, for whoever starts a simulation.",
        ),
    )

    def __init__(self) -> None:
        """Declare parameters."""
        super().__init__("report")
        self._hand_over: HandOver | None = None

    def setup(self) -> None:
        """Listen."""
        self._record = RunRecord()
        self._mode = "-"
        self._views: deque[tuple[float, ImageArray]] = deque(maxlen=RECENT_VIEWS)
        self._paths: dict[str, FloatArray] = {}
        granted_before = self._hand_over is not None and self._hand_over.over
        if self.settings["hand_over"] and not granted_before:
            self._hand_over = HandOver(self, self._on_hand_over)
        subscribe = self.create_subscription
        subscribe(DiagnosticStatus, names.TASK_STATUS, self._on_task, qos.LATCHED)
        subscribe(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        subscribe(DiagnosticStatus, names.POLICY_STATUS, self._on_plan, qos.EVENTS)
        subscribe(String, names.INSTRUCTION, self._on_instruction, qos.LATCHED)
        for topic in names.TOOL_TWISTS:
            subscribe(TwistStamped, topic, self._on_twist, qos.EVENTS)
        subscribe(PoseStamped, names.EE_POSE, self._on_pose, qos.EVERY_READING)
        camera = names.camera_topic(self.settings["camera"])
        subscribe(Image, camera, self._on_image, qos.EVERY_IMAGE)
        view = names.camera_topic(self.settings["view"])
        subscribe(Image, view, self._on_view, qos.EVERY_IMAGE)
        subscribe(ImageMarker, names.POLICY_TRACE, self._on_trace, qos.EVENTS)

    def start(self) -> None:
        """Begin the table."""
        self.exit_status = 1  # until a report of success
        self._began = time.monotonic()
        self._rows = 0
        self._ended = False
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [self.create_timer(1.0, self._print_row, clock=steady)]
        if self._hand_over is not None:
            self._timers.append(self.create_timer(0.5, self._hand_over.ask, clock=steady))

    def stop(self) -> None:
        """End the table; write the report, unless the run was broken off before it had an end."""
        for timer in self._timers:
            self.destroy_timer(timer)
        if not self._ended:
            return
        summary = write_report(self._record, Path(self.settings["directory"]))
        self.exit_status = 0 if summary["success"] else 1
        _say(f"{self._record.outcome} in {summary['elapsed']:.1f} s")

    def _end(self) -> None:
        self._ended = True
        if not self.done.done():
            self.done.set_result(None)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _on_task(self, message: DiagnosticStatus) -> None:
        record, text = self._record, convert.status_value
        seed, elapsed = convert.status_whole(message, "seed"), _finite(message, "elapsed")
        record.task, record.outcome = text(message, "task"), text(message, "state")
        record.seed, record.elapsed = seed, elapsed
        if record.outcome != "RUNNING":
            self._end()

    def _on_mode(self, message: DiagnosticStatus) -> None:
        mode, reason = (convert.status_value(message, key) for key in ("mode", "reason"))
        self._mode = mode
        if self._hand_over is not None:
            self._hand_over.on_mode(mode, reason)
        modes = self._record.modes
        if not modes or modes[-1][1:] != (mode, message.message):  # it is repeated every second
            modes.append((self._elapsed(), mode, message.message))

    def _on_hand_over(self, sentence: str) -> None:
        _say(f"hand-over: {sentence}")

    def _on_plan(self, message: DiagnosticStatus) -> None:
        plan = PlanRecord(
            reason=convert.status_value(message, "reason"),
            depth=convert.status_whole(message, "depth"),
            slack=1e-3 * _finite(message, "slack_ms"),
            model_time=1e-3 * _finite(message, "model_ms"),
            overhead=1e-3 * _finite(message, "overhead_ms"),
            flops_fraction=_finite(message, "flops_fraction"),
        )
        self._record.plans.append((self._elapsed(), plan))

    def _on_instruction(self, message: String) -> None:
        self._record.instruction = message.data

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD).twist
        if not np.isfinite(twist).all():
            raise convert.MessageError("the robot's twist is not finite")
        self._record.speeds.append((self._elapsed(), math.hypot(*twist[:3])))

    def _on_pose(self, message: PoseStamped) -> None:
        pose = convert.pose_from_message(message)
        self._record.heights.append((self._elapsed(), float(pose.position[2])))

    def _on_image(self, message: Image) -> None:
        pixels = picture_from_message(message).pixels()
        self._record.frames.append((self._elapsed(), np.array(pixels)))

    def _on_view(self, message: Image) -> None:
        pixels = np.array(picture_from_message(message).pixels())
        self._views.append((convert.seconds(message.header.stamp), pixels))

    def _on_trace(self, message: ImageMarker) -> None:
        if not self._views:
            return
        mark, path = convert.path_from_marker(message)
        self._paths[mark] = path
        stamp = convert.seconds(message.header.stamp)
        _, image = min(self._views, key=lambda view: abs(view[0] - stamp))
        self._record.views.append((self._elapsed(), PolicyView(image, dict(self._paths))))

    def _print_row(self) -> None:
        if self._elapsed() > self.settings["patience"] and not self.done.done():
            self.get_logger().error("no outcome within the patience; is every node running?")
            self._end()
            return
        if self._rows % 20 == 0:
            _say(HEADER)
        self._rows += 1
        plan = self._record.plans[-1][1] if self._record.plans else None
        speed = self._record.speeds[-1][1] if self._record.speeds else 0.0
        row = ROW.format(
            time=f"{self._elapsed():.1f} s",
            mode=self._mode,
            depth=plan.depth if plan else "-",
            slack=f"{1e3 * plan.slack:.1f} ms" if plan else "-",
            model=f"{1e3 * plan.model_time:.1f} ms" if plan else "-",
            reason=plan.reason if plan else "waiting",
            speed=f"{speed:.2f} m/s",
        )
        _say(row)


def _finite(message: DiagnosticStatus, key: str) -> float:
    number = convert.status_number(message, key)
    if not math.isfinite(number):
        raise convert.MessageError(f"{key} of a status is {number}, not a finite number")
    return number


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody may be reading any more; the run goes on
        print(text, flush=True)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``report_node``."""
    return run(ReportNode, args)
