# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every YAML file of the simulator shares: strict models, and errors in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from magma_ros.types import MagmaError

Vector2 = tuple[float, float]
Vector3 = tuple[float, float, float]
Colour = tuple[float, float, float]

Model = TypeVar("Model", bound=BaseModel)
Entry = TypeVar("Entry")


class SimulationError(MagmaError):
    """A suite, task, split or command is not usable, or the physics engine is missing."""


class Data(BaseModel):
    """Base of everything read from YAML: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_yaml(path: Path, schema: type[Model]) -> Model:
    """Read a YAML file into a pydantic model.

    Raises:
        SimulationError: The file does not follow the schema; the sentence names the first fault.
    """
    try:
        return schema.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise SimulationError(f"{path.name}: {where}: {fault['msg']}") from error
    except yaml.YAMLError as error:
        raise SimulationError(f"{path.name} is not YAML: {error}") from error


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
