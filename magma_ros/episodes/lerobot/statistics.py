# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures that LeRobot keeps of every feature, an episode at a time and for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from magma_ros.types import FloatArray, ImageArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

MOST_PICTURES = 100
"""Most pictures of an episode that are counted."""


def of_values(values: npt.NDArray[np.generic]) -> dict[str, Any]:
    """Statistics of each column of (N, D) numbers; nan counts as absent, and 0 stands for none."""
    table = np.asarray(values, float).reshape(len(values), -1)
    counted = [column[np.isfinite(column)] for column in table.T]
    columns = [column if column.size else np.zeros(1) for column in counted]
    found: dict[str, Any] = {
        "min": [float(c.min()) for c in columns],
        "max": [float(c.max()) for c in columns],
        "mean": [float(c.mean()) for c in columns],
        "std": [float(c.std()) for c in columns],
        "count": [len(table)],
    }
    return found | {
        name: [float(np.quantile(c, share)) for c in columns] for name, share in QUANTILES.items()
    }


class Histogram:
    """Counts the values of pictures, a channel at a time; exact, and small whatever their number.

    Attributes:
        counts: (3, 256) how often each value occurred.
        pictures: Number of pictures counted.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((3, 256), np.int64)
        self.pictures = 0

    def add(self, picture: ImageArray) -> None:
        """Count the pixels of one picture, (H, W, 3)."""
        for channel in range(3):
            self.counts[channel] += np.bincount(picture[..., channel].ravel(), minlength=256)
        self.pictures += 1

    def merge(self, other: Histogram) -> None:
        """Count what another has counted, too."""
        self.counts += other.counts
        self.pictures += other.pictures

    def statistics(self) -> dict[str, Any]:
        """Statistics in LeRobot's shape (3, 1, 1), values from 0 to 1."""
        values = np.arange(256) / 255.0
        total = np.maximum(self.counts.sum(axis=1), 1)
        shares = self.counts / total[:, None]
        below = np.cumsum(shares, axis=1)
        mean = shares @ values
        spread = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0.0))
        found = {
            "min": values[np.argmax(self.counts > 0, axis=1)],
            "max": values[255 - np.argmax(self.counts[:, ::-1] > 0, axis=1)],
            "mean": mean,
            "std": spread,
        }
        for name, share in QUANTILES.items():
            found[name] = values[np.argmax(below >= share - 1e-12, axis=1)]
        return {name: _shaped(column) for name, column in found.items()} | {
            "count": [self.pictures]
        }


def _shaped(column: FloatArray) -> list[list[list[float]]]:
    return [[[float(value)]] for value in column]
