# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gripper as ROS knows it (a joint) and as policies know it (an opening of 0..1)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from magma_ros.nodes import names
from magma_ros.nodes.settings import Setting, SettingError, Settings
from magma_ros.spaces import GRIPPER_NAME

GRIPPER_SETTINGS = (
    Setting("gripper.joint", "finger_joint", "Name of the gripper joint in joint_states."),
    Setting("gripper.open_position", 0.04, "Position of that joint when fully open [m or rad]."),
    Setting("gripper.closed_position", 0.0, "Position of that joint when closed [m or rad]."),
    Setting("gripper.max_effort", 20.0, "Effort asked of the gripper [N or N m].", 0.0, 1000.0),
    Setting("gripper.name", GRIPPER_NAME, "What policies call it, where there are several."),
)
"""Of the gripper, or of the first one."""

MORE_GRIPPERS = (
    Setting("more_grippers.names", [""], "Further grippers, as policies call them."),
    Setting("more_grippers.joint", [""], "Name of each one's joint in joint_states."),
    Setting("more_grippers.open_position", [], "Position of each when fully open [m or rad]."),
    Setting("more_grippers.closed_position", [], "Position of each when closed [m or rad]."),
    Setting("more_grippers.max_effort", [], "Effort asked of each [N or N m]."),
)
"""Of the grippers beside the first one; one entry each."""


@dataclass(frozen=True, slots=True)
class GripperJoint:
    """Maps an opening (1 = open, 0 = closed; Magma's polarity) to a joint position and back.

    Attributes:
        joint: Joint name.
        open_position: Joint position at opening 1 [m or rad].
        closed_position: Joint position at opening 0 [m or rad].
        max_effort: Effort to ask for [N or N m].
        name: What policies call it.

    Raises:
        SettingError: A value is not finite, or both positions are the same.
    """

    joint: str
    open_position: float
    closed_position: float
    max_effort: float
    name: str = GRIPPER_NAME

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", self.name, re.ASCII):
            raise SettingError(
                f"the gripper's name {self.name!r} must be of letters, digits and _ alone, because "
                "its topic is called like it"
            )
        for name in ("open_position", "closed_position", "max_effort"):
            if not math.isfinite(value := getattr(self, name)):
                raise SettingError(f"parameter gripper.{name} must be finite, not {value}")
        if self.open_position == self.closed_position:
            raise SettingError(
                f"parameters gripper.open_position and gripper.closed_position are both "
                f"{self.open_position}; give the joint's two ends"
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> GripperJoint:
        """The gripper that the ``gripper.*`` parameters describe."""
        return cls(**settings.group("gripper"))

    def asked(self, message: JointState) -> float | None:
        """The opening that ``message`` holds, beyond 0..1 where the joint is beyond its ends.

        Returns:
            None if the message lacks the joint or holds no finite position for it.
        """
        for name, position in zip(message.name, message.position, strict=False):
            if name == self.joint and math.isfinite(position):
                span = self.open_position - self.closed_position
                return (float(position) - self.closed_position) / span
        return None

    def opening(self, message: JointState) -> float | None:
        """The opening that ``message`` reports, 0..1; None as in :meth:`asked`."""
        opening = self.asked(message)
        return None if opening is None else min(1.0, max(0.0, opening))

    def command(self, opening: float, stamp: Time) -> JointState:
        """The joint command for ``opening``, shaped like a parallel gripper action's goal."""
        return gripper_command([(self, opening)], stamp)

    def position(self, opening: float) -> float:
        """The joint position at ``opening`` [m or rad]."""
        span = self.open_position - self.closed_position
        return self.closed_position + min(1.0, max(0.0, opening)) * span


def gripper_command(asked: Iterable[tuple[GripperJoint, float]], stamp: Time) -> JointState:
    """The joint command for the openings of some grippers."""
    message = JointState(header=Header(stamp=stamp))
    for gripper, opening in asked:
        message.name.append(gripper.joint)
        message.position.append(gripper.position(opening))
        message.effort.append(gripper.max_effort)
    return message


def robot_grippers(settings: Settings) -> dict[str, GripperJoint]:
    """The grippers of a robot's file, the first one first, by their names.

    Args:
        settings: With :data:`GRIPPER_SETTINGS` and :data:`MORE_GRIPPERS`.

    Raises:
        SettingError: A value makes no sense, is missing, or stands for two.
    """
    more = settings.group("more_grippers")
    count = sum(name != "" for name in more["names"])
    columns = {key: [v for v in values if v != ""] for key, values in more.items()}
    for key, values in columns.items():
        if len(values) != count:
            raise SettingError(
                f"parameter more_grippers.{key} must have {count} entries, one for each of "
                f"more_grippers.names, but has {len(values)}"
            )
    columns["name"] = columns.pop("names")
    grippers = [GripperJoint.from_settings(settings)]
    grippers += [
        GripperJoint(**dict(zip(columns, entry, strict=True)))
        for entry in zip(*columns.values(), strict=True)
    ]
    for what in ("name", "joint"):
        said = [getattr(gripper, what) for gripper in grippers]
        if twice := [each for each in said if said.count(each) > 1]:
            raise SettingError(f"two grippers of the robot's file have the {what} {twice[0]}")
    return {gripper.name: gripper for gripper in grippers}


def gripper_topics(grippers: Iterable[str]) -> dict[str, str]:
    """Where the guard commands each gripper of :func:`robot_grippers`."""
    first, *more = grippers
    return {first: names.ROBOT_GRIPPER} | {name: f"{name}/command" for name in more}
