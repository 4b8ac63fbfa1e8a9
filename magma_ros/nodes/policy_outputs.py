# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of the policy node: plans, traces, health and diagnostics."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path as PathMessage
from std_msgs.msg import Header, String
from visualization_msgs.msg import ImageMarker

from magma_ros.agent.health import Health
from magma_ros.agent.meter import Meter
from magma_ros.agent.picture import Picture
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.diagnosis import Diagnosis
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.plan_report import LineReport, Outlook, PlanReport, Tally
from magma_ros.types import ActionChunk, Pose, Trace

LATE_WINDOW = 10
"""Diagnostics, one a second, in which a late plan is still a warning."""


class PolicyOutputs:
    """The publishers of the policy node.

    Args:
        node: Node to publish with.
        base_frame: Frame of paths.
        hardware_id: Name of the policy, for diagnostics.

    Attributes:
        guard: To be told of each of the guard's commands.
    """

    def __init__(self, node: ManagedNode, base_frame: str, hardware_id: str) -> None:
        self._node = node
        self._frame = base_frame
        self._id = hardware_id
        self._plan_status: DiagnosticStatus | None = None
        self._counts: deque[tuple[int, int]] = deque([(0, 0)], maxlen=LATE_WINDOW + 1)
        publisher = node.create_publisher
        self._plan = publisher(PathMessage, names.POLICY_PLAN, qos.STATE)
        self._trace = publisher(ImageMarker, names.POLICY_TRACE, qos.EVENTS)
        self._status = publisher(DiagnosticStatus, names.POLICY_STATUS, qos.EVENTS)
        self._health = publisher(DiagnosticStatus, names.POLICY_HEALTH, qos.STATE)
        self._help = publisher(String, names.POLICY_HELP, qos.EVENTS)
        self._diagnosis = Diagnosis(node, hardware_id)
        self._ages = Meter()
        self.guard = Meter()

    def plan(self, chunk: ActionChunk, pose: Pose) -> None:
        """Publish where a chunk, of an end effector, leads from ``pose``."""
        self._plan.publish(convert.chunk_to_path(chunk, pose, self._frame))

    def trace(self, trace: Trace, picture: Picture) -> None:
        """Publish where the marks are expected to go in ``picture``, as its camera sent it."""
        header = Header(stamp=convert.to_stamp(picture.stamp), frame_id=picture.frame_id)
        for marker in convert.trace_to_markers(trace, (picture.height, picture.width), header):
            self._trace.publish(marker)

    def help(self, why: str) -> None:
        """Ask a person for help."""
        self._help.publish(String(data=why))
        self._node.get_logger().warning(f"asks for help: {why}")

    def status(self, report: PlanReport, tally: Tally) -> None:
        """Publish what became of one observation."""
        verdict = report.verdict
        usable = verdict.chunk is not None
        self._ages.note(time.monotonic(), report.age)
        level = DiagnosticStatus.OK if usable else DiagnosticStatus.WARN
        text = verdict.detail or verdict.reason.sentence
        self._plan_status = convert.status_message(
            level, "policy", text, report.values(tally), self._id
        )
        self._status.publish(self._plan_status)
        if not usable:
            self._node.get_logger().warning(text, throttle_duration_sec=2.0)

    def health(self, health: Health) -> None:
        """Publish whether the policy can be followed."""
        self._health.publish(self._health_status(health, "policy"))

    def diagnostics(
        self,
        health: Health,
        inputs: DiagnosticStatus,
        tally: Tally,
        outlook: Outlook,
        line: LineReport | None = None,
        *,
        driving: bool,
    ) -> None:
        """Publish the newest plan, the health, the inputs, how well deadlines are kept, the guard.

        Lateness counts over the last :data:`LATE_WINDOW` calls. ``driving`` is whether the guard
        has said that the policy drives.
        """
        status = [
            self._health_status(health, "policy: health"),
            inputs,
            self._latency_status(tally, outlook),
            self._guard_status(driving=driving),
        ]
        if line is not None:
            status.append(self._line_status(line, tally))
        if self._plan_status is not None:
            status.insert(0, self._plan_status)
        self._diagnosis.publish(*status)

    def _latency_status(self, tally: Tally, outlook: Outlook) -> DiagnosticStatus:
        self._counts.append((tally.late, tally.plans))
        late, plans = (
            new - old for new, old in zip(self._counts[-1], self._counts[0], strict=True)
        )
        share = late / max(plans, 1)
        too_late = share > self._node.settings["diagnostics.late_share"]
        now = time.monotonic()
        values = asdict(tally) | {
            "late_share": share,
            "rate_hz": self._ages.rate(now),
            "age_p95_ms": 1e3 * self._ages.p95(now),
        }
        return self._diagnosis.check(
            "policy: latency",
            tally.sentence,
            {tally.sentence: too_late},
            values | outlook.values(),
        )

    def _line_status(self, line: LineReport, tally: Tally) -> DiagnosticStatus:
        shares = {
            f"{name}_share": count / max(tally.plans, 1)
            for name, count in (("far", tally.far), ("late", tally.far_late), ("cut", tally.cut))
        }
        wrong = {line.sentence: not line.ok}
        return self._diagnosis.check(
            "policy: remote", line.sentence, wrong, {**line.values, **shares}
        )

    def _guard_status(self, *, driving: bool) -> DiagnosticStatus:
        now = time.monotonic()
        silence = now - self.guard.last
        silent = driving and silence > self._node.settings["diagnostics.guard_silence"]
        return self._diagnosis.check(
            "policy: guard",
            "The guard answers." if driving else "The guard does not let the policy drive.",
            {f"The guard has sent the robot nothing for {silence:.1f} s; is it running?": silent},
            {"silence_s": silence, "rate_hz": self.guard.rate(now)},
        )

    def _health_status(self, health: Health, name: str) -> DiagnosticStatus:
        level = DiagnosticStatus.OK
        if health.fault:
            level = DiagnosticStatus.ERROR
        elif health.waiting_for:
            level = DiagnosticStatus.WARN
        values = {
            "plan_age_s": health.plan_age,
            "fault": health.fault,
            "waiting_for": health.waiting_for,
            "lacking": health.lacking,
        }
        return convert.status_message(level, name, health.sentence, values, self._id)
