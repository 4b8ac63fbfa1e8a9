# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and robot state in, a smooth command stream out: the policy behind its gate."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Path as PathMessage
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64, Header, String
from visualization_msgs.msg import ImageMarker

from magma_ros.gate.gates import make_gate
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.motion import ChunkStream, StreamConfig
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, GripperJoint
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.senses import NotReadyError, Senses
from magma_ros.nodes.settings import Setting
from magma_ros.nodes.worker import Worker
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

GATE_OPTION = {"adaptive": "tolerance", "entropy": "threshold", "fixed": "depth"}
"""The parameter that each gate takes."""

Job = tuple[Observation, Budget]
Thought = tuple[Observation, Verdict]


class PolicyNode(ManagedNode):
    """Plans whenever every camera has a new image; streams whatever plan is in force."""

    SETTINGS = (
        Setting("bundle", "magma-nano", "Policy bundle: a name below models/, or a folder."),
        Setting("providers", ["CPUExecutionProvider"], "ONNX Runtime providers, best first."),
        Setting("threads", 2, "Threads for inference.", 1, 128),
        Setting("gate", "adaptive", "Gate that decides when to act.", choices=tuple(GATE_OPTION)),
        Setting("tolerance", 0.05, "Adaptive gate: disagreement that is agreement.", 0.001, 1.0),
        Setting("threshold", 0.5, "Entropy gate: largest entropy to act on.", 0.001, 1.0),
        Setting("depth", 1, "Fixed gate: exit to act on.", 1, 64),
        Setting("deepest", 0, "Deepest exit allowed, 0 for no cap.", 0, 64, live=True),
        Setting("deadline", 0.08, "Time from image stamp to action [s].", 0.005, 10.0, live=True),
        Setting("max_plan_rate", 10.0, "Fastest planning [Hz].", 0.1, 100.0, live=True),
        Setting("command_rate", 50.0, "Rate of the command stream [Hz].", 20.0, 200.0),
        Setting("transport", "raw", "Image transport.", choices=("raw", "compressed")),
        Setting("max_age", 0.3, "Age beyond which an input is not used [s].", 0.01, 10.0),
        Setting("base_frame", "base_link", "Frame of poses and twists."),
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters; the bundle is loaded on configure."""
        super().__init__("policy")
        self._worker: Worker[Job, Thought] | None = None
        self._thought_ready = self.create_guard_condition(self._on_thought)
        self._monotonic = MonotonicClock()

    # Lifecycle

    def setup(self) -> None:
        """Load and warm up the bundle, open the topics."""
        self._policy = StagedPolicy.load(
            find_bundle(self.settings["bundle"]),
            providers=tuple(self.settings["providers"]),
            threads=self.settings["threads"],
        )
        self._policy.warm_up()
        name = self.settings["gate"]
        option = GATE_OPTION[name]
        self._gate = make_gate(name, **{option: self.settings[option]})
        self._latency = LatencyModel()
        self._full_flops = sum(stage.flops for stage in self._policy.manifest.stages)
        self._gripper = GripperJoint.from_settings(self.settings)
        contract = self._policy.manifest.observation
        cameras = [camera.name for camera in contract.cameras]
        self._senses = Senses(cameras, contract.proprioception, self.settings["max_age"])
        self._camera_frames: dict[str, str] = {}
        self._stream = ChunkStream(StreamConfig(period=1.0 / self.settings["command_rate"]))
        self._mode = Mode.AUTO
        self._planned_stamp = -math.inf
        self._plans = self._late = self._skipped = 0
        self._open_inputs(cameras)
        self._open_outputs()

    def start(self) -> None:
        """Begin to plan and to stream."""
        self._gate.reset()
        self._worker = Worker(self._think, self._thought_ready.trigger)
        rate = self.settings["command_rate"]
        self._activities = [
            self.create_timer(1.0 / rate, self._stream_commands),
            self.create_timer(1.0, self._publish_diagnostics),
        ]
        name = self._policy.manifest.name
        self.get_logger().info(f"{name} is ready: {self._policy.manifest.exits} exits")

    def stop(self) -> None:
        """End planning, then leave a zero twist behind: the last word is a safe one."""
        for timer in self._activities:
            self.destroy_timer(timer)
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self._stream.clear()
        self._publish_twist(np.zeros(6))

    # Inputs: keep the newest, plan when the cameras have something new

    def _open_inputs(self, cameras: list[str]) -> None:
        subscribe = self.create_subscription
        compressed = self.settings["transport"] == "compressed"
        for camera in cameras:
            topic = names.camera_topic(camera, compressed=compressed)
            kind = CompressedImage if compressed else Image
            subscribe(kind, topic, partial(self._on_image, camera), qos.IMAGES)
        subscribe(PoseStamped, names.EE_POSE, self._on_pose, qos.STATE)
        subscribe(JointState, names.JOINT_STATES, self._on_joints, qos.STATE)
        subscribe(String, names.INSTRUCTION, self._on_instruction, qos.LATCHED)
        subscribe(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        decode = (
            convert.image_from_compressed
            if isinstance(message, CompressedImage)
            else convert.image_from_message
        )
        try:
            pixels = decode(message)
        except convert.MessageError as error:
            self._complain(f"camera {camera!r}: {error}")
            return
        self._camera_frames[camera] = message.header.frame_id
        self._senses.see(camera, convert.seconds(message.header.stamp), pixels)
        if self.working:
            self._plan()

    def _on_pose(self, message: PoseStamped) -> None:
        try:
            self._senses.feel_pose(convert.pose_from_message(message))
        except convert.MessageError as error:
            self._complain(str(error))

    def _on_joints(self, message: JointState) -> None:
        opening = self._gripper.opening(message)
        if opening is not None:
            self._senses.feel_gripper(opening)

    def _on_instruction(self, message: String) -> None:
        self._senses.instruction = message.data
        self._gate.reset()
        self.get_logger().info(f"told to: {message.data[:200]!r}")

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self._mode = Mode[convert.status_values(message)["mode"]]
        if self._mode is not Mode.AUTO:
            self._stream.clear()

    # Thinking: on the worker's thread, one observation at a time

    def _plan(self) -> None:
        now = self._now()
        if now < self._planned_stamp - self.settings["max_age"]:
            self._on_clock_jump()
        newest = self._senses.newest_common_stamp()
        # Half a period of tolerance keeps a camera of the same rate from being skipped by jitter.
        if newest - self._planned_stamp < 0.5 / self.settings["max_plan_rate"]:
            return
        try:
            observation = self._senses.observe(now)
        except NotReadyError as error:
            self._complain(str(error))
            return
        age = now - observation.stamp
        deadline = self._monotonic.now() + self.settings["deadline"] - age
        budget = Budget(deadline=deadline, deepest=self.settings["deepest"] or None)
        if self._worker is not None and self._worker.offer((observation, budget)):
            self._planned_stamp = newest
        else:
            self._skipped += 1

    def _think(self, job: Job) -> Thought:
        observation, budget = job
        try:
            inference = self._policy.start(observation)
        except MagmaError as error:
            slack = budget.deadline - self._monotonic.now()
            return observation, Verdict(None, Reason.FAULT, 0, (), slack, detail=str(error))
        return observation, think(inference, self._gate, self._latency, budget, self._monotonic)

    def _on_thought(self) -> None:
        thought = None if self._worker is None else self._worker.take()
        if thought is None:
            return
        observation, verdict = thought
        self._plans += 1
        self._late += verdict.slack < 0.0
        if verdict.chunk is not None and self._mode is Mode.AUTO:
            self._stream.push(verdict.chunk, self._now())
            self._publish_plan(verdict.chunk)
        if verdict.trace is not None:
            self._publish_trace(observation, verdict.trace)
        self._publish_status(observation, verdict)

    def _on_clock_jump(self) -> None:
        self.get_logger().warning("the clock jumped back; old images and plans are dropped")
        self._senses.forget()
        self._stream.clear()
        self._planned_stamp = -math.inf

    # Outputs

    def _open_outputs(self) -> None:
        publisher = self.create_publisher
        self._twist_publisher = publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
        self._gripper_publisher = publisher(Float64, names.POLICY_GRIPPER, qos.STATE)
        self._plan_publisher = publisher(PathMessage, names.POLICY_PLAN, qos.STATE)
        self._trace_publisher = publisher(ImageMarker, names.POLICY_TRACE, qos.EVENTS)
        self._status_publisher = publisher(DiagnosticStatus, names.POLICY_STATUS, qos.EVENTS)
        self._diagnostics_publisher = publisher(DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS)

    def _stream_commands(self) -> None:
        sample = self._stream.sample(self._now())
        self._publish_twist(sample.twist)
        if sample.gripper is not None:
            self._gripper_publisher.publish(Float64(data=float(sample.gripper)))

    def _publish_twist(self, twist: np.ndarray) -> None:
        stamp = self.get_clock().now().to_msg()
        frame = self.settings["base_frame"]
        self._twist_publisher.publish(convert.twist_to_message(twist, frame, stamp))

    def _publish_plan(self, chunk: ActionChunk) -> None:
        pose = self._senses.pose
        if pose is None:
            return
        header = Header(stamp=convert.to_stamp(chunk.stamp), frame_id=self.settings["base_frame"])
        path = PathMessage(header=header)
        position = np.array(pose.position, float)
        for displacement in chunk.actions[:, :3]:
            position = position + displacement
            point = PoseStamped(header=header)
            point.pose.position.x, point.pose.position.y, point.pose.position.z = map(
                float, position
            )
            path.poses.append(point)
        self._plan_publisher.publish(path)

    def _publish_trace(self, observation: Observation, trace: Trace) -> None:
        stamp = convert.to_stamp(observation.stamp)
        header = Header(stamp=stamp, frame_id=self._camera_frames[trace.camera])
        image = observation.images[trace.camera]
        for marker in convert.trace_to_markers(trace, image, header):
            self._trace_publisher.publish(marker)

    def _publish_status(self, observation: Observation, verdict: Verdict) -> None:
        model_time = sum(verdict.stage_times)
        age = self._now() - observation.stamp
        values = {
            "reason": verdict.reason.name,
            "depth": verdict.depth,
            "slack_ms": 1e3 * verdict.slack,
            "model_ms": 1e3 * model_time,
            "overhead_ms": 1e3 * (age - model_time),
            "flops_fraction": verdict.flops / self._full_flops,
            "weight_bytes": verdict.weight_bytes,
            "late": self._late,
            "skipped": self._skipped,
            "plans": self._plans,
        }
        if verdict.confidence is not None:
            confidence = verdict.confidence
            values |= {
                "disagreement": confidence.disagreement,
                "entropy": confidence.entropy,
                "margin": confidence.margin,
            }
        usable = verdict.chunk is not None
        level = DiagnosticStatus.OK if usable else DiagnosticStatus.WARN
        text = verdict.detail or verdict.reason.sentence
        self._status_publisher.publish(convert.status_message(level, "policy", text, values))
        if not usable:
            self._complain(text)

    def _publish_diagnostics(self) -> None:
        values: dict[str, float] = {
            "plans": self._plans,
            "late": self._late,
            "skipped": self._skipped,
        }
        values |= {
            f"p99_ms.{stage.name}": 1e3 * self._latency.forecast([stage])
            for stage in self._policy.manifest.stages
        }
        level = DiagnosticStatus.WARN if self._late else DiagnosticStatus.OK
        text = f"{self._late} of {self._plans} plans were late"
        status = convert.status_message(
            level, "policy: latency", text, values, self._policy.manifest.name
        )
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics_publisher.publish(DiagnosticArray(header=header, status=[status]))

    def _complain(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    """Entry point of ``policy_node``."""
    return run(PolicyNode, args)
