# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs to think up to each exit of a policy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from magma_ros.policy.manifest import Manifest


def exit_costs(manifest: Manifest) -> tuple[float, ...]:
    """Operations up to each exit, the shallowest first, as a share of full depth."""
    return _up_to_exits(manifest, [stage.flops for stage in manifest.stages])


def exit_prices(manifest: Manifest) -> tuple[float, ...]:
    """What going on from each exit to the next costs, relative to the mean over all exits.

    Cost is the mean of two shares of full depth, operations and bytes of weights, because either
    may be what a computer is slow at.
    """
    weights = _up_to_exits(manifest, [stage.weight_bytes for stage in manifest.stages])
    steps = np.diff(exit_costs(manifest)) + np.diff(weights)
    return tuple(map(float, steps / steps.mean())) if len(steps) else ()


def _up_to_exits(manifest: Manifest, costs: Sequence[int]) -> tuple[float, ...]:
    """What all stages up to each exit cost together, as a share of full depth."""
    spent = list(accumulate(costs))
    return tuple(
        cost / spent[-1]
        for cost, stage in zip(spent, manifest.stages, strict=True)
        if stage.depth is not None
    )
