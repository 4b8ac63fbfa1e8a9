# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy node hears: cameras, the robot's state, instruction, risk and energy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import BatteryState, CompressedImage, Image, JointState, Range
from std_msgs.msg import String

from magma_ros.agent.circumstances import CircumstanceError, Circumstances
from magma_ros.agent.observation import NotReadyError, Senses
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.policy.manifest import ObservationContract
from magma_ros.types import Clock, Observation, Pose


class PolicyInputs:
    """Subscribes to everything a policy is given and makes observations of it.

    Attributes:
        circumstances: What a decision may cost besides time.
        camera_frames: Frame of the newest image, by camera.
    """

    def __init__(
        self,
        node: ManagedNode,
        contract: ObservationContract,
        clock: Clock,
        on_image: Callable[[], None],
    ) -> None:
        """Subscribe.

        Args:
            node: Node to subscribe with, whose parameters are used.
            contract: What the policy must be given.
            clock: Monotonic clock of the process.
            on_image: Called after each usable image.
        """
        self.circumstances = Circumstances()
        self.camera_frames: dict[str, str] = {}
        self._node = node
        self._clock = clock
        self._on_new_image = on_image
        self._gripper = GripperJoint.from_settings(node.settings)
        cameras = [camera.name for camera in contract.cameras]
        self._senses = Senses(cameras, contract.proprioception, node.settings["max_age"])
        self._subscribe(cameras)

    @property
    def newest_stamp(self) -> float:
        """The time up to which every camera has been seen [s]; ``-inf`` before the first."""
        return self._senses.newest_common_stamp()

    @property
    def pose(self) -> Pose | None:
        """The newest pose of the end effector."""
        return self._senses.pose

    def observe(self, now: float) -> Observation:
        """The observation at ``now`` [s].

        Raises:
            NotReadyError: Something is missing, stale, or stamped in the future.
        """
        return self._senses.observe(now)

    def waiting_for(self, now: float) -> str:
        """What keeps an observation from being made at ``now`` [s], in a sentence, or ''."""
        try:
            self._senses.observe(now)
        except NotReadyError as error:
            return str(error)
        return ""

    def forget(self) -> None:
        """Drop everything but the instruction, after the clock has jumped."""
        self._senses.forget()

    def _subscribe(self, cameras: list[str]) -> None:
        subscribe = self._node.create_subscription
        compressed = self._node.settings["transport"] == "compressed"
        for camera in cameras:
            topic = names.camera_topic(camera, compressed=compressed)
            kind = CompressedImage if compressed else Image
            subscribe(kind, topic, partial(self._on_image, camera), qos.IMAGES)
        subscribe(PoseStamped, names.EE_POSE, self._on_pose, qos.STATE)
        subscribe(JointState, names.JOINT_STATES, self._on_joints, qos.STATE)
        subscribe(String, names.INSTRUCTION, self._on_instruction, qos.LATCHED)
        subscribe(Range, names.CLEARANCE, self._on_clearance, qos.IMAGES)
        subscribe(BatteryState, names.BATTERY, self._on_battery, qos.IMAGES)

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
        self.camera_frames[camera] = message.header.frame_id
        self._senses.see(camera, convert.seconds(message.header.stamp), pixels)
        self._on_new_image()

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
        self._node.get_logger().info(f"told to: {message.data[:200]!r}")

    def _on_clearance(self, message: Range) -> None:
        try:
            self.circumstances.report_clearance(float(message.range), self._clock.now())
        except CircumstanceError as error:
            self._complain(str(error))

    def _on_battery(self, message: BatteryState) -> None:
        try:
            self.circumstances.report_battery(float(message.percentage))
        except CircumstanceError as error:
            self._complain(str(error))

    def _complain(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=2.0)
