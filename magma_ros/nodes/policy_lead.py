# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a policy leads a robot: its plans become twists, or joint targets, by its action space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState, TimeReference
from trajectory_msgs.msg import JointTrajectory

from magma_ros.motion import ChunkStream, JointStream, StreamConfig
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import gripper_command, robot_grippers
from magma_ros.nodes.joint_robot import described
from magma_ros.nodes.limits import WITHOUT_DESCRIPTION, commanded_joints
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.perception.urdf import joint_units
from magma_ros.spaces import ActionSpace, SpaceError
from magma_ros.types import ActionChunk, Answer, FloatArray, Pose, Source

Heard = Callable[[FloatArray | None], None]
"""Told of each of the guard's commands: the twist (6,) that it sent, or None for joints."""


class Stream(Protocol):
    """What plays chunks; see :class:`~magma_ros.motion.ChunkStream`."""

    def push(self, chunk: ActionChunk, now: float, anchor: Pose | FloatArray | None) -> Answer:
        """Offer a chunk."""
        ...

    def clear(self) -> None:
        """Drop everything."""
        ...


class Lead(Protocol):
    """Plays chunks and publishes what they command.

    Attributes:
        stream: What is played.
    """

    stream: Stream

    def command(self, now: float, stamp: Time) -> float | None:
        """Publish the command of this moment.

        Args:
            now: The present on the stream's clock [s].
            stamp: Likewise, for the messages.

        Returns:
            The commanded speed of the end effector [m/s], or None where that is not known.
        """
        ...

    def note_sent(self, twist: FloatArray | None, now: float) -> None:
        """Learn what the guard has made of it."""
        ...

    def rest(self, stamp: Time) -> None:
        """Publish a last, safe command."""
        ...


def lead_of(
    node: ManagedNode,
    space: ActionSpace,
    heard: Heard,
    *,
    measured: Callable[[], FloatArray | None],
    driving: Callable[[], bool],
) -> Lead:
    """What leads a robot by actions of ``space``.

    Args:
        node: The policy's, with the robot's parameters.
        space: What the actions mean.
        heard: To be told of what the guard sends.
        measured: Tells where the space's joints are, (N,) [rad or m], if that is known.
        driving: Tells whether the policy drives, by what the guard has said.

    Raises:
        SpaceError: The robot has other joints or grippers, or joints of other units.
        MagmaError: It is commanded by joints and its description is missing.
    """
    if space.kind.of_joints:
        return JointLead(node, space, heard, measured=measured, driving=driving)
    if len(space.grippers) > 1:
        named = ", ".join(space.names[column] for column in space.grippers)
        raise SpaceError(
            f"the policy moves one end effector and the grippers {named}; several grippers need an "
            "action space of joints"
        )
    return TwistLead(node, space, heard)


class _GripperOutput:
    """The grippers' commands, all in one message.

    Args:
        node: The policy's.
        space: What the actions mean.

    Raises:
        SpaceError: The grippers of the robot's file are not those of ``space``.
    """

    def __init__(self, node: ManagedNode, space: ActionSpace) -> None:
        known = robot_grippers(node.settings)
        self._joints = [list(known.values())[at] for at in space.require_grippers(list(known))]
        self._publisher = node.create_publisher(JointState, names.POLICY_GRIPPER, qos.STATE)

    def publish(self, openings: Iterable[float], stamp: Time) -> None:
        """Ask for an opening of each, 1 = open, in the order of their columns."""
        asked = zip(self._joints, openings, strict=True)
        self._publisher.publish(gripper_command(asked, stamp))


class TwistLead:
    """Leads an end effector by twists.

    Args:
        node: The policy's; its limits are the guard's too.
        space: What the actions mean.
        heard: As for :func:`lead_of`.

    Attributes:
        stream: What is played.
    """

    def __init__(self, node: ManagedNode, space: ActionSpace, heard: Heard) -> None:
        kinds = ("speed", "acceleration", "jerk")
        bounds = [f"{part}_{kind}" for part in ("linear", "angular") for kind in kinds]
        limits = {name: node.settings[f"limits.{name}"] for name in bounds}
        period = 1.0 / node.settings["command_rate"]
        self._stream = ChunkStream(StreamConfig(period=period, **limits))
        self.stream: Stream = self._stream
        self._frame = node.settings["base_frame"]
        self._publisher = node.create_publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
        self._gripper = _GripperOutput(node, space)
        self._heard = heard
        for topic in names.TOOL_TWISTS:
            node.create_subscription(TwistStamped, topic, self._on_sent, qos.STATE)

    def command(self, now: float, stamp: Time) -> float:
        """Publish the command of this moment; see :class:`Lead`."""
        sample = self._stream.sample(now)
        self._publish(sample.twist, stamp)
        if sample.gripper is not None:
            self._gripper.publish([sample.gripper], stamp)
        return float(np.linalg.norm(sample.twist[:3]))

    def note_sent(self, twist: FloatArray | None, now: float) -> None:
        """Learn what the guard has made of it."""
        if twist is not None:
            self._stream.note_sent(twist, now)

    def rest(self, stamp: Time) -> None:
        """Publish a zero twist."""
        self._publish(np.zeros(6), stamp)

    def _publish(self, twist: FloatArray, stamp: Time) -> None:
        self._publisher.publish(convert.twist_to_message(twist, self._frame, stamp))

    def _on_sent(self, message: TwistStamped) -> None:
        ours = message.header.frame_id == self._frame
        self._heard(convert.twist_from_message(message, Source.GUARD).twist if ours else None)


class JointLead:
    """Leads joints by targets, each a trajectory of one point that is to be reached at once.

    Without a plan the joints are to stay where they are: while somebody else drives, where they are
    measured at each moment, and then where they were when the policy began to drive.

    Args:
        node: The policy's; ``joints.names`` are those that the robot's controller takes.
        space: What the actions mean.
        heard: As for :func:`lead_of`.
        measured: Likewise.
        driving: Likewise.

    Attributes:
        stream: What is played.

    Raises:
        SpaceError: The joints of the robot's file are not those of ``space``, or by the robot's
            description one of them has another unit.
        MagmaError: There is no such description, and the robot's file does not go without it.
    """

    def __init__(
        self,
        node: ManagedNode,
        space: ActionSpace,
        heard: Heard,
        *,
        measured: Callable[[], FloatArray | None],
        driving: Callable[[], bool],
    ) -> None:
        known = commanded_joints(node.settings)
        space.require_joints(known)
        if more := [name for name in known if name not in space.joints]:
            raise SpaceError(
                f"the robot's file has the joint {more[0]}, which the policy does not move; "
                "name in joints.names those alone that it is to move"
            )
        if not node.settings[WITHOUT_DESCRIPTION.name]:
            space.require_units(joint_units(described(node)))
        self._joints = space.joints
        self._measured, self._driving = measured, driving
        self._stream = JointStream()
        self.stream: Stream = self._stream
        self._last: FloatArray | None = None  # where the joints are to be
        self._publisher = node.create_publisher(JointTrajectory, names.POLICY_JOINTS, qos.STATE)
        self._gripper = _GripperOutput(node, space) if space.grippers else None
        self._heard = heard
        node.create_subscription(TimeReference, names.GUARD_FOLLOWS, self._on_follows, qos.EVENTS)

    def command(self, now: float, stamp: Time) -> None:
        """Publish the command of this moment; see :class:`Lead`."""
        sample = self._stream.sample(now)
        if sample.positions is not None:
            self._last = sample.positions
        elif not self._driving() or self._last is None:
            self._last = self._measured()
        if self._last is None:
            return
        self._publish(self._last, stamp, sample.velocities)
        if self._gripper is not None and sample.openings is not None:
            self._gripper.publish(map(float, sample.openings), stamp)

    def note_sent(self, twist: FloatArray | None, now: float) -> None:
        """Learn nothing: targets are places, and those hold whatever was done on the way."""

    def rest(self, stamp: Time) -> None:
        """Ask the joints to stay where they were last sent, if anywhere."""
        if self._last is not None:
            self._publish(self._last, stamp)

    def _publish(
        self, positions: FloatArray, stamp: Time, velocities: FloatArray | None = None
    ) -> None:
        self._publisher.publish(
            convert.joint_command_to_message(self._joints, positions, stamp, velocities)
        )

    def _on_follows(self, _: TimeReference) -> None:
        self._heard(None)
