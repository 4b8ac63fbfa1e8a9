# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The columns of the actions that a network plans; needs no torch."""

from __future__ import annotations

from typing import Any

from pydantic import field_serializer

from magma_ros.policy.action_contract import Columns, DimensionContract


class SpaceConfig(Columns):
    """The part of an action's contract that a recipe states."""

    @field_serializer("dims")
    def _short(self, dims: tuple[DimensionContract, ...]) -> list[Any]:
        # As recipes have always been written: their fingerprints depend on it.
        return [dim.model_dump(exclude_none=True) for dim in dims]

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which columns are normalised: all but those of grippers from 0 to 1."""
        return tuple(not dim.plain_gripper for dim in self.dims)

    @property
    def floor(self) -> tuple[float, ...]:
        """Least value of each column for the network: -1 where it is normalised, otherwise 0."""
        return tuple(-1.0 if scaled else 0.0 for scaled in self.mask)
