# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and robot state in, a smooth command stream out: the policy behind its gate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from magma_ros.agent.doubt import Doubt
from magma_ros.agent.health import Health, HealthMonitor
from magma_ros.agent.interpolated_clock import InterpolatedClock
from magma_ros.agent.observation import NotReadyError
from magma_ros.agent.pace import Pace
from magma_ros.agent.thinker import Thinker
from magma_ros.motion import ChunkError
from magma_ros.nodes import convert, names
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.plan_report import PlanReport, Tally
from magma_ros.nodes.policy_inputs import PolicyInputs
from magma_ros.nodes.policy_lead import lead_of
from magma_ros.nodes.policy_mind import PolicyMind
from magma_ros.nodes.policy_outputs import PolicyOutputs
from magma_ros.nodes.policy_settings import POLICY_SETTINGS
from magma_ros.nodes.subscriptions import subscribe_latched
from magma_ros.policy.pipeline import PolicyError
from magma_ros.types import (
    ActionChunk,
    Budget,
    FloatArray,
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

HEALTH_PERIOD = 0.02
"""Time between two reports of the policy's health [s]."""

CLOSING_PATIENCE = 0.5
"""How long a stage that still runs is waited for when the node stops [s]."""


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
        """Load, warm up and measure the policy, open the topics."""
        self._mind = PolicyMind(self, self._monotonic)
        space = self._mind.space
        self._lead = lead_of(
            self,
            space,
            self._on_sent,
            measured=lambda: self._inputs.joints,
            driving=lambda: self._mode is Mode.AUTO,
        )
        self._fine_clock = InterpolatedClock()
        self._following: ActionChunk | None = None  # what the robot is led by
        self._mode = Mode.HOLD  # until the guard reports another
        self._doubt = Doubt()
        self._health = HealthMonitor(
            self.settings["tolerated_faults"], self.settings["hang_timeout"]
        )
        self._tally = Tally()
        self._activities: list[Timer] = []
        self._skipped_stamp = -math.inf
        self._pace = Pace()
        contract = self._mind.observation
        self._inputs = PolicyInputs(self, contract, space, self._on_news, self._on_told)
        subscribe_latched(self, DiagnosticStatus, names.GUARD_MODE, self._on_mode)
        self._outputs = PolicyOutputs(self, self.settings["base_frame"], self._mind.name)

    def start(self) -> None:
        """Begin to plan and to stream.

        Raises:
            PolicyError: A stage that was running at the last stop still has not ended.
        """
        if self._thinker is not None and self._thinker.alive:
            raise PolicyError("a stage of the policy hangs; restart the node")
        self._forget_plans()
        self._mind.reset()
        self._pace.restart(self._now())  # older images, still queued, would be answered too late
        self._inputs.start()
        self._thinker = Thinker(
            self._mind.think, self._answer_ready.trigger, LEAD, self._log_failure, self._monotonic
        )
        self._deadline_timer = self._every(LEAD, self._on_deadline)
        self._deadline_timer.cancel()
        self._stream_timer = self._every(1.0 / self.settings["command_rate"], self._stream_commands)
        self._activities = [
            self._deadline_timer,
            self._stream_timer,
            self._every(HEALTH_PERIOD, self._publish_health),
            self._every(1.0, self._publish_diagnostics),
        ]
        self.get_logger().info(f"{self._mind.name} is ready: {self._mind.sentence}")

    def stop(self) -> None:
        """End planning, then leave a last command behind that is a safe one."""
        for timer in self._activities:
            self.destroy_timer(timer)
        self._activities = []
        self._inputs.stop()
        ended = self._thinker is None or self._thinker.close(CLOSING_PATIENCE)
        if ended:
            self._thinker = None
        else:
            self.get_logger().error("a stage of the policy hangs and is not waited for")
        self._forget_plans()
        self._lead.rest(self.get_clock().now().to_msg())

    def _every(self, period: float, act: Callable[[], object]) -> Timer:
        """A timer that no clock of a simulation can slow down or stop."""
        return self.create_timer(period, act, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _forget_plans(self) -> None:
        """Be led by no plan, and hold nothing that happened so far against the next ones."""
        self._lead.stream.clear()
        self._following = None
        self._doubt.clear()
        self._health.clear()

    def teardown(self) -> None:
        """Let the inputs go."""
        if hasattr(self, "_inputs"):
            self._inputs.close()
        if hasattr(self, "_mind"):
            self._mind.close()

    # Inputs

    def _on_news(self) -> None:
        if self.working:
            self._plan()

    def _on_told(self) -> None:
        """Be led no further by a plan to do something else, nor by one being made."""
        self._lead.stream.clear()
        self._following = None

    def _on_mode(self, message: DiagnosticStatus) -> None:
        name = convert.status_values(message).get("mode", "")
        if name not in Mode.__members__:
            self._complain(f"'{names.GUARD_MODE}' says {name!r}, which is not a mode")
            return
        if (mode := Mode[name]) is self._mode:
            return
        self._mode = mode
        self._doubt.clear()
        if mode is not Mode.AUTO:
            self._lead.stream.clear()
            self._following = None

    def _on_sent(self, twist: FloatArray | None) -> None:
        """Let the stream know what the guard has made of it."""
        self._outputs.guard.note(self._monotonic.now())
        if self._mode is Mode.AUTO:
            self._lead.note_sent(twist, self._stream_time())

    # Thinking: on a thread of its own, one observation at a time

    def _plan(self) -> None:
        self._act()  # what waits to be acted on comes before what comes next
        now, period = self._stream_time(), 1.0 / self.settings["max_plan_rate"]
        if now < self._pace.last - self.settings["max_age"]:
            self._on_clock_jump()
        newest = self._inputs.newest_stamp
        if not self._pace.admits(newest, period):
            return
        try:
            observation = self._inputs.observe(now)
        except NotReadyError:  # the inputs report by themselves what stays missing
            return
        if self._begin(observation, now - observation.stamp):
            self._pace.take(newest, period)
        elif newest > self._skipped_stamp:
            self._skipped_stamp = newest
            self._tally.skipped += 1

    def _begin(self, observation: Observation, age: float) -> bool:
        """Let ``observation`` be thought about; False while another still is."""
        if self._thinker is None or not self._thinker.idle:
            return False
        # Gate, forecasts and headroom are this thread's only now, between two decisions.
        if self._mind.prepare(observation, self._following):
            self._doubt.clear()
        self._outlook = self._mind.outlook
        self._budget = self._make_budget(age)
        self._thinker.offer(observation, self._budget)
        self._wait_until(self._thinker.due)
        return True

    def _wait_until(self, due: float) -> None:
        """Have the deadline timer fire at ``due`` [s], on the monotonic clock."""
        left = due - self._monotonic.now()
        self._deadline_timer.timer_period_ns = max(1, math.ceil(left * convert.NANOSECONDS))
        self._deadline_timer.reset()

    def _make_budget(self, age: float) -> Budget:
        now = self._monotonic.now()
        return Budget(
            deadline=now + self.settings["deadline"] - age,
            risk=self._inputs.circumstances.risk(now, self.settings["risk_horizon"]),
            energy=self._inputs.circumstances.energy,
            deepest=self.settings["deepest"] or None,
        )

    # Acting: on the final decision, or at the deadline on the answer in hand

    def _on_answer(self) -> None:
        self._act()
        if self.working:
            self._plan()  # an image that came meanwhile has waited for just this

    def _on_deadline(self) -> None:
        self._deadline_timer.cancel()
        self._act()
        if self._thinker is not None and self._monotonic.now() < self._thinker.due:
            self._wait_until(self._thinker.due)  # the timer's clock was a little ahead

    def _act(self) -> None:
        now = self._monotonic.now()
        taken = None if self._thinker is None else self._thinker.take(now)
        if taken is None:
            return
        observation, verdict = taken
        self._deadline_timer.cancel()
        self._commanded = 0
        if verdict.chunk is not None and self._mode is Mode.AUTO:
            verdict = self._follow(verdict.chunk, verdict, observation)
        if verdict.trace is not None:
            self._publish_trace(observation, verdict.trace)
        # What counts is when it was acted on, not when thinking ended.
        verdict = replace(verdict, slack=self._budget.deadline - now)
        self._tally.count(verdict, cut=self._mind.cut)
        answered = observation.stamp if verdict.chunk is None else verdict.chunk.stamp
        self._health.note(verdict, answered)
        self._report(observation, verdict)

    def _follow(self, chunk: ActionChunk, verdict: Verdict, observation: Observation) -> Verdict:
        """Lead the robot by ``chunk``; gives the verdict, or what it becomes if that fails."""
        anchor = observation.anchor if verdict.anchor is None else verdict.anchor
        try:
            answer = self._lead.stream.push(chunk, self._stream_time(), anchor)
        except ChunkError as error:
            return replace(verdict, chunk=None, depth=0, reason=Reason.FAULT, detail=str(error))
        if answer.accepted:
            self._following = chunk
            self._stream_timer.reset()
            self._commanded = self._stream_commands()  # not a period later
        pose = self._inputs.pose
        if pose is not None and not chunk.space.kind.of_joints:
            self._outputs.plan(chunk, pose)
        return verdict

    def _report(self, observation: Observation, verdict: Verdict) -> None:
        settings = self.settings
        # Two decisions are successive if no more than one between them can have been left out.
        longest_gap = 2.0 * (1.0 / settings["max_plan_rate"] + settings["deadline"])
        unsure = self._doubt.lasts(
            verdict, settings["tolerance"], self._monotonic.now(), longest_gap
        )
        report = PlanReport(
            verdict,
            self._budget,
            self._outlook,
            probability=self._mind.probability(verdict.depth),
            observed=observation.stamp,
            commanded=self._commanded,
            age=self._now() - observation.stamp,
            unsure=unsure,
            exits=self._mind.exits,
        )
        self._outputs.status(report, self._tally)
        if self._mode is not Mode.AUTO:
            self._doubt.clear()
        elif 0.0 < settings["help_after"] <= unsure:
            disagreed = "deepest exit has disagreed with the one before it"
            self._outputs.help(f"Its {disagreed} for {unsure:.1f} s.")
            self._doubt.clear()

    def _on_clock_jump(self) -> None:
        self.get_logger().warning("the clock jumped back; old images and plans are dropped")
        self._inputs.forget()
        self._mind.reset()
        self._forget_plans()
        self._pace.restart(-math.inf)
        self._skipped_stamp = -math.inf

    # Outputs

    def _stream_commands(self) -> int:
        """Publish the command of this moment; gives its stamp [ns]."""
        stamp = self.get_clock().now()
        speed = self._lead.command(self._stream_time(), stamp.to_msg())
        self._inputs.circumstances.speed = self._inputs.speed if speed is None else speed
        return int(stamp.nanoseconds)

    def _publish_trace(self, observation: Observation, trace: Trace) -> None:
        self._outputs.trace(trace, self._inputs.source_of(observation, trace.camera))

    def _publish_health(self) -> None:
        self._outputs.health(self._judge_health())

    def _publish_diagnostics(self) -> None:
        inputs = self._inputs.status(self._now())
        self._outputs.diagnostics(
            self._judge_health(),
            inputs,
            self._tally,
            self._mind.outlook,
            self._mind.report(),
            driving=self._mode is Mode.AUTO,
        )

    def _judge_health(self) -> Health:
        now, thinker = self._now(), self._thinker
        return self._health.judge(
            now,
            busy_for=0.0 if thinker is None else thinker.busy_for(),
            deadline=self.settings["deadline"],
            alive=thinker is not None and thinker.alive,
            waiting_for=self._inputs.waiting_for(now),
            lacking=self._inputs.lacking(now),
        )

    def _log_failure(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=10.0)

    def _complain(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)

    def _stream_time(self) -> float:
        """The clock of the messages, in steps as fine as the stream's."""
        return self._fine_clock.read(self._now(), self._monotonic.now())

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    """Entry point of ``policy_node``."""
    return run(PolicyNode, args)
