# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was observed before, for policies that take several frames at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Inputs = Mapping[str, npt.NDArray[np.generic]]


class Recent:
    """Keeps the last observations as graph inputs, and puts those of the frames together.

    A frame is the observation nearest to its moment. Where there was none within a period of it,
    as at the beginning, the next later one stands for it. A stamp that lies before the last one
    begins anew.

    Args:
        frames: Number of frames T, the newest one included.
        period: Time from one to the next [s].
    """

    def __init__(self, frames: int, period: float) -> None:
        self._frames, self._period = frames, period
        self._kept: deque[tuple[float, Inputs]] = deque()

    def __call__(self, stamp: float, inputs: Inputs) -> dict[str, npt.NDArray[np.generic]]:
        """Take in an observation made at ``stamp`` [s], each input without its batch axis.

        Returns:
            The inputs with an axis of T frames in front, the oldest first.
        """
        if self._kept and stamp < self._kept[-1][0]:
            self._kept.clear()
        self._kept.append((stamp, inputs))
        oldest = stamp - self._frames * self._period
        while self._kept[0][0] < oldest:
            self._kept.popleft()
        ages = self._period * np.arange(self._frames - 1, -1, -1)
        chosen = [self._at(stamp - age) for age in ages]
        return {name: np.stack([each[name] for each in chosen]) for name in inputs}

    def _at(self, when: float) -> Inputs:
        stamp, inputs = min(self._kept, key=lambda kept: abs(kept[0] - when))
        if abs(stamp - when) < self._period:
            return inputs
        return next(later for stamp, later in self._kept if stamp >= when)
