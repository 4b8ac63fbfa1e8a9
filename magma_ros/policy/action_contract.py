# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy's actions mean: the ``action`` part of a bundle's manifest.

A manifest that names neither a kind nor dimensions has Magma's seven columns. Of a dimension whose
name tells everything (``dx``, ``gripper``) the manifest holds the name alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_serializer, model_validator

from magma_ros.policy.contract import Contract, Name, Text
from magma_ros.spaces import (
    DELTA_UNITS,
    GRIPPER_NAME,
    MAGMA,
    POSE_UNITS,
    ActionSpace,
    Dimension,
    GripperRange,
    SpaceError,
    SpaceKind,
)
from magma_ros.types import FloatArray

UNITS: Mapping[str, Mapping[str, str]] = {
    SpaceKind.EE_DELTA.value: DELTA_UNITS,
    SpaceKind.EE_POSE.value: POSE_UNITS,
}
"""Of the columns whose unit follows from their name, by the kind of the space."""


class DimensionContract(Contract):
    """One column of an action.

    Attributes:
        name: Of the column; that of the joint or gripper where it is one.
        unit: ``m``, ``rad`` or ``1``; needed for joints alone.
        low: Least value, or None for no limit.
        high: Greatest value, or None.
        open: Value of a gripper's column that means open.
        closed: Value that means closed; a column that has both is a gripper's.
    """

    name: Name
    unit: Literal["m", "rad", "1"] | None = None
    low: float | None = None
    high: float | None = None
    open: float | None = None
    closed: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_name_may_stand_alone(cls, content: Any) -> Any:
        return {"name": content} if isinstance(content, str) else content

    @model_validator(mode="after")
    def _grippers_have_two_ends(self) -> Self:
        if (self.open is None) != (self.closed is None):
            raise ValueError(f"{self.name} must state both its open and its closed value, or none")
        return self

    @property
    def plain_gripper(self) -> bool:
        """Whether this is a gripper of which nothing but the name is said: 1 open, 0 closed."""
        return self.name == GRIPPER_NAME and self.unit is None and self.open is None

    def dimension(self, kind: str) -> Dimension:
        """The column for the core, in a space of that kind."""
        ends, unit = None, self.unit or UNITS.get(kind, {}).get(self.name, "")
        if self.plain_gripper:
            ends, unit = GripperRange(), "1"
        elif self.open is not None and self.closed is not None:
            ends, unit = GripperRange(self.open, self.closed), self.unit or "1"
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return Dimension(self.name, unit, low, high, ends)


class Columns(Contract):
    """The columns of an action; Magma's by default.

    Attributes:
        kind: What the columns are: displacements or poses of the end effector, or joints.
        dims: The columns, in order.
    """

    kind: Literal["ee_delta", "ee_pose", "joint_position", "joint_delta"] = "ee_delta"
    dims: Annotated[tuple[DimensionContract, ...], Field(min_length=1)] = tuple(
        DimensionContract(name=name) for name in MAGMA.names
    )

    @field_serializer("dims")
    def _short(self, dims: tuple[DimensionContract, ...]) -> list[Any]:
        contents = (dim.model_dump(exclude_none=True) for dim in dims)
        return [content["name"] if len(content) == 1 else content for content in contents]

    @model_validator(mode="after")
    def _columns_make_a_space(self) -> Self:
        try:
            _ = self.space
        except SpaceError as error:
            raise ValueError(str(error)) from None
        return self

    @cached_property
    def space(self) -> ActionSpace:
        """What the columns mean."""
        return ActionSpace(SpaceKind(self.kind), self._dimensions())

    def _dimensions(self) -> tuple[Dimension, ...]:
        return tuple(dim.dimension(self.kind) for dim in self.dims)


class ActionContract(Columns):
    """Space, timing and normalisation of the actions.

    Attributes:
        chunk_length: Steps K in a chunk.
        step_period: Duration of one step [s].
        frame: Frame of the displacements or poses: ``base``, or a robot's own name of its base
            frame; of no meaning for joints.
        tool_frame: The robot's name of the frame that they move, or None for whichever it has.
        bins: Bins a dimension on the normalised range [-1, 1], or None where the network gives
            plain numbers.
        q01: Value that the network's -1 stands for, of each dimension: the 1st percentile in the
            training data. Empty where the network gives actions in the dimensions' own units.
        q99: Value that its 1 stands for, the 99th percentile.
        mask: False where a dimension passes through without un-normalisation (a gripper).
        statistics: Which data the percentiles are of, if the policy learned from several.
    """

    chunk_length: PositiveInt
    step_period: PositiveFloat
    frame: Text = MAGMA.frame
    tool_frame: Text | None = None
    bins: Annotated[int, Field(ge=2)] | None = 255
    q01: tuple[float, ...] = ()
    q99: tuple[float, ...] = ()
    mask: tuple[bool, ...] = ()
    statistics: Text | None = None

    @model_validator(mode="after")
    def _every_column_has_its_entry(self) -> Self:
        width = len(self.space)
        for name in ("q01", "q99", "mask"):
            found = len(getattr(self, name))
            if found != width and (found or self.normalised):
                raise ValueError(f"{name} needs {width} entries, one a dimension; it has {found}")
        return self

    @model_validator(mode="after")
    def _ranges_are_usable(self) -> Self:
        if not self.normalised:
            if self.bins is not None:
                raise ValueError("bins divide a normalised range; give q01, q99 and mask, or none")
            return self
        for dim, low, high, scaled in zip(self.dims, self.q01, self.q99, self.mask, strict=True):
            if scaled and dim.plain_gripper:
                raise ValueError(
                    "mask must be false for the gripper, which passes through as 0..1; if it does "
                    "not, state its open and its closed value"
                )
            if scaled and low >= high:
                raise ValueError(
                    f"q01 must lie below q99 for {dim.name}, found {low:g} and {high:g}"
                )
        return self

    @cached_property
    def space(self) -> ActionSpace:
        """What the columns mean."""
        frames = self.frame, self.tool_frame or ""
        return ActionSpace(SpaceKind(self.kind), self._dimensions(), *frames)

    @property
    def normalised(self) -> bool:
        """Whether the network gives numbers that stand for others."""
        return bool(self.q01 or self.q99 or self.mask)

    @property
    def ranges(self) -> tuple[float, ...]:
        """Width of each column's range, the measure of how far two actions lie apart.

        From the 1st to the 99th percentile where the network is normalised; otherwise between a
        gripper's ends or the dimension's limits, and 1 where there are none.
        """
        widths = [_width(dimension) for dimension in self.space.dimensions]
        if self.normalised:
            spans = zip(self.q01, self.q99, self.mask, widths, strict=True)
            widths = [high - low if scaled else width for low, high, scaled, width in spans]
        return tuple(widths)

    def unnormalise(self, action: FloatArray) -> FloatArray:
        """Map what the network gives, (..., D), to the units of the dimensions.

        ``x = (v + 1) / 2 * (q99 - q01) + q01`` where ``mask`` is true, as Magma and OpenVLA do, and
        ``x = v`` elsewhere. What moves the robot is kept within the dimensions' limits.
        """
        if self.normalised:
            low, high = np.array(self.q01), np.array(self.q99)
            action = np.where(self.mask, 0.5 * (action + 1.0) * (high - low) + low, action)
        limits = self.space.low, self.space.high
        return np.clip(action, *limits) if np.isfinite(limits).any() else action

    def in_network_units(self, difference: FloatArray) -> FloatArray:
        """A difference (..., D) of two outputs of the network, each column's range being 2 wide."""
        return difference if self.normalised else difference / (0.5 * np.array(self.ranges))


def _width(dimension: Dimension) -> float:
    if (ends := dimension.gripper) is not None:
        return abs(ends.open - ends.closed)
    width = dimension.high - dimension.low
    return width if math.isfinite(width) else 1.0
