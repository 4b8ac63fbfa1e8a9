# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may stand or come in the arm's way, as data of a suite's tasks."""

from __future__ import annotations

from typing import Self

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from magma_ros.sim.schema import Colour, Data

Span = tuple[float, float]
"""Least and greatest of what is drawn."""


class PostsSpec(Data):
    """Posts on the table, which never move.

    Attributes:
        count: Fewest and most.
        side: Of their square bases [m].
        height: [m].
        gap: Least distance of each from the arm on the straight way through the task [m]; below
            0 it stands in the way.
        start: Least distance from the arm where it starts [m].
        colour: Of all of them.
    """

    count: tuple[PositiveInt, PositiveInt]
    side: tuple[PositiveFloat, PositiveFloat]
    height: tuple[PositiveFloat, PositiveFloat]
    gap: Span
    start: PositiveFloat
    colour: Colour

    @model_validator(mode="after")
    def _spans_are_in_order(self) -> Self:
        for name in ("count", "side", "height", "gap"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name} must go from the least to the greatest")
        return self


class IntruderSpec(Data):
    """A person's hand and forearm that come in, stay, and leave again.

    Attributes:
        arrival: When it is where it goes to, counted from the robot's first motion [s]; it may be
            on its way from the beginning.
        speed: Of its way in and out [m/s].
        stay: How long it stays [s].
        height: Of the hand's centre above the table [m].
        keep: How near it comes to the robot by itself [m]: a person sees the arm and waits.
        colour: Of hand and sleeve.
    """

    arrival: tuple[NonNegativeFloat, NonNegativeFloat]
    speed: tuple[PositiveFloat, PositiveFloat]
    stay: tuple[NonNegativeFloat, NonNegativeFloat]
    height: tuple[PositiveFloat, PositiveFloat]
    keep: PositiveFloat
    colour: Colour

    @model_validator(mode="after")
    def _spans_are_in_order(self) -> Self:
        for name in ("arrival", "speed", "stay", "height"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name} must go from the least to the greatest")
        return self
