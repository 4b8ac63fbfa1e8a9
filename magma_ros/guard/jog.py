# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How joints must move for the tool to follow a twist."""

from __future__ import annotations

import numpy as np

from magma_ros.types import FloatArray

_SINGULAR = 0.02
"""Singular value of the weighted Jacobian below which damping begins [m]."""

_DAMPING = 0.05
"""Greatest damping, at a singular pose [m]."""


def joint_speeds(
    jacobian: FloatArray, twist: FloatArray, length: float
) -> tuple[FloatArray, float]:
    """Speeds of the joints for a twist of the tool, by damped least squares.

    The damping grows with the nearness of a singular pose, so speeds stay finite there: Nakamura
    and Hanafusa, "Inverse kinematic solutions with singularity robustness for robot manipulator
    control", 1986.

    Args:
        jacobian: (6, N), from joint speeds to the tool's twist.
        twist: (6,) wanted [m/s, rad/s].
        length: How many metres count as much as one radian [m].

    Returns:
        Speeds (N,) [rad/s or m/s], and the share of the twist that they fail to give, 0..1: an
        arm with fewer than six joints, or near a singular pose, cannot move every way.
    """
    weights = np.repeat([1.0, length], 3)
    weighted, wanted = weights[:, None] * jacobian, weights * twist
    left, values, right = np.linalg.svd(weighted, full_matrices=False)
    nearness = np.clip(1.0 - values / _SINGULAR, 0.0, 1.0)
    damping = _DAMPING * nearness
    gains = np.divide(
        values, values**2 + damping**2, out=np.zeros(len(values)), where=values > 1e-9
    )
    speeds: FloatArray = right.T @ (gains * (left.T @ wanted))
    size = float(np.linalg.norm(wanted))
    missed = float(np.linalg.norm(weighted @ speeds - wanted)) / size if size > 0.0 else 0.0
    return speeds, min(missed, 1.0)
