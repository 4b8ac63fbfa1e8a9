# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares the measured motion with the twists that were sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from magma_ros.guard.error import require_positive
from magma_ros.guard.track import Track
from magma_ros.types import Pose


@dataclass(frozen=True, slots=True)
class MismatchConfig:
    """How far the measured motion may differ from the one sent.

    Attributes:
        tolerance: Greatest difference of the distance moved within the window [m].
        window: Time over which both are compared [s].

    Raises:
        GuardConfigError: A setting is not a positive, finite number.
    """

    tolerance: float = 0.08
    window: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "tolerance", "window")


class MotionWatch:
    """Compares the poses of the last window with the twists that were sent.

    Args:
        config: Settings.
        track: What was sent.
    """

    def __init__(self, config: MismatchConfig, track: Track) -> None:
        self._config, self._track = config, track
        self._poses: deque[Pose] = deque()
        self._wrong = ""

    def start(self) -> None:
        """Begin to compare."""
        self._poses.clear()
        self._wrong = ""

    def see(self, pose: Pose) -> None:
        """Take in a measured pose, newer than the last."""
        poses, window = self._poses, self._config.window
        poses.append(pose)
        while len(poses) > 2 and poses[1].stamp <= pose.stamp - window:
            poses.popleft()
        elapsed = pose.stamp - poses[0].stamp
        if elapsed < window:
            return
        moved, off = self._track.mismatch(poses[0], pose)
        if off > self._config.tolerance:
            self._wrong = (
                f"in {elapsed:.1f} s it moved {moved:.3f} m, {off:.3f} m off what it was sent"
            )

    @property
    def trouble(self) -> str:
        """How the motion differs from the commands, as a sentence, or empty."""
        return self._wrong
