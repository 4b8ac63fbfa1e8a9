# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between ROS messages and the types of the rooms."""

from __future__ import annotations

import array
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PoseStamped, TransformStamped, TwistStamped
from nav_msgs.msg import Path as PathMessage
from sensor_msgs.msg import CameraInfo, Image, JointState, Range
from std_msgs.msg import ColorRGBA, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import ImageMarker

from magma_ros.motion.steps import displacements
from magma_ros.perception import overlay
from magma_ros.types import (
    TRACE_MARKS,
    ActionChunk,
    DepthArray,
    FloatArray,
    ImageArray,
    JointCommand,
    MagmaError,
    Pose,
    Source,
    Trace,
    TwistCommand,
)

Stamped = TypeVar("Stamped", TwistCommand, Pose)

NANOSECONDS = 1_000_000_000

QUATERNION_TOLERANCE = 0.01
"""How far a quaternion's length may be from 1 before it is no rotation but a mistake."""

TRACE_NAMESPACE = "trace"
"""Namespace of the markers that show a trace."""


class MessageError(MagmaError):
    """A message from outside has not the content that it should have."""


def seconds(stamp: Time) -> float:
    """A stamp in seconds."""
    return float(stamp.sec) + float(stamp.nanosec) / NANOSECONDS


def to_stamp(when: float) -> Time:
    """A stamp message from seconds (negative times are clipped to zero)."""
    nanoseconds = max(0, round(when * NANOSECONDS))
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def image_to_message(pixels: ImageArray, frame_id: str, stamp: Time) -> Image:
    """An ``rgb8`` message of (H, W, 3) uint8 pixels."""
    height, width, _ = pixels.shape
    return Image(
        header=Header(stamp=stamp, frame_id=frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=array.array("B", pixels.tobytes()),  # rclpy copies anything else element by element
    )


def depth_to_message(depth: DepthArray, frame_id: str, stamp: Time) -> Image:
    """A ``32FC1`` message of distances along the optical axis, (H, W) [m] (REP 118)."""
    height, width = depth.shape
    pixels = np.ascontiguousarray(depth, "<f4")
    return Image(
        header=Header(stamp=stamp, frame_id=frame_id),
        height=height,
        width=width,
        encoding="32FC1",
        is_bigendian=0,
        step=4 * width,
        data=array.array("B", pixels.tobytes()),
    )


def camera_info_message(matrix: FloatArray, size: tuple[int, int], header: Header) -> CameraInfo:
    """The calibration of a pinhole camera without distortion.

    Args:
        matrix: Its intrinsic matrix, (3, 3) [px].
        size: Width and height of its images [px].
        header: Header of the image.
    """
    projection = np.column_stack([matrix, np.zeros(3)])
    return CameraInfo(
        header=header,
        width=size[0],
        height=size[1],
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=matrix.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )


def clearance_from_message(message: Range) -> float:
    """The distance to the nearest obstacle [m], by REP 117: ``inf`` is none, ``-inf`` too near.

    Raises:
        MessageError: It is not a number, or lies outside what the sensor can measure.
    """
    distance, low, high = (float(v) for v in (message.range, message.min_range, message.max_range))
    if math.isnan(distance):
        raise MessageError("the clearance is not a number; check its sensor")
    bounded = low < high  # a driver that leaves both at zero gives no bounds
    if math.isfinite(distance) and bounded and not low <= distance <= high:
        raise MessageError(
            f"the clearance of {distance:.3g} m lies outside the sensor's own range of {low:.3g} "
            f"to {high:.3g} m; send inf for free space and -inf for too near (REP 117)"
        )
    return distance


def pose_from_message(message: PoseStamped) -> Pose:
    """The pose of a message, in the frame of its header, its quaternion normalised.

    Raises:
        MessageError: A value is not finite, or the quaternion's length is not 1.
    """
    p, q = message.pose.position, message.pose.orientation
    position = np.array([p.x, p.y, p.z])
    quaternion = np.array([q.x, q.y, q.z, q.w])
    length = math.hypot(*quaternion)  # huge numbers do not overflow in it
    if not np.isfinite(position).all() or not np.isfinite(length):
        raise MessageError("the end-effector pose is not a finite pose; check its publisher")
    if abs(length - 1.0) > QUATERNION_TOLERANCE:
        raise MessageError(
            f"the end-effector pose has a quaternion of length {length:.3g}, not 1; check its "
            "publisher"
        )
    return Pose(seconds(message.header.stamp), position, quaternion / length)


def pose_to_message(pose: Pose, frame_id: str, stamp: Time) -> PoseStamped:
    """A stamped message of ``pose``."""
    message = PoseStamped(header=Header(stamp=stamp, frame_id=frame_id))
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = (float(v) for v in pose.position)
    q.x, q.y, q.z, q.w = (float(v) for v in pose.quaternion)
    return message


def transform_message(
    position: FloatArray, quaternion: FloatArray, header: Header, child: str
) -> TransformStamped:
    """Where the frame ``child`` is in the frame of ``header``: (3,) [m], and (4,) x y z w."""
    message = TransformStamped(header=header, child_frame_id=child)
    p, q = message.transform.translation, message.transform.rotation
    p.x, p.y, p.z = (float(v) for v in position)
    q.x, q.y, q.z, q.w = (float(v) for v in quaternion)
    return message


def twist_from_message(message: TwistStamped, source: Source) -> TwistCommand:
    """The command in a message; whether it may be obeyed is the guard's decision."""
    linear, angular = message.twist.linear, message.twist.angular
    twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
    return TwistCommand(seconds(message.header.stamp), message.header.frame_id, twist, source)


def shifted(stamped: Stamped, offset: float) -> Stamped:
    """The same with its stamp on a clock that is ``offset`` [s] ahead."""
    return replace(stamped, stamp=stamped.stamp + offset)


def twist_to_message(twist: FloatArray, frame_id: str, stamp: Time) -> TwistStamped:
    """A stamped message of a (6,) twist [m/s, rad/s]."""
    message = TwistStamped(header=Header(stamp=stamp, frame_id=frame_id))
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z = (float(v) for v in twist[:3])
    angular.x, angular.y, angular.z = (float(v) for v in twist[3:])
    return message


def joint_command_from_message(message: JointTrajectory, source: Source) -> JointCommand:
    """The targets in a trajectory of one point; whether they may be obeyed the guard decides.

    Raises:
        MessageError: It has not one point.
    """
    if len(message.points) != 1:
        raise MessageError(
            f"the {source.value} joint command must have one point, the target for now, but has "
            f"{len(message.points)}"
        )
    point = message.points[0]
    return JointCommand(
        seconds(message.header.stamp),
        tuple(message.joint_names),
        np.array(point.positions, np.float64),
        np.array(point.velocities, np.float64),
        source,
    )


def joint_command_to_message(
    names: Sequence[str],
    positions: FloatArray,
    stamp: Time,
    velocities: FloatArray | None = None,
    reach: float = 0.0,
) -> JointTrajectory:
    """A trajectory of one point.

    Args:
        names: Of the joints.
        positions: (N,) where they are to go [rad or m].
        stamp: When that was decided.
        velocities: (N,) how fast they are to be there [rad/s or m/s]; None for at rest.
        reach: Time from the stamp until they are to be there [s].
    """
    point = JointTrajectoryPoint(
        positions=[float(v) for v in positions],
        velocities=[] if velocities is None else [float(v) for v in velocities],
    )
    ahead = to_stamp(reach)
    point.time_from_start = Duration(sec=ahead.sec, nanosec=ahead.nanosec)
    return JointTrajectory(header=Header(stamp=stamp), joint_names=list(names), points=[point])


def joint_from_message(message: JointState, joint: str) -> FloatArray | None:
    """Position, velocity and effort (3,) of one joint, nan for what is not finite or not there.

    Returns:
        None if the message does not name the joint.
    """
    if joint not in message.name:
        return None
    index = message.name.index(joint)
    lists = (message.position, message.velocity, message.effort)
    values = np.array([each[index] if index < len(each) else np.nan for each in lists])
    return np.where(np.isfinite(values), values, np.nan)


def joint_states_message(
    names: Sequence[str], positions: FloatArray, velocities: FloatArray, stamp: Time
) -> JointState:
    """A JointState of positions [rad or m] and velocities [rad/s or m/s]."""
    return JointState(
        header=Header(stamp=stamp),
        name=list(names),
        position=[float(v) for v in positions],
        velocity=[float(v) for v in velocities],
    )


def chunk_to_path(chunk: ActionChunk, pose: Pose, frame_id: str) -> PathMessage:
    """Where the steps of ``chunk``, of an end effector, lead it from ``pose``."""
    header = Header(stamp=to_stamp(chunk.stamp), frame_id=frame_id)
    positions = pose.position + np.cumsum(displacements(chunk, pose)[:, :3], axis=0)
    path = PathMessage(header=header)
    for x, y, z in positions:
        point = PoseStamped(header=header)
        point.pose.position = Point(x=float(x), y=float(y), z=float(z))
        path.poses.append(point)
    return path


def trace_to_markers(trace: Trace, size: tuple[int, int], header: Header) -> list[ImageMarker]:
    """A line for each mark of a trace, in pixels of an image; ids follow :data:`TRACE_MARKS`.

    Args:
        trace: The trace.
        size: Height and width of the image [px].
        header: Header of the image.
    """
    height, width = size
    nanoseconds = round(float(trace.times[-1]) * NANOSECONDS)
    # A predicted trace covers no time after its end.
    lifetime = Duration(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)
    markers = []
    for mark, path in trace.paths(width, height).items():
        red, green, blue = (part / 255.0 for part in overlay.COLOURS[mark])
        markers.append(
            ImageMarker(
                header=header,
                ns=TRACE_NAMESPACE,
                id=TRACE_MARKS.index(mark),
                type=ImageMarker.LINE_STRIP,
                action=ImageMarker.ADD,
                scale=float(overlay.line_width(size)),
                outline_color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
                lifetime=lifetime,
                points=[Point(x=float(x), y=float(y)) for x, y in path],
            )
        )
    return markers


def path_from_marker(message: ImageMarker) -> tuple[str, FloatArray]:
    """A mark of a trace, and its path in pixels, (H, 2).

    Raises:
        MessageError: The marker is not part of a trace.
    """
    if message.ns != TRACE_NAMESPACE or not 0 <= message.id < len(TRACE_MARKS):
        raise MessageError(f"the marker {message.ns!r}, {message.id}, is not part of a trace")
    path = np.array([(point.x, point.y) for point in message.points])
    if not path.size or not np.isfinite(path).all():
        raise MessageError("the trace is empty or not finite; check its publisher")
    return TRACE_MARKS[message.id], path


def status_message(
    level: bytes, name: str, text: str, values: Mapping[str, object], hardware_id: str = ""
) -> DiagnosticStatus:
    """A DiagnosticStatus whose values are printed short enough to read and to plot."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=text,
        hardware_id=hardware_id,
        values=key_values(values),
    )


def key_values(values: Mapping[str, object]) -> list[KeyValue]:
    """The pairs of a status."""
    return [KeyValue(key=key, value=_printed(value)) for key, value in values.items()]


def status_values(status: DiagnosticStatus) -> dict[str, str]:
    """The key-value pairs of a status."""
    return {pair.key: pair.value for pair in status.values}


def status_value(status: DiagnosticStatus, key: str) -> str:
    """One value of a status.

    Raises:
        MessageError: It has no such key.
    """
    for pair in status.values:
        if pair.key == key:
            return str(pair.value)
    raise MessageError(f"the status {status.name[:40]!r} has no value {key!r}")


def status_number(status: DiagnosticStatus, key: str) -> float:
    """One number of a status, perhaps ``nan`` or infinite.

    Raises:
        MessageError: It has no such key, or its value is no number.
    """
    text = status_value(status, key)
    try:
        return float(text)
    except ValueError as error:
        raise MessageError(f"{key} of {status.name[:40]!r} is {text[:40]!r}, no number") from error


def status_whole(status: DiagnosticStatus, key: str) -> int:
    """One whole number of a status.

    Raises:
        MessageError: It has no such key, or its value is no whole number.
    """
    text = status_value(status, key)
    try:
        return int(text)
    except ValueError as error:
        raise MessageError(
            f"{key} of {status.name[:40]!r} is {text[:40]!r}, no whole number"
        ) from error


def _printed(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
