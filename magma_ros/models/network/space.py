# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The columns of the actions that a network plans; needs no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer, model_validator

from magma_ros.models.schema import Strict
from magma_ros.policy.action_contract import DimensionContract
from magma_ros.spaces import MAGMA, ActionSpace, SpaceError, SpaceKind


class SpaceConfig(Strict):
    """An action space; Magma's by default.

    Attributes:
        kind: What the columns are, as in a bundle's manifest.
        dims: The columns, in order.
    """

    kind: Literal["ee_delta", "ee_pose", "joint_position", "joint_delta"] = "ee_delta"
    dims: Annotated[tuple[DimensionContract, ...], Field(min_length=1)] = tuple(
        DimensionContract(name=name) for name in MAGMA.names
    )

    @field_serializer("dims")
    def _without_what_is_not_said(self, dims: tuple[DimensionContract, ...]) -> list[Any]:
        return [dim.model_dump(exclude_none=True) for dim in dims]

    @model_validator(mode="after")
    def _is_a_space(self) -> SpaceConfig:
        try:
            _ = self.space
        except SpaceError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def space(self) -> ActionSpace:
        """What the columns mean."""
        columns = tuple(dim.dimension(self.kind) for dim in self.dims)
        return ActionSpace(SpaceKind(self.kind), columns)

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which columns are normalised: all but those of grippers from 0 to 1."""
        return tuple(not dim.plain_gripper for dim in self.dims)

    @property
    def floor(self) -> tuple[float, ...]:
        """Least value of each column for the network: -1 where it is normalised, otherwise 0."""
        return tuple(-1.0 if scaled else 0.0 for scaled in self.mask)
