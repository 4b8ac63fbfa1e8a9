# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between actions in SI units and the range that networks speak in; needs no torch.

Arm columns are normalised with the 1st and 99th percentile of the data (BOUNDS_Q99 of OpenVLA,
arXiv 2406.09246, which Magma shares); the gripper, 0 to 1, passes through unchanged.
"""

from __future__ import annotations

import numpy as np

from magma_ros.types import ACTION_DIMS, GRIPPER, FloatArray

NORMALISED = tuple(dim != GRIPPER for dim in range(len(ACTION_DIMS)))
"""Which columns are normalised; the gripper is not."""


def normalise(actions: FloatArray, q01: FloatArray, q99: FloatArray) -> FloatArray:
    """Actions in SI units, (..., 7), to [-1, 1]; a column that never varies becomes 0."""
    mask = np.array(NORMALISED)
    span = np.where(q99 > q01, q99 - q01, 1.0)
    scaled = np.where(q99 > q01, 2.0 * (actions - q01) / span - 1.0, 0.0)
    return np.where(mask, np.clip(scaled, -1.0, 1.0), actions)


def denormalise(values: FloatArray, q01: FloatArray, q99: FloatArray) -> FloatArray:
    """The inverse of :func:`normalise`: x = 0.5 (v + 1) (q99 - q01) + q01 for the arm's columns."""
    return np.where(np.array(NORMALISED), 0.5 * (values + 1.0) * (q99 - q01) + q01, values)
