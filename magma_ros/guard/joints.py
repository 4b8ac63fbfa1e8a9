# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The joints of a robot that is commanded joint by joint: limits and kinematics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from magma_ros.guard.error import GuardConfigError, require_positive
from magma_ros.types import FloatArray


class CommandInterface(Enum):
    """What the robot's controller takes."""

    TWIST = "twist"  # a TwistStamped, such as MoveIt Servo
    JOINT_TRAJECTORY = "joint_trajectory"  # a trajectory of one point
    FORWARD_POSITION = "forward_position"  # positions, without names
    FORWARD_VELOCITY = "forward_velocity"  # velocities, without names


BOUNDS = ("lower", "upper")
RATES = ("velocity", "acceleration", "jerk")


class Kinematics(Protocol):
    """Where the tool is and how it moves, from the joints.

    Attributes:
        joints: Names of the joints, in the order of all arrays.
        lower: (N,) least positions that the robot's description states, -inf for none [rad or m].
        upper: (N,) greatest positions, inf for none [rad or m].
        velocity: (N,) greatest speeds, inf for none [rad/s or m/s].
    """

    joints: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray

    def pose(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where the tool is, (3,) [m], and its rotation (3, 3) into the base frame."""
        ...

    def jacobian(self, positions: FloatArray) -> FloatArray:
        """(6, N): the tool's twist in the base frame [m/s, rad/s] is this times joint speeds."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class JointLimits:
    """Bounds on the commanded motion of joints, one entry a joint.

    Attributes:
        names: Of the joints, in the order in which the robot's controller has them.
        lower: (N,) least positions [rad or m]; -inf for none.
        upper: (N,) greatest positions [rad or m]; inf for none.
        velocity: (N,) greatest speeds [rad/s or m/s].
        acceleration: (N,) greatest accelerations [rad/s^2 or m/s^2].
        jerk: (N,) greatest jerks [rad/s^3 or m/s^3].

    Raises:
        GuardConfigError: There are no joints, one is named twice, an array has another length, or
            a bound makes no sense.
    """

    names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    jerk: FloatArray

    def __post_init__(self) -> None:
        if not self.names or not all(self.names):
            raise GuardConfigError("joints.names must name the joints that are commanded")
        if len(set(self.names)) != len(self.names):
            twice = [name for name in self.names if self.names.count(name) > 1]
            raise GuardConfigError(f"joints.names names {twice[0]} more than once")
        for field in (*BOUNDS, *RATES):
            values = getattr(self, field)
            if values.shape != (len(self.names),):
                raise GuardConfigError(
                    f"joints.{field} must have {len(self.names)} numbers, one for each of "
                    f"joints.names, but has {len(values)}"
                )
        for index, name in enumerate(self.names):
            low, high = self.lower[index], self.upper[index]
            if not low < high:
                raise GuardConfigError(
                    f"the limits of joint {name} are empty: its joints.lower is {low:g} and its "
                    f"joints.upper is {high:g}"
                )
            for field in RATES:
                if not (np.isfinite(value := getattr(self, field)[index]) and value > 0.0):
                    raise GuardConfigError(
                        f"joints.{field} of {name} must be a positive number, not {value:g}"
                    )

    @classmethod
    def tightened(
        cls,
        names: Sequence[str],
        kinematics: Kinematics | None,
        **given: Sequence[float],
    ) -> JointLimits:
        """Limits from a robot's file, which may only tighten those of its description.

        Args:
            names: Of the joints.
            kinematics: The robot's description, or None where there is none.
            **given: ``lower``, ``upper``, ``velocity``, ``acceleration`` and ``jerk``, each
                empty for what the description states.

        Raises:
            GuardConfigError: A bound is in neither, or is wider than the description's.
        """
        count = len(names)
        arrays: dict[str, FloatArray] = {}
        for field in (*BOUNDS, *RATES):
            stated = getattr(kinematics, field, None)
            values = np.array(given.get(field, ()), np.float64)
            if not len(values):
                if stated is None or (field == "velocity" and not np.isfinite(stated).all()):
                    raise GuardConfigError(_missing(names, field, stated))
                values = stated.copy()
            elif stated is not None and len(values) == count:
                _check_tighter(names, field, values, stated)
            arrays[field] = values
        return cls(tuple(names), **arrays)


@dataclass(frozen=True, slots=True, eq=False)
class JointConfig:
    """How a robot is commanded joint by joint.

    Attributes:
        limits: Of the joints.
        kinematics: Where the tool is, or None: then workspace, tilt and the tool's speed are not
            kept, obstacles slow every motion alike, and nobody can drive by twists.
        interface: What the robot's controller takes; not a twist.
        tolerance: How far a joint may be from where it was sent [rad or m].

    Raises:
        GuardConfigError: A setting makes no sense.
    """

    limits: JointLimits
    kinematics: Kinematics | None = None
    interface: CommandInterface = CommandInterface.JOINT_TRAJECTORY
    tolerance: float = 0.2

    def __post_init__(self) -> None:
        require_positive(self, "tolerance")
        if self.kinematics is not None and self.kinematics.joints != self.limits.names:
            raise GuardConfigError(
                f"the kinematics are of the joints {', '.join(self.kinematics.joints)}, not of "
                f"{', '.join(self.limits.names)}"
            )

    @property
    def by_velocity(self) -> bool:
        """Whether the controller takes velocities, which it carries out until others come."""
        return self.interface is CommandInterface.FORWARD_VELOCITY


def _missing(names: Sequence[str], field: str, stated: FloatArray | None) -> str:
    if stated is None:
        what = f"joints.{field} is missing"
        return f"{what}; give one number for each of {', '.join(names)}"
    lacking = [name for name, value in zip(names, stated, strict=True) if not np.isfinite(value)]
    return (
        f"the robot description states no {field} for {', '.join(lacking)}; give joints.{field} "
        "in the robot's file"
    )


def _check_tighter(
    names: Sequence[str], field: str, values: FloatArray, stated: FloatArray
) -> None:
    wider = values < stated if field == "lower" else values > stated
    if wider.any():
        index = int(np.argmax(wider))
        raise GuardConfigError(
            f"joints.{field} of {names[index]} is {values[index]:g}, but the robot description "
            f"allows {stated[index]:g}, which the robot's file may only tighten"
        )
