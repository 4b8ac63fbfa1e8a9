# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values over time: numbers to interpolate, and what holds until the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from magma_ros.episodes import resample
from magma_ros.types import FloatArray

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Numbers over time: (N,) increasing times [s], and as many values."""

    times: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, samples: Sequence[tuple[float, Any]], width: int) -> Series:
        """Samples in order; of those with one stamp, the last.

        Args:
            samples: Times [s] and values.
            width: Numbers in a value; 1 for plain ones.
        """
        latest = dict(samples)
        times = np.array(sorted(latest), float)
        values = np.array([latest[t] for t in times], float).reshape(len(times), width)
        return cls(times, values[:, 0] if width == 1 else values)


@dataclass(frozen=True, slots=True)
class Steps(Generic[Value]):
    """Values that hold until the next: times [s] that do not decrease, and what began then."""

    samples: Sequence[tuple[float, Value]]
    before: Value

    def at(self, ticks: FloatArray) -> list[Value]:
        """The newest value not later than each tick, ``before`` where there was none."""
        numbers = resample.newest(np.array([time for time, _ in self.samples]), ticks)
        return [self.samples[n][1] if n >= 0 else self.before for n in numbers]
