# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator holds right now, and in which frame; what is not said again is let go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.console.robot import JOG_LIFETIME, PRESENCE, Jog
from magma_ros.types import FloatArray

BODY_FROM_OPTICAL = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Axes of an optical frame (x right, y down, z into the picture) in the body frame that looks the
same way (x forward, y left, z up), by REP 103."""


@dataclass(slots=True)
class Held:
    """The newest jog of an operator, on a steady clock [s]."""

    _jog: Jog | None = None
    _told: float = -math.inf

    def hold(self, jog: Jog, now: float) -> None:
        """Hold the dead-man and move so."""
        self._jog, self._told = jog, now

    def release(self, now: float) -> None:
        """Let go, and be there."""
        self._jog, self._told = None, now

    def leave(self) -> None:
        """Let go, and be gone."""
        self._jog, self._told = None, -math.inf

    def at(self, now: float) -> Jog | None:
        """What is held at ``now``, or None once it has expired."""
        if self._jog is None or now - self._told > min(self._jog.lifetime, JOG_LIFETIME):
            return None
        return self._jog

    def present(self, now: float) -> bool:
        """Whether an operator is there."""
        return now - self._told <= PRESENCE


def turned(twist: FloatArray, rotation: Rotation) -> FloatArray:
    """A twist (6,) in the frame whose axes ``rotation`` gives in the frame of the result."""
    return np.concatenate([rotation.apply(twist[:3]), rotation.apply(twist[3:])])
