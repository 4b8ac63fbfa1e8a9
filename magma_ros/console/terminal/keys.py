# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each key of the terminal console does; the jog keys are those of the page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from magma_ros.console.robot import Jog, JogFrame, Verb

JOG_KEYS: Mapping[str, tuple[int, int]] = {
    "w": (0, 1),
    "s": (0, -1),
    "a": (1, 1),
    "d": (1, -1),
    "r": (2, 1),
    "f": (2, -1),
    "z": (3, 1),
    "x": (3, -1),
    "t": (4, 1),
    "g": (4, -1),
    "q": (5, 1),
    "e": (5, -1),
}
"""Component of the twist and its sign."""

GRIPPER_KEYS: Mapping[str, float] = {"o": 1.0, "c": 0.0}
"""Opening to move to."""

VERB_KEYS: Mapping[str, Verb] = {
    "T": Verb.TAKE_OVER,
    "B": Verb.HAND_BACK,
    "H": Verb.HOLD,
    "R": Verb.RESET,
    "space": Verb.STOP,
}

LEVELS: Mapping[str, float] = {"1": 0.2, "2": 0.5, "3": 1.0}
"""Shares of the greatest speed; the page's."""

HELP = (
    "space STOP   T take over   B hand back   H hold   R reset   i instruction\n"
    "w s a d r f move   z x t g q e turn   o c gripper   m frame   1-3 speed\n"
    "P record on/off   + good   - bad   n note   tab diagnostics   ctrl+q quit"
)


def jog_of(
    key: str, frame: JogFrame, linear_speed: float, angular_speed: float, level: float
) -> Jog | None:
    """What one press of a key moves, or None if it is no such key.

    Args:
        key: The key.
        frame: Frame to move in.
        linear_speed: Greatest speed [m/s].
        angular_speed: Greatest angular speed [rad/s].
        level: Share of them.
    """
    twist = np.zeros(6)
    if key in GRIPPER_KEYS:
        return Jog(frame, twist, GRIPPER_KEYS[key])
    if key not in JOG_KEYS:
        return None
    component, sign = JOG_KEYS[key]
    twist[component] = sign * level * (linear_speed if component < 3 else angular_speed)
    return Jog(frame, twist)
