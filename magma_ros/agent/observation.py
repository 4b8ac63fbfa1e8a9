# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the newest message of every input and makes observations of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from magma_ros.types import FloatArray, ImageArray, MagmaError, Observation, Pose


class NotReadyError(MagmaError):
    """An observation cannot be made yet; the text says what is missing or too old."""


class Senses:
    """The robot's newest inputs, each with the time it was true.

    All times are on the clock of the messages [s]. Ages come from stamps, never from arrival.
    """

    def __init__(self, cameras: Sequence[str], fields: Sequence[str], max_age: float) -> None:
        """Expect ``cameras`` and proprioception ``fields``, none older than ``max_age`` [s]."""
        self._fields = tuple(fields)
        self._max_age = max_age
        self._images: dict[str, tuple[float, ImageArray] | None] = dict.fromkeys(cameras)
        self._state: dict[str, float] = {}
        self._state_stamp = -math.inf
        self.pose: Pose | None = None
        self.instruction = ""

    def see(self, camera: str, stamp: float, pixels: ImageArray) -> None:
        """Take in an image, (H, W, 3) uint8 RGB."""
        self._images[camera] = (stamp, pixels)

    def feel_pose(self, pose: Pose) -> None:
        """Take in the pose of the end effector."""
        x, y, z, w = (float(v) for v in pose.quaternion)
        yaw = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        self.pose = pose
        self._state_stamp = pose.stamp
        self._state |= dict(zip(("ee_x", "ee_y", "ee_z"), map(float, pose.position), strict=True))
        self._state |= {"ee_sin_yaw": math.sin(yaw), "ee_cos_yaw": math.cos(yaw)}

    def feel_gripper(self, opening: float) -> None:
        """Take in the gripper's opening, 0..1."""
        self._state["gripper_opening"] = opening

    def forget(self) -> None:
        """Drop everything but the instruction, after the clock has jumped."""
        self._images = dict.fromkeys(self._images)
        self._state_stamp = -math.inf

    def newest_common_stamp(self) -> float:
        """The time up to which every camera has been seen [s]; ``-inf`` before the first."""
        return min(seen[0] if seen else -math.inf for seen in self._images.values())

    def observe(self, now: float) -> Observation:
        """The observation at ``now`` [s].

        Raises:
            NotReadyError: Something is missing, stale, or stamped in the future.
        """
        if not self.instruction:
            raise NotReadyError("waiting for an instruction on the topic 'instruction'")
        images = {}
        for camera, seen in self._images.items():
            if seen is None:
                raise NotReadyError(f"waiting for the first image of camera {camera!r}")
            self._require_fresh(f"the image of camera {camera!r}", seen[0], now)
            images[camera] = seen[1]
        if missing := [name for name in self._fields if name not in self._state]:
            raise NotReadyError(
                f"waiting for {', '.join(missing)}; is ee_pose published, and is the gripper "
                "joint named as in joint_states?"
            )
        self._require_fresh("ee_pose", self._state_stamp, now)
        return Observation(
            stamp=self.newest_common_stamp(),
            images=images,
            proprioception=self._proprioception(),
            fields=self._fields,
            instruction=self.instruction,
        )

    def _proprioception(self) -> FloatArray:
        return np.array([self._state[name] for name in self._fields], np.float32)

    def _require_fresh(self, what: str, stamp: float, now: float) -> None:
        age = now - stamp
        if age > self._max_age:
            raise NotReadyError(f"{what} is {age:.2f} s old; at most {self._max_age:g} s is usable")
        if -age > self._max_age:
            raise NotReadyError(f"{what} is stamped {-age:.2f} s in the future; align the clocks")
