# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What normalised actions mean in metres and radians, by the name of the training data.

``config/statistics/magma-8b.yaml`` has what the released model is used with. A fine-tuned
checkpoint brings its own in ``dataset_statistics.json``, in OpenVLA's layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, RootModel, model_validator

from magma_ros.files import check, json_mapping, read_yaml
from magma_ros.share import share_file
from magma_ros.spaces import ACTION_DIMS, GRIPPER
from magma_ros.types import MagmaError

OWN = "dataset_statistics.json"
"""Name of the file in a checkpoint's folder."""

SIZE = len(ACTION_DIMS)

Values = Annotated[tuple[float, ...], Field(min_length=SIZE, max_length=SIZE)]
Mask = Annotated[tuple[bool, ...], Field(min_length=SIZE, max_length=SIZE)]

ALL_BUT_GRIPPER = tuple(index != GRIPPER for index in range(SIZE))


class StatisticsError(MagmaError):
    """There are no statistics of that name, or they are damaged."""


class ActionStatistics(BaseModel):
    """Statistics of the actions in a training data set.

    Attributes:
        q01: 1st percentile of each dimension [m, rad]; the normalised -1.
        q99: 99th percentile; the normalised 1.
        mask: False where a dimension passes through unchanged: the gripper.
        step_period: Time between two actions [s], or None if the file does not say.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    q01: Values
    q99: Values
    mask: Mask = ALL_BUT_GRIPPER
    step_period: PositiveFloat | None = None

    @model_validator(mode="after")
    def _ranges_are_usable(self) -> ActionStatistics:
        if self.mask[GRIPPER]:
            raise ValueError("mask must be false for the gripper, which passes through as 0..1")
        named = zip(ACTION_DIMS, self.q01, self.q99, self.mask, strict=True)
        for name, low, high, scaled in named:
            if scaled and low >= high:
                raise ValueError(f"q01 must lie below q99 for {name}, found {low:g} and {high:g}")
        return self

    def difference(self, other: ActionStatistics) -> str:
        """The first limit that is another one than that of ``other``, for people; or empty."""
        for which in ("q01", "q99"):
            pairs = zip(ACTION_DIMS, getattr(self, which), getattr(other, which), strict=True)
            for column, mine, its in pairs:
                if mine != its:
                    return f"{which} of {column} is {mine:g} instead of {its:g}"
        return ""


class _Shipped(RootModel[dict[str, ActionStatistics]]):
    pass


def shipped_statistics() -> dict[str, ActionStatistics]:
    """Those of ``config/statistics/magma-8b.yaml``, by name."""
    path = share_file("config", "statistics", "magma-8b.yaml")
    return read_yaml(path, _Shipped, error=StatisticsError).root


def own_statistics(folder: Path) -> dict[str, ActionStatistics]:
    """Those that a checkpoint's folder brings, by name; none if it has no such file.

    Raises:
        StatisticsError: The file is damaged.
    """
    path = folder / OWN
    if not path.is_file():
        return {}
    content = json_mapping(path, error=StatisticsError)
    flat = {name: _actions_of(entry) for name, entry in content.items()}
    return check(flat, _Shipped, path, StatisticsError).root


def find_statistics(name: str, folder: Path | None = None) -> ActionStatistics:
    """The statistics of that name; a checkpoint's own come before the shipped ones.

    Args:
        name: Of the data set.
        folder: Of the checkpoint, or None for the shipped ones alone.

    Raises:
        StatisticsError: There are none of that name, or a file is damaged.
    """
    known = shipped_statistics() | (own_statistics(folder) if folder is not None else {})
    if name not in known:
        raise StatisticsError(
            f"there are no statistics {name!r}; known are {', '.join(sorted(known))}, and what "
            f"{OWN} in the checkpoint's folder names"
        )
    return known[name]


def _actions_of(entry: Any) -> Any:
    """OpenVLA keeps the statistics of the actions beside those of the proprioception."""
    return entry["action"] if isinstance(entry, dict) and "action" in entry else entry
