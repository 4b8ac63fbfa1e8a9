# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The readings of every exit in recorded episodes, beside the exits acted on.

Shapes: D decisions of an episode, E exits below the deepest, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from magma_ros.gate.confidence import FEATURES, Yardstick, exit_features
from magma_ros.types import ActionChunk, ExitReading

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeReadings:
    """One episode.

    Attributes:
        features: (D, E, F) as in :data:`FEATURES`.
        deviations: (D, E) of each exit from full depth, by the yardstick.
        depths: (D,) exits acted on, E + 1 for the deepest.
        success: Whether the task was done.
        instruction: What the policy was told.
    """

    features: Array
    deviations: Array
    depths: npt.NDArray[np.int64]
    success: bool
    instruction: str = ""

    def feature(self, name: str) -> Array:
        """(D, E) values of one feature."""
        return self.features[:, :, FEATURES.index(name)]

    def violations(self, epsilon: float, depths: npt.NDArray[np.int64] | None = None) -> float:
        """Share of the decisions that deviate from full depth by more than ``epsilon``.

        Args:
            epsilon: Deviation accepted, in shares of the action range.
            depths: (D,) exits to act on, or None for those that were.
        """
        depths = self.depths if depths is None else depths
        if not len(depths):
            return 0.0
        full = np.zeros((len(depths), 1))
        every = np.concatenate([self.deviations, full], axis=1)
        acted = np.take_along_axis(every, depths[:, None] - 1, axis=1)
        return float(np.mean(acted > epsilon))


class Recorder:
    """Gathers the readings of one episode, decision by decision.

    Args:
        yardstick: Measures deviations.
    """

    def __init__(self, yardstick: Yardstick) -> None:
        self._yardstick = yardstick
        self._acted: ActionChunk | None = None
        self._features: list[list[tuple[float, ...]]] = []
        self._deviations: list[list[float]] = []
        self._depths: list[int] = []
        self._told = ""

    def add(self, readings: Sequence[ExitReading], acted: ActionChunk) -> None:
        """Add the readings of every exit, the shallowest first, and the chunk acted on."""
        *early, full = readings
        before = [None, *(reading.chunk for reading in early)]
        self._features.append(
            [
                exit_features(reading, previous, self._acted, self._yardstick)
                for reading, previous in zip(early, before, strict=False)
            ]
        )
        self._deviations.append(
            [self._yardstick.deviation(r.chunk.actions, full.chunk.actions) for r in early]
        )
        self._depths.append(acted.depth)
        self._told = full.instruction
        self._acted = acted

    def episode(self, *, success: bool) -> EpisodeReadings:
        """What was gathered."""
        exits = len(self._deviations[0]) if self._deviations else 0
        count = len(self._depths)
        return EpisodeReadings(
            features=np.array(self._features).reshape(count, exits, len(FEATURES)),
            deviations=np.array(self._deviations).reshape(count, exits),
            depths=np.array(self._depths, np.int64),
            success=success,
            instruction=self._told,
        )
