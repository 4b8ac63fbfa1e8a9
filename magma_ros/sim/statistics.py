# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The statistics that evaluations report."""

from __future__ import annotations

import numpy as np

from magma_ros.types import FloatArray


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a success rate (E. B. Wilson, JASA 22, 1927).

    Unlike the textbook interval it stays sensible at 0 % and 100 % and with few trials.
    """
    # Importing scipy.stats takes a second, which the workers that play episodes need not pay.
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def rms_jerk(path: FloatArray, period: float) -> float:
    """Root mean square norm of the third derivative of a path, by differences [m/s^3].

    Args:
        path: (N, 3) positions [m].
        period: Time between two of them [s].

    Returns:
        The jerk; 0 for fewer than four positions.
    """
    if len(path) < 4:
        return 0.0
    jerk = np.diff(path, n=3, axis=0) / period**3
    return float(np.sqrt(np.mean(np.sum(jerk**2, axis=1))))


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or None where there is nothing to divide by."""
    return part / whole if whole else None
