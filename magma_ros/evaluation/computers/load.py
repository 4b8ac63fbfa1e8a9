# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What else a computer is busy with: a factor on the duration of stages, drawn by seed.

The times are short, because an episode lasts 5 to 12 seconds and must contain what a robot meets
in minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from magma_ros.types import FloatArray

HORIZON = 30.0
"""Time for which a load is drawn [s]; longer than any episode."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """A factor over time: linear between its points, constant beyond them.

    Attributes:
        times: Points in time since the episode began [s], not decreasing.
        factors: Factor at each of them.
    """

    times: FloatArray
    factors: FloatArray

    def at(self, when: float) -> float:
        """The factor at a time [s]."""
        return float(np.interp(when, self.times, self.factors))


def steady(rng: np.random.Generator) -> Timeline:
    """Nothing else runs."""
    del rng
    return Timeline(np.zeros(1), np.ones(1))


def bursts(rng: np.random.Generator) -> Timeline:
    """Every second or so, 2 to 4 times slower for 0.1 to 0.4 s: bursts of other work."""
    times, factors = [0.0], [1.0]
    while times[-1] < HORIZON:
        begin = times[-1] + rng.exponential(1.0)
        end = begin + rng.uniform(0.1, 0.4)
        factor = rng.uniform(2.0, 4.0)
        times += [begin, begin, end, end]
        factors += [1.0, factor, factor, 1.0]
    return Timeline(np.array(times), np.array(factors))


def thermal(rng: np.random.Generator) -> Timeline:
    """From some moment of the first 4 s on, 1.5 to 2.5 times slower within 3 s: throttling."""
    begin = rng.uniform(0.0, 4.0)
    return Timeline(np.array([begin, begin + 3.0]), np.array([1.0, rng.uniform(1.5, 2.5)]))


def co_running(rng: np.random.Generator) -> Timeline:
    """From some moment of the first 3 s on, half as fast for 2 to 5 s: a job on the same cores."""
    begin = rng.uniform(0.0, 3.0)
    end = begin + rng.uniform(2.0, 5.0)
    return Timeline(np.array([begin, begin, end, end]), np.array([1.0, 2.0, 2.0, 1.0]))


LOADS: dict[str, Callable[[np.random.Generator], Timeline]] = {
    "steady": steady,
    "bursts": bursts,
    "thermal": thermal,
    "co-running": co_running,
}
"""Every load by its name."""
