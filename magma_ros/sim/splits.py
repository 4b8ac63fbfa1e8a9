# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a split of a suite leaves open, as data: words, colours, light, table, camera."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from magma_ros.sim.schema import Colour, Data, Vector3


class LightSpec(Data):
    """One directional light.

    Attributes:
        direction: Direction towards the light.
        turn: Largest angle by which it comes from elsewhere [deg].
        colour: Of the light.
        ambient: Share that lights everything alike.
        diffuse: Share that lights what faces it.
    """

    direction: Vector3
    turn: NonNegativeFloat = 0.0
    colour: Colour
    ambient: float
    diffuse: float


class PatternSpec(Data):
    """A pattern on the table.

    Attributes:
        kinds: Which ones to choose from.
        colour: That alternates with the table's.
        size: Smallest and largest, of one stripe, square or spot [m].
    """

    kinds: tuple[Literal["stripes", "squares", "spots"], ...]
    colour: Colour
    size: tuple[PositiveFloat, PositiveFloat]


class CameraShift(Data):
    """How far the front camera may be from its place.

    Attributes:
        move: Farthest that its eye is moved, in any direction [m].
        turn: Largest angle that its view is turned by, about any axis [deg].
    """

    move: NonNegativeFloat = 0.0
    turn: NonNegativeFloat = 0.0


class SplitSpec(Data):
    """Appearance and phrasings of the scenes of one split.

    Attributes:
        phrasings: Which phrasings of ``sim/language.yaml``.
        targets: Colours of what the instruction names.
        distractors: Colours of everything else.
        held_out: Whether every target is of a combination that the suite holds out, or nothing is.
        more: How many more objects than the scene names there may be.
        table: Its colour.
        pattern: Painted on the table, or None.
        light: What the scene is lit by.
        camera: How far the front camera is from its place.
    """

    phrasings: str
    targets: tuple[str, ...]
    distractors: tuple[str, ...]
    held_out: bool
    more: NonNegativeInt = 0
    table: Colour
    pattern: PatternSpec | None = None
    light: LightSpec
    camera: CameraShift = CameraShift()
