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
    """

    joint: str
    open_position: float
    closed_position: float
    max_effort: float

    @classmethod
    def from_settings(cls, settings: Settings) -> GripperJoint:
        """The gripper that the ``gripper.*`` parameters describe.

        Raises:
            SettingError: It is as open as it is closed.
        """
        made = cls(**settings.group("gripper"))
        if made.open_position == made.closed_position:
            raise SettingError(
                f"gripper.open_position and gripper.closed_position are both "
                f"{made.open_position:g}; give the joint's two ends"
            )
        return made

    def opening(self, message: JointState) -> float | None:
        """The opening that ``message`` reports, 0..1, or None without a finite position of it."""
        for name, position in zip(message.name, message.position, strict=False):
            if name == self.joint and math.isfinite(position):
                span = self.open_position - self.closed_position
                opening = (float(position) - self.closed_position) / span
                return min(1.0, max(0.0, opening))
        return None

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
