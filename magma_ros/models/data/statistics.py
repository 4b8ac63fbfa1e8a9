# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What raw numbers of demonstrations are normalised by; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from magma_ros.models.data.shards import find_shards, read_columns
from magma_ros.models.network.normalisation import NORMALISED
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.spaces import ACTION_DIMS
from magma_ros.types import FloatArray

SMALLEST_SPAN = 2e-3
"""Least distance of q01 and q99 [m, rad]; columns that hardly vary (roll, pitch) are given it."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What raw numbers are normalised by.

    Attributes:
        q01: (D,) 1st percentile of the actions [m, rad].
        q99: (D,) 99th percentile.
        mean: (P,) of the proprioception.
        std: (P,) of the proprioception.
        action_mask: (D,) which columns of an action are normalised; Magma's by default.
    """

    q01: tuple[float, ...]
    q99: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    action_mask: tuple[bool, ...] = NORMALISED

    @classmethod
    def of(
        cls,
        actions: FloatArray,
        proprioception: FloatArray,
        mask: tuple[bool, ...] = NORMALISED,
    ) -> Self:
        """Measure them; of a column that is not normalised, q01 and q99 are 0 and 1."""
        q01, q99 = np.quantile(actions, [0.01, 0.99], axis=0)
        middle, half = (q01 + q99) / 2, np.maximum((q99 - q01) / 2, SMALLEST_SPAN / 2)
        q01 = np.where(mask, middle - half, 0.0)
        q99 = np.where(mask, middle + half, 1.0)
        rows = (q01, q99, proprioception.mean(axis=0), proprioception.std(axis=0))
        low, high, mean, std = (tuple(round(float(x), 6) for x in row) for row in rows)
        return cls(low, high, mean, std, mask)

    @classmethod
    def of_folders(cls, *folders: Path, skip_damaged: bool = False) -> Self:
        """Measure them on the shards of these folders, without reading the images.

        Raises:
            DataError: A folder holds no shard, or a damaged one.
        """
        tables = [
            read_columns(path, ["action", "proprioception"])
            for folder in folders
            for path in find_shards(folder, skip_damaged=skip_damaged)
        ]
        whole = pa.concat_tables(tables)
        return cls.of(matrix(whole, "action"), matrix(whole, "proprioception"))

    @property
    def still(self) -> tuple[int, ...]:
        """Columns of the actions that hardly vary."""
        return tuple(
            column
            for column, (low, high) in enumerate(zip(self.q01, self.q99, strict=True))
            if high - low <= 1.001 * SMALLEST_SPAN
        )

    def difference(self, known: Self, tolerance: float = 0.0) -> str:
        """Describe where these differ most from ``known`` ones.

        Args:
            known: What is compared with.
            tolerance: Largest difference that is passed over, as a share of the known range: from
                q01 to q99, or two standard deviations either way.

        Returns:
            A clause such as ``q99 of dx is 0.03 instead of 0.02 (25 % of its range)``; empty if
            there is no difference.
        """
        ranges = {
            "q01": np.subtract(known.q99, known.q01),
            "q99": np.subtract(known.q99, known.q01),
            "mean": 4.0 * np.array(known.std),
            "std": 4.0 * np.array(known.std),
        }
        found = [
            (abs(mine - other) / max(span, SMALLEST_SPAN), f"{name} of {column}", mine, other)
            for name, spans in ranges.items()
            for column, mine, other, span in zip(
                _action_columns(self.q01) if name.startswith("q") else _columns(self.mean),
                getattr(self, name),
                getattr(known, name),
                spans,
                strict=True,
            )
        ]
        share, what, mine, other = max(found)
        if share <= tolerance:
            return ""
        return f"{what} is {mine:g} instead of {other:g} ({100.0 * share:.3g} % of its range)"


def _action_columns(values: tuple[float, ...]) -> tuple[str, ...]:
    """What to call columns of actions: Magma's by name, those of other spaces by number."""
    if len(values) == len(ACTION_DIMS):
        return ACTION_DIMS
    return tuple(f"action {index}" for index in range(len(values)))


def _columns(measured: tuple[float, ...]) -> tuple[str, ...]:
    """What to call measured values: the simulator's by name, those of other robots by number."""
    if len(measured) == len(PROPRIOCEPTION):
        return PROPRIOCEPTION
    return tuple(f"measured value {index}" for index in range(len(measured)))


def matrix(table: pa.Table, column: str) -> FloatArray:
    """A column of lists of one length, as (N, length) float32."""
    lists = table.column(column).combine_chunks()
    values: FloatArray = lists.values.to_numpy().astype(np.float32)
    return values.reshape(len(table), -1)
