# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and robot state in, a smooth command stream out: the policy behind its gate."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Path as PathMessage
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Float64, Header, String
from visualization_msgs.msg import ImageMarker

from magma_ros.agent.doubt import Doubt
from magma_ros.agent.observation import NotReadyError
from magma_ros.agent.thinker import Thinker
from magma_ros.agent.tuned_gate import TunedGate
from magma_ros.gate.handover import Provisional
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.gate.selftest import self_test
from magma_ros.motion import ChunkStream, StreamConfig
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.plan_report import Outlook, PlanReport, Tally
from magma_ros.nodes.policy_inputs import PolicyInputs
from magma_ros.nodes.policy_settings import POLICY_SETTINGS
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.share import find_bundle
from magma_ros.types import (
    ActionChunk,
    Budget,
    MagmaError,
    Mode,
    MonotonicClock,
    Observation,
    Reason,
    Trace,
    Verdict,
)

LEAD = 0.002
"""How long before the deadline the answer in hand is acted on, if there is no better one yet [s]:
what a waking executor and a published command take."""


class PolicyNode(ManagedNode):
    """Plans whenever every camera has a new image; streams whatever plan is in force."""

    SETTINGS = POLICY_SETTINGS

    def __init__(self) -> None:
        """Declare parameters; the bundle is loaded on configure."""
        super().__init__("policy")
        self._thinker: Thinker | None = None
        self._answer_ready = self.create_guard_condition(self._on_answer)
        self._monotonic = MonotonicClock()

    # Lifecycle

    def setup(self) -> None:
        """Load, warm up and measure the bundle, open the topics."""
        folder = find_bundle(self.settings["bundle"])
        self._gate = TunedGate(self.settings, folder)
        self._policy = StagedPolicy.load(
            folder,
            providers=tuple(self.settings["providers"]),
            threads=self.settings["threads"],
        )
        self._measure()
        self._stream = ChunkStream(StreamConfig(period=1.0 / self.settings["command_rate"]))
        self._mode = Mode.AUTO
        self._doubt = Doubt()
        self._tally = Tally()
        self._skipped_stamp = -math.inf
        self._planned_instruction = ""
        self._inputs = PolicyInputs(
            self, self._policy.manifest.observation, self._monotonic, self._on_image
        )
        self.create_subscription(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        self._open_outputs()

    def start(self) -> None:
        """Begin to plan and to stream."""
        self._gate.reset()
        self._planned_stamp = self._now()  # older images, still queued, would be answered too late
        self._thinker = Thinker(self._think, self._answer_ready.trigger, LEAD)
        rate = self.settings["command_rate"]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._deadline_timer = self.create_timer(
            LEAD, self._on_deadline, clock=steady, autostart=False
        )
        self._activities = [
            self._deadline_timer,
            self.create_timer(1.0 / rate, self._stream_commands),
            self.create_timer(1.0, self._publish_diagnostics),
        ]
        manifest = self._policy.manifest
        self.get_logger().info(
            f"{manifest.name} is ready: {manifest.exits} exits, {self._gate.sentence}"
        )

    def stop(self) -> None:
        """End planning, then leave a zero twist behind: the last word is a safe one."""
        for timer in self._activities:
            self.destroy_timer(timer)
        if self._thinker is not None:
            self._thinker.close()
            self._thinker = None
        self._stream.clear()
        self._publish_twist(np.zeros(6))

    def _measure(self) -> None:
        """Let the forecasts learn how fast this machine is, before the first plan needs them."""
        self._policy.warm_up()
        self._latency = LatencyModel()
        if (seconds := self.settings["self_test"]) > 0.0:
            self_test(self._policy.rehearse, self._latency, self._monotonic, seconds)
        self._outlook = Outlook.of(self._latency, self._policy.manifest.stages)

    # Inputs

    def _on_image(self) -> None:
        if self.working:
            self._plan()

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self._mode = Mode[convert.status_values(message)["mode"]]
        if self._mode is not Mode.AUTO:
            self._stream.clear()

    # Thinking: on a thread of its own, one observation at a time

    def _plan(self) -> None:
        self._act()  # what waits to be acted on comes before what comes next
        now = self._now()
        if now < self._planned_stamp - self.settings["max_age"]:
            self._on_clock_jump()
        newest = self._inputs.newest_stamp
        # Half a period of tolerance keeps a camera of the same rate from being skipped by jitter.
        if newest - self._planned_stamp < 0.5 / self.settings["max_plan_rate"]:
            return
        try:
            observation = self._inputs.observe(now)
        except NotReadyError as error:
            self._complain(str(error))
            return
        if self._begin(observation, now - observation.stamp):
            self._planned_stamp = newest
        elif newest > self._skipped_stamp:
            self._skipped_stamp = newest
            self._tally.skipped += 1

    def _begin(self, observation: Observation, age: float) -> bool:
        """Let ``observation`` be thought about; False while another still is."""
        if self._thinker is None or not self._thinker.idle:
            return False
        # Gate, forecasts and headroom are this thread's only now, between two decisions.
        self._gate.tune()
        if observation.instruction != self._planned_instruction:
            self._planned_instruction = observation.instruction
            self._gate.reset()
            self._doubt.clear()
        self._headroom = self.settings["headroom"]
        self._outlook = Outlook.of(self._latency, self._policy.manifest.stages)
        self._budget = self._make_budget(age)
        # A little into the lead, lest a timer on another clock looks a moment too early, in vain.
        left = self._budget.deadline - 0.9 * LEAD - self._monotonic.now()
        self._deadline_timer.timer_period_ns = max(1, int(left * convert.NANOSECONDS))
        self._deadline_timer.reset()
        return self._thinker.offer(observation, self._budget)

    def _make_budget(self, age: float) -> Budget:
        now = self._monotonic.now()
        return Budget(
            deadline=now + self.settings["deadline"] - age,
            risk=self._inputs.circumstances.risk(now, self.settings["risk_horizon"]),
            energy=self._inputs.circumstances.energy,
            deepest=self.settings["deepest"] or None,
        )

    def _think(self, observation: Observation, budget: Budget, provisional: Provisional) -> Verdict:
        clock = self._monotonic
        try:
            inference = self._policy.start(observation)
        except MagmaError as error:
            slack = budget.deadline - clock.now()
            return Verdict(None, Reason.FAULT, 0, (), slack, detail=str(error))
        return think(
            inference,
            self._gate,
            self._latency,
            budget,
            clock,
            headroom=self._headroom,
            provisional=provisional,
        )

    # Acting: as soon as there is a last word, and when the deadline strikes at the latest

    def _on_answer(self) -> None:
        self._act()
        if self.working:
            self._plan()  # an image that came meanwhile has waited for just this

    def _on_deadline(self) -> None:
        self._deadline_timer.cancel()
        self._act()

    def _act(self) -> None:
        now = self._monotonic.now()
        taken = None if self._thinker is None else self._thinker.take(now)
        if taken is None:
            return
        observation, verdict = taken
        self._deadline_timer.cancel()
        if verdict.chunk is not None and self._mode is Mode.AUTO:
            self._stream.push(verdict.chunk, self._now())
            self._publish_plan(verdict.chunk)
        if verdict.trace is not None:
            self._publish_trace(observation, verdict.trace)
        # What counts is when it was acted on, not when thinking ended.
        verdict = replace(verdict, slack=self._budget.deadline - now)
        self._tally.count(verdict)
        self._report(observation, verdict)

    def _report(self, observation: Observation, verdict: Verdict) -> None:
        unsure = self._doubt.lasts(verdict, self.settings["tolerance"], self._monotonic.now())
        report = PlanReport(
            verdict,
            self._budget,
            self._outlook,
            probability=self._gate.probability(verdict.depth),
            age=self._now() - observation.stamp,
            unsure=unsure,
        )
        self._publish_status(report)
        if self._mode is not Mode.AUTO:
            self._doubt.clear()
        elif 0.0 < self.settings["help_after"] <= unsure:
            self._ask_for_help(unsure)

    def _ask_for_help(self, unsure: float) -> None:
        why = f"Its deepest exit has disagreed with the one before it for {unsure:.1f} s."
        self._help_publisher.publish(String(data=why))
        self.get_logger().warning(f"asks for help: {why}")
        self._doubt.clear()

    def _on_clock_jump(self) -> None:
        self.get_logger().warning("the clock jumped back; old images and plans are dropped")
        self._inputs.forget()
        self._stream.clear()
        self._planned_stamp = self._skipped_stamp = -math.inf

    # Outputs

    def _open_outputs(self) -> None:
        publisher = self.create_publisher
        self._twist_publisher = publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
        self._gripper_publisher = publisher(Float64, names.POLICY_GRIPPER, qos.STATE)
        self._plan_publisher = publisher(PathMessage, names.POLICY_PLAN, qos.STATE)
        self._trace_publisher = publisher(ImageMarker, names.POLICY_TRACE, qos.EVENTS)
        self._status_publisher = publisher(DiagnosticStatus, names.POLICY_STATUS, qos.EVENTS)
        self._help_publisher = publisher(String, names.POLICY_HELP, qos.EVENTS)
        self._diagnostics_publisher = publisher(DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS)

    def _stream_commands(self) -> None:
        sample = self._stream.sample(self._now())
        self._inputs.circumstances.speed = float(np.linalg.norm(sample.twist[:3]))
        self._publish_twist(sample.twist)
        if sample.gripper is not None:
            self._gripper_publisher.publish(Float64(data=float(sample.gripper)))

    def _publish_twist(self, twist: np.ndarray) -> None:
        stamp = self.get_clock().now().to_msg()
        frame = self.settings["base_frame"]
        self._twist_publisher.publish(convert.twist_to_message(twist, frame, stamp))

    def _publish_plan(self, chunk: ActionChunk) -> None:
        if (pose := self._inputs.pose) is not None:
            path = convert.chunk_to_path(chunk, pose, self.settings["base_frame"])
            self._plan_publisher.publish(path)

    def _publish_trace(self, observation: Observation, trace: Trace) -> None:
        stamp = convert.to_stamp(observation.stamp)
        header = Header(stamp=stamp, frame_id=self._inputs.camera_frames[trace.camera])
        image = observation.images[trace.camera]
        for marker in convert.trace_to_markers(trace, image, header):
            self._trace_publisher.publish(marker)

    def _publish_status(self, report: PlanReport) -> None:
        verdict = report.verdict
        usable = verdict.chunk is not None
        level = DiagnosticStatus.OK if usable else DiagnosticStatus.WARN
        text = verdict.detail or verdict.reason.sentence
        values = report.values(self._tally)
        name = self._policy.manifest.name
        status = convert.status_message(level, "policy", text, values, name)
        self._status_publisher.publish(status)
        self._diagnose(status)
        if not usable:
            self._complain(text)

    def _publish_diagnostics(self) -> None:
        level = DiagnosticStatus.WARN if self._tally.late else DiagnosticStatus.OK
        values = asdict(self._tally) | self._outlook.values()
        text, name = self._tally.sentence, self._policy.manifest.name
        self._diagnose(convert.status_message(level, "policy: latency", text, values, name))

    def _diagnose(self, status: DiagnosticStatus) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics_publisher.publish(DiagnosticArray(header=header, status=[status]))

    def _complain(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    """Entry point of ``policy_node``."""
    return run(PolicyNode, args)
