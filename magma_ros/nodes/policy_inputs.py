# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of the policy node: cameras, robot state, instruction, risk and energy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import BatteryState, CompressedImage, Image, JointState, Range
from std_msgs.msg import String

from magma_ros.agent.circumstances import CircumstanceError, Circumstances
from magma_ros.agent.measured import (
    POSE,
    UnknownFieldError,
    frame_input,
    gripper_input,
    joint_input,
)
from magma_ros.agent.meter import Meter
from magma_ros.agent.observation import INSTRUCTION, POINT, ObservationBuffer, camera_input
from magma_ros.agent.picture import Picture, Pictures
from magma_ros.agent.stamps import StampCheck, StampError
from magma_ros.agent.watch import Watch
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.frame_input import FrameInput
from magma_ros.nodes.gripper import GripperJoint, robot_grippers
from magma_ros.nodes.images import depth_picture_from_message, picture_from_message
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.mark_messages import point_from_message
from magma_ros.nodes.pose_input import PoseInput
from magma_ros.nodes.subscriptions import subscribe_latched, subscribe_newest
from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.spaces import GRIPPER_NAME, ActionSpace
from magma_ros.types import FloatArray, MonotonicClock, Observation, Pose

WATCH_PERIOD = 0.25
"""Time between two looks for what is missing [s]."""

REFUSAL_PERIOD = 10.0
"""Least time between two warnings about messages that cannot be used [s]."""

BATTERY_PATIENCE = 30.0
"""Silence of a battery, once received, before it is reported [s]; its drivers are slow."""

CLEARANCE, BATTERY, CLOCK = "clearance", "battery", "clock"


class PolicyInputs:
    """Subscribes to everything a policy is given and makes observations of it.

    Attributes:
        circumstances: What a decision may cost besides time.
    """

    def __init__(
        self,
        node: ManagedNode,
        contract: ObservationContract,
        space: ActionSpace,
        on_news: Callable[[], None],
        on_told: Callable[[], None],
    ) -> None:
        """Subscribe.

        Args:
            node: Node to subscribe with, whose parameters are used.
            contract: What the policy must be given.
            space: What its actions mean, some of which start from where the robot is.
            on_news: Called when there may be a newer observation.
            on_told: Called when something else is to be done, or it at another place.

        Raises:
            UnknownFieldError: The contract names proprioception that nothing measures.
            SettingError: The grippers of the robot's file make no sense.
        """
        settings = node.settings
        self.circumstances = Circumstances(clearance_required=settings["clearance_required"])
        self._node = node
        self._monotonic = MonotonicClock()
        self._on_news = on_news
        self._blind = not contract.cameras
        self._on_told = on_told
        self._buffer = ObservationBuffer(
            {camera.name: (camera.height, camera.width) for camera in contract.cameras},
            contract.proprioception,
            max_age=settings["max_age"],
            sync_slop=settings["sync_slop"],
            point_camera=None if contract.point is None else contract.point.camera,
            space=space,
            instructed=contract.max_tokens is not None,
        )
        self._grippers = self._measured_grippers()
        self._clearance_stamps = StampCheck(CLEARANCE, settings["max_age"])
        self._battery_heard = math.inf  # never; it is optional
        self._refusals: dict[str, int] = {}
        self._meters: defaultdict[str, Meter] = defaultdict(Meter)
        self._watch = Watch()
        self._timer: Any = None
        self._cameras = [camera_input(camera.name) for camera in contract.cameras]
        self._subscribe(contract.cameras)

    def start(self) -> None:
        """Begin to watch for silence."""
        self._watch = Watch()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(WATCH_PERIOD, self._look, clock=steady)

    def stop(self) -> None:
        """End the watch."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def close(self) -> None:
        """Release what the node does not release by itself."""
        self.stop()
        self._pose.close()
        if self._frames is not None:
            self._frames.close()

    @property
    def newest_stamp(self) -> float:
        """Time of the newest images that belong together [s]; ``-inf`` before the first."""
        return self._buffer.newest_stamp

    @property
    def pose(self) -> Pose | None:
        """The newest pose of the end effector."""
        return self._buffer.measured.pose

    @property
    def joints(self) -> FloatArray | None:
        """(N,) newest positions of the action space's joints, or None before all were measured."""
        return self._buffer.measured.places

    @property
    def speed(self) -> float:
        """Measured speed of the end effector [m/s]; ``inf`` while nobody tells its pose."""
        return self._buffer.measured.speed

    def observe(self, now: float) -> Observation:
        """The newest observation at ``now`` [s].

        Raises:
            NotReadyError: Something is missing, stale, or not of one moment.
        """
        return self._buffer.observe(now)

    def waiting_for(self, now: float) -> str:
        """What keeps an observation from being made at ``now`` [s], in a sentence, or ''."""
        problems = self._buffer.problems(now)
        return self._watch.lasting.get(CLOCK) or next(iter(problems.values()), "")

    def lacking(self, now: float) -> str:
        """Which input is missing at ``now`` [s] beyond its largest age, in a sentence, or ''."""
        return next(iter(self._buffer.missing(now).values()), "")

    def source_of(self, observation: Observation, camera: str) -> Picture:
        """The picture as ``camera`` sent it, of an observation made here."""
        assert isinstance(observation.images, Pictures)
        return observation.images.sources[camera]

    def forget(self) -> None:
        """Drop everything but the instruction, after the clock has jumped."""
        self._buffer.clear()

    def status(self, now: float) -> DiagnosticStatus:
        """Whether each input is alive, for ``/diagnostics``."""
        problems = self._watch.lasting
        faults = {name: problems[name] for name in problems.keys() - {INSTRUCTION, POINT}}
        faults = faults or self._odd_rates()
        level = DiagnosticStatus.WARN if faults else DiagnosticStatus.OK
        text = next(iter((faults or problems).values()), "All inputs are alive.")
        ages = self._buffer.ages(now)
        ages[CLEARANCE] = self.circumstances.clearance_age(self._monotonic.now())
        values: dict[str, object] = {f"{name}_age_s": age for name, age in ages.items()}
        steady = self._monotonic.now()
        for name, meter in self._meters.items():
            values[f"{name}_rate_hz"] = meter.rate(steady)
            values[f"{name}_interval_p95_s"] = meter.p95(steady)
        values |= {f"{name}_refused": count for name, count in self._refusals.items()}
        values |= {f"{name}_problem": why for name, why in problems.items()}
        return convert.status_message(level, "policy: inputs", text, values)

    def _odd_rates(self) -> dict[str, str]:
        least, greatest = self._node.settings["diagnostics.camera_rate"]
        now = self._monotonic.now()
        rates = {name: self._meters[name].rate(now) for name in self._cameras}
        return {
            name: f"{name} sends {rate:.1f} pictures a second; {least:g} to {greatest:g} are usual"
            for name, rate in rates.items()
            if not math.isnan(rate) and not least <= rate <= greatest
        }

    # Subscriptions

    def _subscribe(self, cameras: Iterable[CameraContract]) -> None:
        subscribe, settings = self._node.create_subscription, self._node.settings
        compressed = settings["transport"] == "compressed"
        topics = CameraTopics(settings[CAMERA_TOPICS.name])
        for camera in cameras:
            if camera.kind == "depth":
                hear = partial(self._on_image, camera.name, depth_picture_from_message)
                subscribe(Image, topics.depth(camera.name), hear, qos.IMAGES)
                continue
            topic = topics.image(camera.name, compressed=compressed)
            hear = partial(self._on_image, camera.name, picture_from_message)
            subscribe(CompressedImage if compressed else Image, topic, hear, qos.IMAGES)
        self._pose = PoseInput(
            self._node, settings["max_age"], self._on_pose, partial(self._refuse, POSE)
        )
        self._frames: FrameInput | None = None
        if frames := self._buffer.measured.frames:
            self._frames = FrameInput(
                self._node,
                frames,
                settings["max_age"],
                self._on_frame,
                lambda frame, why: self._refuse(frame_input(frame), why),
            )
        subscribe(JointState, names.JOINT_STATES, self._on_joints, qos.SENSOR_STATE)
        subscribe(Range, names.CLEARANCE, self._on_clearance, qos.IMAGES)
        subscribe(BatteryState, names.BATTERY, self._on_battery, qos.IMAGES)
        told = (names.INSTRUCTION, names.GUARD_INSTRUCTION)
        subscribe_newest(self._node, String, told, self._on_instruction)
        subscribe_latched(self._node, PointStamped, names.INSTRUCTION_POINT, self._on_point)

    def _on_image(
        self, camera: str, look: Callable[[Any], Picture], message: Image | CompressedImage
    ) -> None:
        self._meters[camera_input(camera)].note(self._monotonic.now())
        try:
            self._buffer.add_picture(camera, look(message), self._now())
        except (convert.MessageError, StampError) as error:
            self._refuse(camera_input(camera), _about(f"camera {camera!r}", error))
            return
        self._on_news()

    def _on_pose(self, pose: Pose) -> None:
        self._meters[POSE].note(self._monotonic.now())
        self._buffer.add_pose(pose)
        if self._blind:
            self._on_news()

    def _on_frame(self, frame: str, pose: Pose) -> None:
        self._meters[frame_input(frame)].note(self._monotonic.now())
        self._buffer.add_frame(frame, pose)
        if self._blind:
            self._on_news()

    def _on_joints(self, message: JointState) -> None:
        for name, gripper in self._grippers.items():
            self._note_gripper(name, gripper, message)
        stamp = convert.seconds(message.header.stamp)
        for joint in self._buffer.measured.joints:
            if (values := convert.joint_from_message(message, joint)) is None:
                continue  # arm and gripper often have a publisher each
            self._meters[joint_input(joint)].note(self._monotonic.now())
            if math.isnan(values[0]):
                why = f"joint_states give no finite position of {joint!r}; check the arm's driver"
                self._refuse(joint_input(joint), why)
                continue
            try:
                self._buffer.add_joint(joint, stamp, values, self._now())
            except StampError as error:
                self._refuse(joint_input(joint), str(error))
        if self._blind:
            self._on_news()

    def _measured_grippers(self) -> dict[str, GripperJoint]:
        """The grippers of which an opening is needed, by the policy's names."""
        robot = robot_grippers(self._node.settings)
        known = {GRIPPER_NAME: next(iter(robot.values()))} | robot
        wanted = self._buffer.measured.grippers
        if missing := [name for name in wanted if name not in known]:
            raise UnknownFieldError(
                f"the policy measures the gripper {missing[0]}, which the robot's file does not "
                f"have (it has {', '.join(robot)}); name it by gripper.name or "
                "more_grippers.names, or take a policy for this robot"
            )
        return {name: known[name] for name in wanted}

    def _note_gripper(self, name: str, gripper: GripperJoint, message: JointState) -> None:
        about, joint = gripper_input(name), gripper.joint
        self._meters[about].note(self._monotonic.now())
        if joint not in message.name:
            if not self._buffer.why(about):  # arm and gripper often have a publisher each
                self._buffer.explain(about, f"joint_states name no joint {joint!r}")
            return
        opening = gripper.opening(message)
        if opening is None:
            why = f"joint_states give no finite position of {joint!r}; check the gripper's driver"
            self._refuse(about, why)
            return
        stamp = convert.seconds(message.header.stamp)
        try:
            self._buffer.add_gripper(stamp, opening, self._now(), name)
        except StampError as error:
            self._refuse(about, str(error))

    def _on_instruction(self, message: String) -> None:
        if message.data != self._buffer.instruction:
            self._buffer.tell(message.data, self._now())
            self._node.get_logger().info(f"told to: {message.data[:200]!r}")
            self._on_told()

    def _on_point(self, message: PointStamped) -> None:
        before = self._buffer.point
        try:
            self._buffer.add_point(point_from_message(message))
        except convert.MessageError as error:
            self._refuse(POINT, str(error))
            return
        if self._buffer.point != before:
            self._on_told()

    def _on_clearance(self, message: Range) -> None:
        stamp, now = convert.seconds(message.header.stamp), self._now()
        try:
            clearance = convert.clearance_from_message(message)
            if self._clearance_stamps.accept(stamp, now):
                measured = self._monotonic.now() - max(0.0, now - stamp)
                self.circumstances.report_clearance(clearance, measured)
                self._buffer.explain(CLEARANCE, "")
        except (convert.MessageError, StampError, CircumstanceError) as error:
            self._refuse(CLEARANCE, str(error))

    def _on_battery(self, message: BatteryState) -> None:
        try:
            self.circumstances.report_battery(float(message.percentage))
            self._battery_heard = self._monotonic.now()
        except CircumstanceError as error:
            self._refuse(BATTERY, str(error))

    def _refuse(self, name: str, why: str) -> None:
        self._refusals[name] = self._refusals.get(name, 0) + 1
        self._buffer.explain(name, why)
        self._node.get_logger().warning(why, throttle_duration_sec=REFUSAL_PERIOD)

    # Watching for silence

    def _look(self) -> None:
        now, steady = self._now(), self._monotonic.now()
        problems = self._buffer.problems(now)
        if self.circumstances.clearance_silent(steady):
            problems[CLEARANCE] = self._buffer.why(CLEARANCE) or (
                "the clearance sensor is silent, which counts as full risk; is it published?"
            )
        if (age := steady - self._battery_heard) > BATTERY_PATIENCE:
            problems[BATTERY] = f"the battery has been silent for {age:.0f} s; is it published?"
        if self._watch.standstill(now, steady):
            problems = {CLOCK: "the clock stands still; is /clock published?"}
        for name, why in self._watch.update(problems, steady):
            if name in (INSTRUCTION, POINT):
                self._node.get_logger().info(why)
            else:
                self._node.get_logger().warning(why)

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) / convert.NANOSECONDS


def _about(what: str, error: Exception) -> str:
    text = str(error)
    return text if text.startswith(what) else f"{what}: {text}"
