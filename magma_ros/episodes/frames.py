# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where one frame is in another, from the transforms that were recorded between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.episodes import resample
from magma_ros.episodes.bag import EpisodeError
from magma_ros.types import FloatArray


class Link(NamedTuple):
    """When a frame was where in its parent: times (N,) [s], and (N, 7) position and quaternion."""

    parent: str
    times: FloatArray
    poses: FloatArray

    def at(self, ticks: FloatArray) -> tuple[FloatArray, Rotation]:
        """Position and rotation at some times, interpolated, the nearest one beyond the ends."""
        position = resample.interpolate(self.times, self.poses[:, :3], ticks)
        turned = resample.interpolate_rotations(self.times, self.poses[:, 3:], ticks)
        return position, Rotation.from_quat(turned)


@dataclass(slots=True)
class Frames:
    """Transforms, as they come on ``/tf`` and ``/tf_static``."""

    _parents: dict[str, str] = field(default_factory=dict)
    _samples: dict[str, dict[float, FloatArray]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, transform: Any) -> None:
        """Take one ``geometry_msgs/TransformStamped``.

        Raises:
            ValueError: It is no transform.
        """
        child = str(transform.child_frame_id).lstrip("/")
        moved, turned = transform.transform.translation, transform.transform.rotation
        pose = np.array([moved.x, moved.y, moved.z, turned.x, turned.y, turned.z, turned.w])
        if not np.isfinite(pose).all() or np.linalg.norm(pose[3:]) < 0.5:
            raise ValueError
        stamp = transform.header.stamp
        self._parents[child] = str(transform.header.frame_id).lstrip("/")
        self._samples[child][float(stamp.sec) + float(stamp.nanosec) * 1e-9] = pose

    def between(self, base: str, end: str) -> list[tuple[float, FloatArray]]:
        """The poses of ``end`` in ``base``, at the times of the link that was told most often.

        Returns:
            Time [s], and position and quaternion (7,).

        Raises:
            EpisodeError: No chain of transforms leads from one to the other.
        """
        links = self._chain(base, end)
        ticks = max((link.times for link in links), key=len)
        position, turned = np.zeros((len(ticks), 3)), Rotation.identity(len(ticks))
        for link in links:
            step, turn = link.at(ticks)
            position, turned = position + turned.apply(step), turned * turn
        poses = np.concatenate([position, turned.as_quat()], axis=1)
        return list(zip(ticks.tolist(), poses, strict=True))

    def _chain(self, base: str, end: str) -> list[Link]:
        """The links from ``base`` to ``end``."""
        links: list[Link] = []
        frame, seen = end, set()
        while frame != base:
            if frame in seen or frame not in self._parents:
                raise EpisodeError(f"no transforms from {base!r} to {end!r} were recorded")
            seen.add(frame)
            samples = self._samples[frame]
            times = np.array(sorted(samples))
            poses = np.array([samples[time] for time in times])
            links.insert(0, Link(self._parents[frame], times, poses))
            frame = self._parents[frame]
        if not links:
            raise EpisodeError(f"{base!r} is no frame of the end effector")
        return links
