# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action spaces: what the columns of a policy's actions mean, for any robot.

A space is of one of four kinds, and has one dimension a column:

- ``ee_delta``: how far the end effector moves within a step, in the robot's base frame;
- ``ee_pose``: where the end effector is to be at the end of a step, in the base frame;
- ``joint_position``: where each named joint is to be at the end of a step;
- ``joint_delta``: how far each named joint moves within a step.

Beside these, every kind may have columns of grippers, one each. They are targets in every kind: the
value at the end of a step, from one that means closed to one that means open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from magma_ros.types import FloatArray, MagmaError

BASE = "base"
"""What spaces call the base frame of whichever robot."""

DELTA_UNITS: Mapping[str, str] = {
    "dx": "m",
    "dy": "m",
    "dz": "m",
    "droll": "rad",
    "dpitch": "rad",
    "dyaw": "rad",
}
"""Columns of an ``ee_delta``: a displacement and a rotation vector, in the base frame."""

POSE_UNITS: Mapping[str, str] = {
    "x": "m",
    "y": "m",
    "z": "m",
    "rx": "rad",
    "ry": "rad",
    "rz": "rad",
    "qx": "1",
    "qy": "1",
    "qz": "1",
    "qw": "1",
}
"""Columns of an ``ee_pose``: a position, and a rotation vector or a quaternion or neither."""

JOINT_UNITS = ("rad", "m")
"""Of a revolute and of a prismatic joint."""

GRIPPER_NAME = "gripper"
"""A column of that name is a gripper, 1 for open and 0 for closed, unless something else is said;
it is the gripper of a robot that has one."""

ACTION_DIMS = (*DELTA_UNITS, GRIPPER_NAME)
"""Magma's columns of an ``ee_delta``: translation [m], rotation [rad], gripper (1 = open)."""

GRIPPER = ACTION_DIMS.index(GRIPPER_NAME)
"""Which of Magma's columns is the gripper's."""

ROTATION_VECTOR = ("rx", "ry", "rz")
QUATERNION = ("qx", "qy", "qz", "qw")


class SpaceError(MagmaError):
    """An action space contradicts itself, or does not fit the robot."""


class SpaceKind(Enum):
    """What actions are; the value is how files write it."""

    EE_DELTA = "ee_delta"
    EE_POSE = "ee_pose"
    JOINT_POSITION = "joint_position"
    JOINT_DELTA = "joint_delta"

    @property
    def absolute(self) -> bool:
        """Whether the columns that move an arm say where to, and not how far."""
        return self in (SpaceKind.EE_POSE, SpaceKind.JOINT_POSITION)

    @property
    def of_joints(self) -> bool:
        """Whether the columns are joints, commanded as joint targets and not as twists."""
        return self in (SpaceKind.JOINT_POSITION, SpaceKind.JOINT_DELTA)


@dataclass(frozen=True, slots=True)
class GripperRange:
    """Polarity and range of a gripper's column.

    Attributes:
        open: Value that means open.
        closed: Value that means closed.
    """

    open: float = 1.0
    closed: float = 0.0

    def opening(self, value: FloatArray) -> FloatArray:
        """The opening (1 = open, 0 = closed) that ``value`` means, within 0 and 1."""
        share = (np.asarray(value, float) - self.closed) / (self.open - self.closed)
        return np.clip(share, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Dimension:
    """One column of an action.

    Attributes:
        name: Of the column; that of the joint or gripper where it is one.
        unit: ``m``, ``rad``, or ``1`` for a number without one.
        low: Least value, ``-inf`` where the policy states none.
        high: Greatest value, ``inf`` where it states none.
        gripper: What its values mean if it is a gripper's, otherwise None.
    """

    name: str
    unit: str
    low: float = -math.inf
    high: float = math.inf
    gripper: GripperRange | None = None


@dataclass(frozen=True, slots=True)
class ActionSpace:
    """The columns of an action, in order.

    Attributes:
        kind: What they are.
        dimensions: One a column.
        frame: Frame that displacements and poses are expressed in: :data:`BASE`, or a robot's own
            name of its base frame. Of no meaning for joints.
        tool_frame: The robot's name of the frame that they move, or '' for whichever it has.

    Raises:
        SpaceError: No dimension, two of one name, one unknown to the kind, an unusable unit, empty
            limits, or a gripper whose ends are one.
    """

    kind: SpaceKind
    dimensions: tuple[Dimension, ...]
    frame: str = BASE
    tool_frame: str = ""

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise SpaceError("an action space needs at least one dimension")
        names = self.names
        if twice := [name for index, name in enumerate(names) if name in names[:index]]:
            raise SpaceError(f"the action space has two dimensions {twice[0]}; name each once")
        for dimension in self.dimensions:
            _check(dimension, self.kind)
        if not self.moving:
            raise SpaceError("an action space of grippers alone moves no arm; add what does")
        if self.kind is SpaceKind.EE_POSE:
            _check_pose({self.dimensions[column].name for column in self.moving})

    def __len__(self) -> int:
        """The number of columns D."""
        return len(self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def moving(self) -> tuple[int, ...]:
        """The columns that move an arm: all but those of grippers."""
        return tuple(i for i, dim in enumerate(self.dimensions) if dim.gripper is None)

    @property
    def grippers(self) -> tuple[int, ...]:
        """The columns of grippers."""
        return tuple(i for i, dim in enumerate(self.dimensions) if dim.gripper is not None)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints, in the order of their columns; none for an end effector."""
        if not self.kind.of_joints:
            return ()
        return tuple(self.dimensions[column].name for column in self.moving)

    @property
    def low(self) -> FloatArray:
        """Least values, (D,)."""
        return np.array([dimension.low for dimension in self.dimensions])

    @property
    def high(self) -> FloatArray:
        """Greatest values, (D,)."""
        return np.array([dimension.high for dimension in self.dimensions])

    def openings(self, actions: FloatArray) -> FloatArray:
        """Openings (K, G) of the grippers, 1 = open, in actions (K, D)."""
        columns = [
            dim.gripper.opening(actions[:, column])
            for column, dim in enumerate(self.dimensions)
            if dim.gripper is not None
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(actions), 0))

    def require_joints(self, known: Sequence[str]) -> tuple[int, ...]:
        """Where each of :attr:`joints` stands among the joints ``known`` to a robot.

        Raises:
            SpaceError: One is not among them.
        """
        if missing := [name for name in self.joints if name not in known]:
            there = ", ".join(known) or "none"
            raise SpaceError(
                f"the policy moves the joint {missing[0]}, which the robot's file does not have "
                f"(it has {there}); correct the file, or take a policy for this robot"
            )
        return tuple(known.index(name) for name in self.joints)

    def require_grippers(self, known: Sequence[str]) -> tuple[int, ...]:
        """Where each of the space's grippers stands among those ``known`` to a robot.

        They are matched by name, unless there is one on either side. A space without grippers
        leaves those of the robot alone.

        Raises:
            SpaceError: One is missing on either side.
        """
        ours = [self.names[column] for column in self.grippers]
        if not ours or (len(ours) == len(known) == 1):
            return (0,) * len(ours)
        if missing := [name for name in ours if name not in known]:
            raise SpaceError(
                f"the policy moves the gripper {missing[0]}, which the robot's file does not have "
                f"(it has {', '.join(known)}); name it by gripper.name or more_grippers.names, or "
                "take a policy for this robot"
            )
        if more := [name for name in known if name not in ours]:
            raise SpaceError(
                f"the robot's file has the gripper {more[0]}, which the policy does not move (it "
                f"moves {', '.join(ours)}); name in more_grippers those alone that it is to move"
            )
        return tuple(known.index(name) for name in ours)

    def require_units(self, units: Mapping[str, str]) -> None:
        """Refuse joints whose units are not those of the robot's.

        Args:
            units: ``rad`` or ``m`` by joint, as the robot's description has them.

        Raises:
            SpaceError: A joint turns where the policy has it slide, or the other way round, or the
                description does not have it.
        """
        for name in self.joints:
            ours, theirs = self.dimensions[self.names.index(name)].unit, units.get(name)
            if theirs is None:
                raise SpaceError(
                    f"the policy moves the joint {name}, of which the robot description does not "
                    "say that it turns or slides; correct the description, or take a policy for "
                    "this robot"
                )
            if ours != theirs:
                does = "turns" if theirs == "rad" else "slides"
                raise SpaceError(
                    f"the policy moves the joint {name} in {ours}, but by the robot description it "
                    f"{does}, which is {theirs}; correct its unit in action.dims of the bundle, or "
                    "take a policy for this robot"
                )

    def require_frames(self, base: str, tool: str | None = None) -> None:
        """Refuse a space of an end effector that is not about these frames of the robot.

        Args:
            base: The robot's base frame.
            tool: Its end effector's frame, or None to leave that unchecked.

        Raises:
            SpaceError: The space names another base or tool frame.
        """
        if self.kind.of_joints:
            return
        if self.frame not in (BASE, base):
            raise SpaceError(
                f"action.frame is {self.frame!r}, but actions are carried out in the robot's base "
                f"frame, which is {BASE!r} or {base!r}; export the policy for that frame"
            )
        if tool is not None and self.tool_frame not in ("", tool):
            raise SpaceError(
                f"action.tool_frame is {self.tool_frame!r}, but the robot's end effector is "
                f"{tool!r}; set ee_frame to what the policy moves, or export it for this robot"
            )


def gripper(name: str = GRIPPER_NAME, *, open: float = 1.0, closed: float = 0.0) -> Dimension:  # noqa: A002
    """The column of a gripper whose values are ``open`` and ``closed`` at its two ends."""
    return Dimension(name, "1", gripper=GripperRange(open, closed))


def ee_delta(
    columns: Iterable[str] = ACTION_DIMS, *, frame: str = BASE, tool_frame: str = ""
) -> ActionSpace:
    """An ``ee_delta`` of some of Magma's columns, without limits.

    Raises:
        SpaceError: One is none of Magma's.
    """
    dimensions = tuple(
        gripper() if name == GRIPPER_NAME else Dimension(name, DELTA_UNITS.get(name, ""))
        for name in columns
    )
    return ActionSpace(SpaceKind.EE_DELTA, dimensions, frame, tool_frame)


def _check(dimension: Dimension, kind: SpaceKind) -> None:
    name = dimension.name
    if not name:
        raise SpaceError("a dimension of the action space has no name; give it one")
    if not dimension.low < dimension.high:
        raise SpaceError(
            f"the limits of {name} are empty: {dimension.low:g} is not below {dimension.high:g}; "
            "give the least value first"
        )
    if (ends := dimension.gripper) is not None:
        if not (math.isfinite(ends.open) and math.isfinite(ends.closed)):
            raise SpaceError(f"the values of {name} that mean open and closed must be finite")
        if ends.open == ends.closed:
            raise SpaceError(f"{name} is {ends.open:g} both open and closed; give its two ends")
        return
    if kind.of_joints:
        if dimension.unit not in JOINT_UNITS:
            raise SpaceError(
                f"the unit of joint {name} is {dimension.unit!r}; it must be rad for one that "
                "turns or m for one that slides"
            )
        return
    known = DELTA_UNITS if kind is SpaceKind.EE_DELTA else POSE_UNITS
    if name not in known:
        raise SpaceError(
            f"{kind.value} has no dimension {name}; there are {', '.join(known)}, and grippers"
        )
    if dimension.unit != known[name]:
        raise SpaceError(f"the unit of {name} must be {known[name]}, not {dimension.unit!r}")


def _check_pose(names: set[str]) -> None:
    wanted: set[str] = {"x", "y", "z"}
    for turn in (ROTATION_VECTOR, QUATERNION):
        if names & set(turn):
            wanted |= set(turn)
    if len(wanted) > 3 + len(QUATERNION):
        raise SpaceError("ee_pose has a rotation vector and a quaternion; give one of them")
    if missing := sorted(wanted - names):
        raise SpaceError(
            f"ee_pose lacks {', '.join(missing)}; it needs x, y and z, and of an orientation all "
            "components or none"
        )


MAGMA = ee_delta()
"""The space of Magma and of every bundle that names no other: seven columns."""
