# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures durations in turns, so that disturbances of the machine affect all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

RUNS = 200
"""Timed runs of each contender."""

BLOCK = 20
"""Timed runs of one contender before it is the next one's turn."""

WARM_UP = 5
"""Runs at the beginning of a block that are not counted."""

PAUSE = 0.02
"""Pause before a block [s], in which the threads of the contender before go to sleep."""


class Quartiles(NamedTuple):
    """How long the middle half of the runs took.

    Attributes:
        low: 25th percentile [s].
        median: 50th percentile [s].
        high: 75th percentile [s].
    """

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        low, median, high = (f"{1e3 * seconds:.2f}" for seconds in self)
        return f"{median} ({low} to {high})"


def race(contenders: Mapping[str, Callable[[], object]], runs: int = RUNS) -> dict[str, Quartiles]:
    """Time all contenders, which take turns in short blocks.

    Args:
        contenders: What to run, by name.
        runs: Timed runs of each, at least two.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for first in range(0, runs, BLOCK):
        for name, act in contenders.items():
            time.sleep(PAUSE)
            for _ in range(WARM_UP):
                act()
            times[name] += [_duration(act) for _ in range(min(BLOCK, runs - first))]
    return {
        name: Quartiles(*statistics.quantiles(found, n=4, method="inclusive"))
        for name, found in times.items()
    }


def _duration(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
