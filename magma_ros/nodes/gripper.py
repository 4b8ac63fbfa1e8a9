# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gripper as ROS knows it (a joint) and as policies know it (an opening of 0..1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from magma_ros.nodes.settings import Setting, SettingError, Settings

GRIPPER_SETTINGS = (
    Setting("gripper.joint", "finger_joint", "Name of the gripper joint in joint_states."),
    Setting("gripper.open_position", 0.04, "Position of that joint when fully open [m or rad]."),
    Setting("gripper.closed_position", 0.0, "Position of that joint when closed [m or rad]."),
    Setting("gripper.max_effort", 20.0, "Effort asked of the gripper [N or N m].", 0.0, 1000.0),
)


@dataclass(frozen=True, slots=True)
class GripperJoint:
    """Maps an opening (1 = open, 0 = closed; Magma's polarity) to a joint position and back.

    Attributes:
        joint: Joint name.
        open_position: Joint position at opening 1 [m or rad].
        closed_position: Joint position at opening 0 [m or rad].
        max_effort: Effort to ask for [N or N m].

    Raises:
        SettingError: A value is not finite, or both positions are the same.
    """

    joint: str
    open_position: float
    closed_position: float
    max_effort: float

    def __post_init__(self) -> None:
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
        span = self.open_position - self.closed_position
        position = self.closed_position + min(1.0, max(0.0, opening)) * span
        return JointState(
            header=Header(stamp=stamp),
            name=[self.joint],
            position=[position],
            effort=[self.max_effort],
        )
