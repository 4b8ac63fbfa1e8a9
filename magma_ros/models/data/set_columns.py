# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which columns of a LeRobot data set are which of a network's, in which units.

Data sets name a joint as its motor, with or without ``.pos``, some in degrees. A policy names it as
the robot does; it is matched by name, in whichever order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.lerobot.read import LeRobotDataset
from magma_ros.models.data.shards import DataError
from magma_ros.models.network.config import PolicyConfig
from magma_ros.models.network.space import SpaceConfig
from magma_ros.policy.action_contract import DimensionContract
from magma_ros.spaces import GRIPPER_NAME, MAGMA, POSE_UNITS, ActionSpace, GripperRange
from magma_ros.types import FloatArray

OPENING = "_opening"
"""What a policy measures of a gripper, after its name: 1 = open, 0 = closed."""

SUFFIXES = {".pos": ".position", ".position": ".position", ".vel": ".velocity"}
"""Endings of what is measured of a joint, and the policy's for the same."""

MOST_BEYOND = 0.05
"""How far a gripper's value may lie beyond its ends, as a share of its range."""

MOST_MEASURED_BEYOND = 1.0
"""Likewise of one that is measured; what is farther beyond is in another unit."""


def space_of(folder: Path, names: Sequence[str], fields: Sequence[str]) -> SpaceConfig:
    """The space of a data set's actions, by their names: Magma's, poses, or otherwise joints [rad].

    What the state measures as ``<name>_opening`` is a gripper, 1 for open and 0 for closed.

    Args:
        folder: The data set, for messages.
        names: Of the actions' entries.
        fields: Of the states' entries.

    Raises:
        DataError: They have no names, or make no space.
    """
    if set(names) <= set(MAGMA.names):
        return SpaceConfig()
    if _numbered(names, "action"):
        raise DataError(
            f"{folder}: its action's {len(names)} entries have no names; give them, in their "
            "order, by network.action in the recipe"
        )
    kind = "ee_pose" if set(names) <= {*POSE_UNITS, GRIPPER_NAME} else "joint_position"
    dims = [_dimension(_plain(name), kind, fields) for name in names]
    try:
        return SpaceConfig.model_validate({"kind": kind, "dims": dims})
    except ValueError as error:
        raise DataError(
            f"{folder}: {', '.join(names)} make no action space; say what they are by "
            "network.action in the recipe"
        ) from error


def _dimension(name: str, kind: str, fields: Sequence[str]) -> DimensionContract:
    if name != GRIPPER_NAME and f"{name}{OPENING}" in fields:
        return DimensionContract(name=name, open=1.0, closed=0.0)
    if kind == "joint_position" and name != GRIPPER_NAME:
        return DimensionContract(name=name, unit="rad")
    return DimensionContract(name=name)


def _plain(name: str) -> str:
    """A joint's name without what says that its position is meant."""
    return name.removesuffix(".position").removesuffix(".pos")


def _numbered(names: Sequence[str], prefix: str) -> bool:
    return tuple(names) == tuple(f"{prefix}_{number}" for number in range(len(names)))


@dataclass(frozen=True)
class SetColumns:
    """The columns that a network learns from.

    Attributes:
        folder: The data set.
        action_names: Names of its actions' entries.
        fields: Names of its states' entries.
        space: What the network plans.
        measures: Names of what the network measures.
        degrees: Whether angles of joints are in degrees there.
    """

    folder: Path
    action_names: tuple[str, ...]
    fields: tuple[str, ...]
    space: ActionSpace
    measures: tuple[str, ...]
    degrees: bool = False

    @classmethod
    def of(cls, dataset: LeRobotDataset, network: PolicyConfig, *, degrees: bool) -> Self:
        """The columns of a data set that a network learns from.

        Raises:
            DataError: The network plans or measures what the data set does not hold, or a robot
                could not measure a gripper as the data set does.
        """
        names, fields, space = dataset.action_names, dataset.fields, network.action.space
        found = cls(dataset.folder, names, fields, space, network.proprioception, degrees)
        _ = found._order  # complains
        if found.measures != (there := found.measured_names):
            raise DataError(
                f"network.proprioception must be what {dataset.folder} holds: {', '.join(there)}"
            )
        return found

    @property
    def measured_names(self) -> tuple[str, ...]:
        """The state's entries by a policy's names; those without a name by the network's."""
        if _numbered(self.fields, "state") and len(self.fields) == len(self.measures):
            return self.measures
        return tuple(self._measured(field) for field in self.fields)

    def actions(self, episode: Episode) -> FloatArray:
        """(T, D) actions of an episode, in the space's units; Magma's missing columns are zero.

        Raises:
            DataError: A gripper's column leaves its range.
        """
        actions = np.zeros((len(episode), len(self.space)), np.float32)
        for column, at in enumerate(self._order):
            dimension = self.space.dimensions[column]
            if at is None:
                continue
            values = episode.actions[:, at]
            if dimension.gripper is not None:
                values = _within(dimension.gripper, values, dimension.name, episode, MOST_BEYOND)
            elif self.degrees and dimension.name in self._angles:
                values = np.radians(values)
            actions[:, column] = values
        return actions

    def measured(self, episode: Episode) -> FloatArray:
        """(T, P) measured values of an episode in a policy's units.

        Raises:
            DataError: A gripper's values are not between its ends; one that no action moves has 0
                and 1.
        """
        values = np.array(episode.proprioception, np.float32)
        for column, (field, name) in enumerate(zip(self.fields, self.measured_names, strict=True)):
            if name.endswith(OPENING) and name != field:
                ends, told = self._ends(name.removesuffix(OPENING)), values[:, column]
                told = _within(ends, told, field, episode, MOST_MEASURED_BEYOND)
                values[:, column] = ends.opening(told)
            elif self.degrees and self._turns(name):
                values[:, column] = np.radians(values[:, column])
        return values

    @cached_property
    def _order(self) -> tuple[int | None, ...]:
        """Where each column of the space is in the data set; None for one of Magma's it lacks."""
        names = tuple(_plain(name) for name in self.action_names)
        if _numbered(self.action_names, "action") and len(names) == len(self.space):
            return tuple(range(len(names)))
        known = self.space.names
        if self.space == MAGMA and set(names) <= set(known):
            return tuple(names.index(name) if name in names else None for name in known)
        for what, some, others in (
            ("has no {}", known, names),
            ("has {} too, which network.action does not name", names, known),
        ):
            if lacking := [name for name in some if name not in others]:
                raise DataError(
                    f"{self.folder}: the action {what.format(lacking[0])}; the data set's are "
                    f"{', '.join(names)}, the network's {', '.join(known)}"
                )
        return tuple(names.index(name) for name in known)

    def _measured(self, field: str) -> str:
        suffix = next(filter(field.endswith, SUFFIXES), "")
        name = field.removesuffix(suffix)
        measure = SUFFIXES.get(suffix, ".position")
        if name in self._grippers:
            return self._measured_gripper(name, field, measure)
        return f"{name}{measure}" if suffix or name in self.space.joints else field

    def _measured_gripper(self, name: str, field: str, measure: str) -> str:
        """What a robot measures of a gripper: how open it is."""
        if measure != ".position":
            raise DataError(
                f"{self.folder}: the state has {field}, but of a gripper a robot measures only how "
                "open it is; leave it out of the data set"
            )
        moved = [self.space.names[column] for column in self.space.grippers]
        if moved and name not in moved:
            raise DataError(
                f"{self.folder}: the state has the gripper {name}, but the action moves "
                f"{', '.join(moved)}; name it in network.action too, or leave it out of the set"
            )
        return f"{name if len(moved) > 1 else GRIPPER_NAME}{OPENING}"

    @cached_property
    def _angles(self) -> frozenset[str]:
        turning = (dim.name for dim in self.space.dimensions if dim.unit == "rad")
        return frozenset(turning) & frozenset(self.space.joints)

    def _turns(self, measured: str) -> bool:
        """Whether a measured value is of a joint that turns, as one that no action moves does."""
        joint, _, measure = measured.rpartition(".")
        others = {dim.name for dim in self.space.dimensions} - self._angles
        return measure in ("position", "velocity") and joint not in others

    @cached_property
    def _grippers(self) -> tuple[str, ...]:
        """What is a gripper: the space's, and what is named so and is none of its joints."""
        named = tuple(self.space.names[column] for column in self.space.grippers)
        return named if GRIPPER_NAME in self.space.names else (*named, GRIPPER_NAME)

    def _ends(self, name: str) -> GripperRange:
        """What is measured of a gripper at its ends: as its action has it, or else 1 and 0.

        Args:
            name: What the policy measures it as; of an only one, whatever its action is called.
        """
        found = [self.space.dimensions[column] for column in self.space.grippers]
        called = [dimension for dimension in found if len(found) == 1 or dimension.name == name]
        ends = called[0].gripper if called else None
        return GripperRange() if ends is None else ends


def _within(
    ends: GripperRange, values: FloatArray, name: str, episode: Episode, beyond: float
) -> FloatArray:
    """``values`` (T,) of a gripper, none beyond its ends.

    Raises:
        DataError: One is farther beyond than a share of its range.
    """
    low, high = sorted((ends.open, ends.closed))
    margin = beyond * (high - low)
    if values.min() < low - margin or values.max() > high + margin:
        raise DataError(
            f"{episode.name}: {name} goes from {values.min():g} to {values.max():g}, and not from "
            f"{low:g} to {high:g}; say in network.action what means open and what closed, "
            "or leave it out of the data set"
        )
    return np.clip(values, low, high)
