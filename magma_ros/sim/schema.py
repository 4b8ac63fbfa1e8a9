# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every YAML file of the simulator shares: strict models, and one kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from magma_ros.types import MagmaError

Vector2 = tuple[float, float]
Vector3 = tuple[float, float, float]
Colour = tuple[float, float, float]

Entry = TypeVar("Entry")


class SimulationError(MagmaError):
    """A suite, task, split or command is not usable, or the physics engine is missing."""


class Data(BaseModel):
    """Base of everything read from YAML: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def choose(what: str, name: str, known: Mapping[str, Entry]) -> Entry:
    """The entry of that name.

    Raises:
        SimulationError: There is none; the sentence lists the known names.
    """
    try:
        return known[name]
    except KeyError:
        names = ", ".join(known)
        raise SimulationError(f"there is no {what} {name!r}; known: {names}") from None
