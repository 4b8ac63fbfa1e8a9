# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics of a robot description (URDF), by Pinocchio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from magma_ros.guard.error import GuardConfigError
from magma_ros.types import FloatArray

INSTALL = "pip install 'magma_ros[kinematics]', or ROS's package pinocchio"


class UrdfKinematics:
    """Where the tool is and how it moves; see :class:`~magma_ros.guard.joints.Kinematics`.

    Joints of the description that are not named, such as the fingers', must not move the tool.

    Args:
        urdf: The robot description, as text.
        joints: Names of the joints, in the order of all arrays.
        base: Link whose frame is the base frame.
        tool: Link whose frame is the tool's.

    Raises:
        GuardConfigError: Pinocchio is missing, the text is no robot description, it lacks a joint
            or a link, or a joint neither turns nor slides.
    """

    def __init__(self, urdf: str, joints: Sequence[str], base: str, tool: str) -> None:
        self.joints = tuple(joints)
        self._pinocchio: Any = _library()
        try:
            self._model = self._pinocchio.buildModelFromXML(urdf)
        except (ValueError, RuntimeError) as error:
            raise GuardConfigError("the robot description is not a well-formed URDF") from error
        self._data = self._model.createData()
        self._base, self._tool = (self._frame(link) for link in (base, tool))
        found = [self._joint(name) for name in self.joints]
        self._entries = np.array([joint.idx_q for joint in found])
        self._columns = np.array([joint.idx_v for joint in found])
        # Pinocchio keeps the angle of a joint that turns without end as its cosine and sine.
        self._endless = np.array([joint.nq == 2 for joint in found])
        self._neutral = self._pinocchio.neutral(self._model)
        self._check_reach(tool)
        endless, model = self._endless, self._model
        self.lower = np.where(endless, -np.inf, model.lowerPositionLimit[self._entries])
        self.upper = np.where(endless, np.inf, model.upperPositionLimit[self._entries])
        speed = model.velocityLimit[self._columns]
        self.velocity = np.where((speed > 0.0) & (speed < 1e6), speed, np.inf)

    def pose(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where the tool is, (3,) [m], and its rotation (3, 3) into the base frame."""
        self._pinocchio.framesForwardKinematics(self._model, self._data, self._full(positions))
        base, tool = self._data.oMf[self._base], self._data.oMf[self._tool]
        found = base.actInv(tool)
        return np.array(found.translation), np.array(found.rotation)

    def jacobian(self, positions: FloatArray) -> FloatArray:
        """(6, N): the tool's twist in the base frame [m/s, rad/s] is this times joint speeds."""
        full, axes = self._full(positions), self._pinocchio.LOCAL_WORLD_ALIGNED
        columns = self._pinocchio.computeFrameJacobian(
            self._model, self._data, full, self._tool, axes
        )[:, self._columns]
        self._pinocchio.framesForwardKinematics(self._model, self._data, full)
        into_base = self._data.oMf[self._base].rotation.T
        turned: FloatArray = np.concatenate([into_base @ columns[:3], into_base @ columns[3:]])
        return turned

    def _full(self, positions: FloatArray) -> FloatArray:
        full: FloatArray = self._neutral.copy()
        full[self._entries] = np.where(self._endless, np.cos(positions), positions)
        full[self._entries[self._endless] + 1] = np.sin(positions[self._endless])
        return full

    def _frame(self, link: str) -> int:
        if not self._model.existFrame(link):
            raise GuardConfigError(
                f"the robot description has no link {link}; give body.base_link and "
                "body.tool_link the names of its links"
            )
        return int(self._model.getFrameId(link))

    def _joint(self, name: str) -> Any:
        if name not in list(self._model.names)[1:]:
            there = ", ".join(list(self._model.names)[1:])
            raise GuardConfigError(
                f"joints.names holds {name}, which the robot description has not; it has {there}"
            )
        joint = self._model.joints[self._model.getJointId(name)]
        if joint.nv != 1:
            raise GuardConfigError(
                f"joints.names holds {name}, which moves in {joint.nv} ways at once; only joints "
                "that turn or slide can be commanded"
            )
        return joint

    def _check_reach(self, tool: str) -> None:
        """Refuse joints that move the tool without being commanded."""
        parent = self._model.frames[self._tool].parentJoint
        over = list(self._model.names)
        base = set(self._model.supports[self._model.frames[self._base].parentJoint])
        moving = {over[at] for at in self._model.supports[parent] if at and at not in base}
        if unknown := sorted(moving - set(self.joints)):
            raise GuardConfigError(
                f"joints.names lacks {', '.join(unknown)}, which move {tool} as well"
            )


def _library() -> Any:
    try:
        import pinocchio
    except ImportError as error:
        raise GuardConfigError(
            f"the robot's kinematics need Pinocchio, which is not installed: {INSTALL}"
        ) from error
    return pinocchio
