# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's state of the last moments, by name: what a policy is told of where the robot is.

Names of measured values are:

- ``ee_x``, ``ee_y``, ``ee_z`` [m], ``ee_sin_yaw``, ``ee_cos_yaw``, the quaternion ``ee_qx``,
  ``ee_qy``, ``ee_qz``, ``ee_qw`` with ``ee_qw`` >= 0, and the rotation vector ``ee_rx``, ``ee_ry``,
  ``ee_rz`` [rad]: from the end effector's pose in the base frame;
- ``gripper_opening``, 1 = open, 0 = closed: from the gripper's joint, and ``<name>_opening`` of one
  with another name;
- ``<joint>.position``, ``<joint>.velocity``, ``<joint>.effort`` [rad, m, and per second; N m, N]:
  from that joint in the joint states;
- ``<frame>.x`` and whatever else may follow ``ee_``: where another frame than the end effector's is
  in the base frame, from TF.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.agent.history import History, between_arrays, between_numbers, between_poses
from magma_ros.agent.stamps import StampCheck
from magma_ros.spaces import GRIPPER_NAME, ActionSpace, SpaceKind
from magma_ros.types import FloatArray, MagmaError, Pose

POSE_FIELDS = (
    *("ee_x", "ee_y", "ee_z", "ee_sin_yaw", "ee_cos_yaw"),
    *("ee_qx", "ee_qy", "ee_qz", "ee_qw", "ee_rx", "ee_ry", "ee_rz"),
)
"""Proprioception taken from the end effector's pose."""

OPENING = "_opening"
"""What is asked of a gripper, after its name."""

GRIPPER_FIELD = f"{GRIPPER_NAME}{OPENING}"
"""Proprioception taken from the gripper's joint."""

JOINT_MEASURES = ("position", "velocity", "effort")
"""What may be asked of a joint, after its name and a dot."""

FRAME_MEASURES = tuple(name.removeprefix("ee_") for name in POSE_FIELDS)
"""What may be asked of a frame, after its name and a dot."""

POSE = "ee_pose"


class UnknownFieldError(MagmaError):
    """A policy wants proprioception that nothing measures."""


def joint_input(joint: str) -> str:
    """The name of a joint among the inputs, one of which may be called like the joint."""
    return f"joint_{joint}"


def frame_input(frame: str) -> str:
    """The name of a frame among the inputs, one of which may be called like the frame."""
    return f"frame_{frame}"


def gripper_input(gripper: str) -> str:
    """The name of a gripper among the inputs, one of which may be called like the gripper."""
    return GRIPPER_NAME if gripper == GRIPPER_NAME else f"gripper_{gripper}"


class Measured:
    """Measured values over a short span, to know how they were at one moment.

    All times are on the clock of the messages [s].

    Args:
        fields: Names of the proprioception, in the order wanted.
        space: The policy's action space, some of which start from where the robot is; or None.
        max_age: Age beyond which nothing is used [s].
        slop: How far from the moment asked for a value may be that cannot be interpolated [s].

    Attributes:
        fields: As given.
        joints: Those of which anything is needed.
        frames: Likewise, beside the end effector's.
        grippers: Likewise, by their names.

    Raises:
        UnknownFieldError: Nothing measures one of ``fields``.
    """

    def __init__(
        self, fields: Sequence[str], space: ActionSpace | None, *, max_age: float, slop: float
    ) -> None:
        self.fields = tuple(fields)
        self._max_age, self._slop = max_age, slop
        named = [_named(name) for name in fields if name not in POSE_FIELDS]
        grippers = [name for name, measure in named if measure == OPENING]
        self.grippers = tuple(dict.fromkeys(grippers))
        asked = [name for name, measure in named if measure in JOINT_MEASURES]
        frames = [name for name, measure in named if measure in FRAME_MEASURES]
        self.frames = tuple(dict.fromkeys(frames))
        self._anchored = () if space is None else space.joints
        self.joints = tuple(dict.fromkeys((*asked, *self._anchored)))
        self._from_pose = space is not None and space.kind is SpaceKind.EE_POSE
        self._needs_pose = self._from_pose or any(name in POSE_FIELDS for name in fields)
        # Long enough for the oldest usable image, and the value before it.
        span = 2.0 * max_age + slop
        self._poses: History[Pose] = History(POSE, span, between_poses)
        self._grippers: dict[str, History[float]] = {
            gripper: History(_opening(gripper), span, between_numbers) for gripper in self.grippers
        }
        self._joints: dict[str, History[FloatArray]] = {
            joint: History(f"joint {joint!r}", span, between_arrays) for joint in self.joints
        }
        self._frames: dict[str, History[Pose]] = {
            frame: History(_frame(frame), span, between_poses) for frame in self.frames
        }
        self._gripper_stamps = {
            gripper: StampCheck(f"the {_words(gripper)}'s joint state", max_age)
            for gripper in self.grippers
        }
        self._joint_stamps = {
            joint: StampCheck(f"the state of joint {joint!r}", max_age) for joint in self.joints
        }

    @property
    def pose(self) -> Pose | None:
        """The newest pose of the end effector."""
        return self._poses.latest

    @property
    def speed(self) -> float:
        """Of the end effector at its newest pose [m/s]; ``inf`` while that is not known."""
        return self._poses.rate(lambda before, after: _distance(before.position, after.position))

    def add_pose(self, pose: Pose) -> None:
        """Take in a pose, its stamp checked already."""
        self._poses.add(pose.stamp, pose)

    def add_frame(self, frame: str, pose: Pose) -> None:
        """Take in where one of :attr:`frames` is in the base frame, its stamp checked already."""
        self._frames[frame].add(pose.stamp, pose)

    def add_gripper(
        self, stamp: float, opening: float, now: float, gripper: str = GRIPPER_NAME
    ) -> bool:
        """Take in the opening, 0..1, of one of :attr:`grippers`; False if it is the newest again.

        Raises:
            StampError: It is not of now, or older than one before.
        """
        if fresh := self._gripper_stamps[gripper].accept(stamp, now):
            self._grippers[gripper].add(stamp, opening)
        return fresh

    def add_joint(self, joint: str, stamp: float, values: FloatArray, now: float) -> bool:
        """Take in the :data:`JOINT_MEASURES` of one of :attr:`joints`; nan for what is not known.

        Raises:
            StampError: It is not of now, or older than one before.
        """
        if fresh := self._joint_stamps[joint].accept(stamp, now):
            self._joints[joint].add(stamp, values)
        return fresh

    def clear(self) -> None:
        """Forget everything measured."""
        self._poses.clear()
        for name in self.grippers:
            self._grippers[name].clear()
        for name in self.joints:
            self._joints[name].clear()
        for name in self.frames:
            self._frames[name].clear()

    def newest(self) -> Mapping[str, tuple[str, float]]:
        """Of each input that is needed, what it is in words, and the stamp of its newest value."""
        found = {POSE: (POSE, self._poses.newest)} if self._needs_pose else {}
        for gripper, openings in self._grippers.items():
            found[gripper_input(gripper)] = _opening(gripper), openings.newest
        for joint, history in self._joints.items():
            found[joint_input(joint)] = f"joint {joint!r} in joint_states", history.newest
        for frame, poses in self._frames.items():
            found[frame_input(frame)] = _frame(frame), poses.newest
        return found

    def position(self, stamp: float, slop: float) -> FloatArray:
        """Where the end effector was at ``stamp`` [s], (3,) [m].

        Raises:
            NotKnownError: No pose is within ``slop`` [s].
        """
        return self._poses.at(stamp, slop, self._max_age).position

    @property
    def places(self) -> FloatArray | None:
        """(N,) newest positions of the action space's joints, or None before all were measured."""
        newest = [self._joints[joint].latest for joint in self._anchored]
        known = [values[0] for values in newest if values is not None]
        return np.array(known) if known and len(known) == len(newest) else None

    def at(self, stamp: float) -> FloatArray:
        """The values of :attr:`fields` at ``stamp`` [s], float32.

        Raises:
            NotKnownError: One was not measured near that moment.
        """
        state: dict[str, float] = {}
        if any(name in POSE_FIELDS for name in self.fields):
            state |= _pose_fields("ee_", self._poses.at(stamp, self._slop, self._max_age))
        for frame, poses in self._frames.items():
            state |= _pose_fields(f"{frame}.", poses.at(stamp, self._slop, self._max_age))
        for gripper, openings in self._grippers.items():
            at = openings.at(stamp, self._slop, self._max_age)
            state[f"{gripper}{OPENING}"] = at
        for joint in self.joints:
            values = self._joint(joint, stamp)
            state |= {f"{joint}.{m}": v for m, v in zip(JOINT_MEASURES, values, strict=True)}
        return np.array([state[name] for name in self.fields], np.float32)

    def anchor(self, stamp: float) -> Pose | FloatArray | None:
        """From where the actions of an observation at ``stamp`` [s] start, if from anywhere.

        Returns:
            The end effector's pose for poses, (N,) positions for joints in the space's order.

        Raises:
            NotKnownError: It was not measured near that moment.
        """
        if self._from_pose:
            return self._poses.at(stamp, self._slop, self._max_age)
        if self._anchored:
            return np.array([self._joint(joint, stamp)[0] for joint in self._anchored])
        return None

    def _joint(self, joint: str, stamp: float) -> FloatArray:
        return self._joints[joint].at(stamp, self._slop, self._max_age)


def _words(gripper: str) -> str:
    return gripper if gripper == GRIPPER_NAME else f"gripper {gripper!r}"


def _opening(gripper: str) -> str:
    return f"the {_words(gripper)}'s opening"


def _frame(frame: str) -> str:
    return f"the frame {frame!r} in TF"


def _named(field: str) -> tuple[str, str]:
    """The gripper, joint or frame of a field, and what of it is wanted."""
    if gripper := field.removesuffix(OPENING) if field.endswith(OPENING) else "":
        return gripper, OPENING
    name, _, measure = field.rpartition(".")
    if not name or measure not in (*JOINT_MEASURES, *FRAME_MEASURES):
        raise UnknownFieldError(
            f"the policy wants {field}, which nothing here measures; there are "
            f"{', '.join((*POSE_FIELDS, GRIPPER_FIELD))}, of each joint "
            f"{', '.join(f'<joint>.{measure}' for measure in JOINT_MEASURES)}, and of each frame "
            f"in TF <frame>.{FRAME_MEASURES[0]} and so on"
        )
    return name, measure


def _pose_fields(prefix: str, pose: Pose) -> dict[str, float]:
    """All that may be asked of a pose, by the field's name, which begins with ``prefix``."""
    x, y, z, w = (float(v) for v in pose.quaternion)
    yaw = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    sign = -1.0 if w < 0.0 else 1.0
    turn = Rotation.from_quat(pose.quaternion).as_rotvec()
    values = (
        *map(float, pose.position),
        *(math.sin(yaw), math.cos(yaw)),
        *(sign * x, sign * y, sign * z, sign * w),
        *map(float, turn),
    )
    return {f"{prefix}{m}": v for m, v in zip(FRAME_MEASURES, values, strict=True)}


def _distance(one: FloatArray, other: FloatArray) -> float:
    return float(np.linalg.norm(other - one))
