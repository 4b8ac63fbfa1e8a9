# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between actions in SI units and the range that networks speak in; needs no torch.

Columns are normalised with the 1st and 99th percentile of the data (BOUNDS_Q99 of OpenVLA,
arXiv 2406.09246, which Magma shares); a gripper from 0 to 1 passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magma_ros.models.network.space import SpaceConfig
from magma_ros.types import FloatArray

NORMALISED = SpaceConfig().mask
"""Which of Magma's columns are normalised; the gripper is not."""


def normalise(
    actions: FloatArray, q01: FloatArray, q99: FloatArray, mask: Sequence[bool] = NORMALISED
) -> FloatArray:
    """Actions in SI units, (..., D), to [-1, 1]; a column that never varies becomes 0."""
    span = np.where(q99 > q01, q99 - q01, 1.0)
    scaled = np.where(q99 > q01, 2.0 * (actions - q01) / span - 1.0, 0.0)
    return np.where(mask, np.clip(scaled, -1.0, 1.0), actions)


def denormalise(
    values: FloatArray, q01: FloatArray, q99: FloatArray, mask: Sequence[bool] = NORMALISED
) -> FloatArray:
    """The inverse of :func:`normalise`: x = 0.5 (v + 1) (q99 - q01) + q01 where ``mask`` is."""
    return np.where(mask, 0.5 * (values + 1.0) * (q99 - q01) + q01, values)
