# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ridge regression, and what it tells about what it was not fitted on.

Shapes: N observations, C coefficients.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from magma_ros.types import FloatArray

FOLDS = 5
"""Parts of the observations; what is told about one is learnt from the others."""

NONE = 1e-9
"""Penalty of a coefficient that has none, so that what never varies is solved for, too."""


def ridge(design: FloatArray, targets: FloatArray, penalty: float, *, free: int = 0) -> FloatArray:
    """Least squares with a penalty on all coefficients but the first ``free``.

    Args:
        design: (N, C) what is known.
        targets: (N,) what is to be told.
        penalty: Weight of the squared coefficients against the squared errors; infinite to leave
            them out.
        free: How many have none.

    Returns:
        (C,) the coefficients.
    """
    kept = design if math.isfinite(penalty) else design[:, :free]
    weights = np.full(kept.shape[1], penalty)
    weights[:free] = NONE
    found = np.zeros(design.shape[1])
    found[: kept.shape[1]] = np.linalg.solve(kept.T @ kept + np.diag(weights), kept.T @ targets)
    return found


def told_elsewhere(
    design: FloatArray,
    targets: FloatArray,
    penalty: float,
    part: npt.NDArray[np.int64],
    *,
    free: int = 0,
) -> FloatArray:
    """(N,) what is told about each part, 0 to ``FOLDS`` - 1, by the others.

    Args:
        design: See :func:`ridge`, as the following two.
        targets: See there.
        penalty: See there.
        part: (N,) of each observation.
        free: See :func:`ridge`.
    """
    told = np.zeros(len(targets))
    for held in range(FOLDS):
        inside = part == held
        coefficients = ridge(design[~inside], targets[~inside], penalty, free=free)
        told[inside] = design[inside] @ coefficients
    return told
