# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a person who watches a policy takes over from it, and what that person then holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from magma_ros.types import FloatArray


class Move(Enum):
    """What the person does next."""

    WATCH = "watch"
    DRIVE = "drive"
    END = "end"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a person gives the policy, and then itself.

    Attributes:
        policy: Time of driving after which the person takes over, if the task is not done [s].
        person: Time of driving after which the person gives up [s].
    """

    policy: float
    person: float

    def move(self, task: str, watched: float, driven: float) -> Move:
        """What to do now.

        Args:
            task: State of the task: RUNNING, SUCCEEDED or TIMED_OUT.
            watched: How long the policy has driven [s].
            driven: How long the person has driven [s].
        """
        if task != "RUNNING" or driven >= self.person:
            return Move.END
        return Move.WATCH if watched < self.policy else Move.DRIVE


def shares(twist: FloatArray, linear_speed: float, angular_speed: float) -> list[float]:
    """A twist as it is held at a console: shares of the top speeds, each part's length at most 1.

    What is faster than the console allows is slowed and keeps its direction.

    Args:
        twist: (6,) linear [m/s], then angular [rad/s].
        linear_speed: The console's top speed [m/s].
        angular_speed: The console's top speed [rad/s].
    """
    held: list[float] = []
    for part, top in ((twist[:3], linear_speed), (twist[3:], angular_speed)):
        share = part / top
        held += (share / max(1.0, float(np.linalg.norm(share)))).tolist()
    return held
