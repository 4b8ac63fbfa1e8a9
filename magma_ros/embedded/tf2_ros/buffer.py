# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``tf2_ros.buffer``: keeps transforms for a while and looks them up between any two frames."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from scipy.spatial.transform import Rotation, Slerp

from .exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)

CACHE_TIME = Duration(seconds=10.0)
"""How long transforms are kept by default, as in tf2."""

QUATERNION_TOLERANCE = 0.01
"""How far the squared length of a rotation may be from 1, as in tf2."""

LONGEST_CHAIN = 1000
"""Frames between a frame and its root beyond which there must be a loop, as in tf2."""


class Pose(NamedTuple):
    """The pose of one frame in another: position (3,) [m] and rotation."""

    position: npt.NDArray[np.float64]
    rotation: Rotation

    def inverse(self) -> Pose:
        """The pose of the other frame in the first."""
        back = self.rotation.inv()
        return Pose(-back.apply(self.position), back)

    def __matmul__(self, other: Pose) -> Pose:
        """The pose, in the frame that this pose is given in, of what ``other`` is the pose of."""
        return Pose(
            self.position + self.rotation.apply(other.position), self.rotation * other.rotation
        )


class Sample(NamedTuple):
    """The pose of a frame in its parent at one time [ns]."""

    time: int
    parent: str
    pose: Pose


class _History:
    """The transforms of one frame, in the order of their times."""

    def __init__(self, *, static: bool) -> None:
        self.static = static
        self._samples: list[Sample] = []

    @property
    def parent(self) -> str:
        return self._samples[-1].parent

    @property
    def latest(self) -> int:
        return self._samples[-1].time

    def insert(self, sample: Sample, keep: int) -> None:
        if self.static:
            self._samples = [sample]
            return
        if self._samples and sample.time < self.latest - keep:
            return
        index = bisect_left(self._samples, sample.time, key=lambda known: known.time)
        if index < len(self._samples) and self._samples[index].time == sample.time:
            self._samples[index] = sample
        else:
            insort(self._samples, sample, key=lambda known: known.time)
        oldest = self.latest - keep
        while self._samples[0].time < oldest:
            del self._samples[0]

    def at(self, time: int) -> Sample:
        """The transform at ``time`` [ns], between its neighbours if need be."""
        if self.static:
            return self._samples[0]
        index = bisect_left(self._samples, time, key=lambda known: known.time)
        if index < len(self._samples) and self._samples[index].time == time:
            return self._samples[index]
        if index in (0, len(self._samples)):
            raise ExtrapolationException(self._outside(time))
        before, after = self._samples[index - 1], self._samples[index]
        if before.parent != after.parent:
            return before
        share = (time - before.time) / (after.time - before.time)
        (p, start), (q, end) = before.pose, after.pose
        turn = Slerp([0.0, 1.0], Rotation.concatenate([start, end]))
        return Sample(time, before.parent, Pose((1.0 - share) * p + share * q, turn(share)))

    def _outside(self, time: int) -> str:
        first, last = 1e-9 * self._samples[0].time, 1e-9 * self.latest
        if len(self._samples) == 1:
            known = f"the only one known is at {last:.6f}"
        else:
            known = f"those known reach from {first:.6f} to {last:.6f}"
        where = "past" if time < self._samples[0].time else "future"
        return f"lookup would require extrapolation into the {where}: {1e-9 * time:.6f} s, {known}"


class Buffer:
    """Keeps the transforms of the last seconds; not locked, for one thread."""

    def __init__(self, cache_time: Duration | None = None, node: object = None) -> None:  # noqa: ARG002 - tf2's
        """Start empty and keep transforms for ``cache_time``."""
        self._keep = (cache_time or CACHE_TIME).nanoseconds
        self._frames: dict[str, _History] = {}

    def clear(self) -> None:
        """Forget all transforms."""
        self._frames.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Take in a ``geometry_msgs/msg/TransformStamped``.

        Raises:
            InvalidArgumentException: A frame has no name or is its own parent, a number is not
                finite, or the rotation is no unit quaternion.
        """
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Take in a transform that holds at all times; raises as :meth:`set_transform`."""
        self._insert(transform, authority, static=True)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
    ) -> bool:
        """Whether :meth:`lookup_transform` would succeed."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException:
            return False
        return True

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,  # noqa: ARG002 - waiting would block the only thread
    ) -> TransformStamped:
        """The pose of ``source_frame`` in ``target_frame``, as a ``TransformStamped``.

        Args:
            target_frame: Frame to transform into.
            source_frame: Frame to transform from.
            time: When; time zero means the latest time known of all frames between.
            timeout: Not waited for.

        Raises:
            LookupException: A frame is unknown.
            ConnectivityException: The frames belong to different trees.
            ExtrapolationException: ``time`` lies outside what is known.
        """
        source, target = self._roots(source_frame), self._roots(target_frame)
        common = next((frame for frame in source if frame in target), None)
        if common is None:
            raise ConnectivityException(
                f"could not find a connection between {target_frame!r} and {source_frame!r} "
                "because they are not part of the same tree"
            )
        up = source[: source.index(common)]
        down = target[: target.index(common)]
        moving = [f for f in (*up, *down) if not self._frames[f].static]
        when = time.nanoseconds or min((self._frames[f].latest for f in moving), default=0)
        pose = self._to_ancestor(down, when).inverse() @ self._to_ancestor(up, when)
        return _message(target_frame, source_frame, when, pose)

    def _roots(self, frame: str) -> list[str]:
        """The frame, its parent, and so on to the root."""
        parents = {history.parent for history in self._frames.values()}
        if frame not in self._frames and frame not in parents:
            raise LookupException(f"{frame!r} passed to lookup_transform does not exist")
        chain = [frame]
        while (history := self._frames.get(chain[-1])) is not None:
            chain.append(history.parent)
            if len(chain) > LONGEST_CHAIN:
                raise LookupException(f"the tree of {frame!r} contains a loop")
        return chain

    def _to_ancestor(self, frames: list[str], time: int) -> Pose:
        """The pose of the first of ``frames`` in the parent of the last."""
        pose = Pose(np.zeros(3), Rotation.identity())
        for frame in frames:
            pose = self._frames[frame].at(time).pose @ pose
        return pose

    def _insert(self, transform: TransformStamped, authority: str, *, static: bool) -> None:
        parent, child = transform.header.frame_id, transform.child_frame_id
        if not parent or not child or parent == child:
            raise InvalidArgumentException(
                f"{authority}: a transform from {parent!r} to {child!r} is not possible"
            )
        if transform.header.stamp.sec < 0:
            raise InvalidArgumentException(
                f"{authority}: the transform from {parent!r} to {child!r} is stamped before 1970"
            )
        p, q = transform.transform.translation, transform.transform.rotation
        position = np.array([p.x, p.y, p.z])
        quaternion = np.array([q.x, q.y, q.z, q.w])
        squared = q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w  # inf where numpy would also warn
        if not np.isfinite(position).all() or not abs(squared - 1.0) <= QUATERNION_TOLERANCE:
            raise InvalidArgumentException(
                f"{authority}: the transform from {parent!r} to {child!r} is not finite or its "
                "rotation is no unit quaternion"
            )
        history = self._frames.get(child)
        if history is None or history.static is not static:
            history = self._frames[child] = _History(static=static)
        stamp = Time.from_msg(transform.header.stamp).nanoseconds
        sample = Sample(stamp, parent, Pose(position, Rotation.from_quat(quaternion)))
        history.insert(sample, self._keep)


def _message(target: str, source: str, time: int, pose: Pose) -> TransformStamped:
    made = TransformStamped(child_frame_id=source)
    made.header.stamp = Time(nanoseconds=time).to_msg()
    made.header.frame_id = target
    p, q = made.transform.translation, made.transform.rotation
    p.x, p.y, p.z = (float(v) for v in pose.position)
    q.x, q.y, q.z, q.w = (float(v) for v in pose.rotation.as_quat())
    return made
