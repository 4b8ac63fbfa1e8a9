# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cabinet with two drawers that differ by the colours of their handles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from magma_ros.share import share_file
from magma_ros.sim.bullet import Bullet
from magma_ros.sim.schema import Colour
from magma_ros.sim.suite import CabinetSpec

Vector = npt.NDArray[np.float64]

HANDLE_SHAPE = 0
"""Which of a drawer's visual shapes in the URDF is the handle."""


class Cabinet:
    """The cabinet in one physics server.

    Args:
        bullet: The physics server.
        spec: What it is made of.
        pose: Middle of its front on the table x [m], y [m], and yaw [rad].
        handles: Colours of the handles by name, the left drawer's first.

    Attributes:
        handle_width: Of every handle, between the pads that grasp it [m].
        direction: In which the drawers open, (3,) unit vector.
    """

    def __init__(
        self, bullet: Bullet, spec: CabinetSpec, pose: Vector, handles: dict[str, Colour]
    ) -> None:
        x, y, yaw = pose
        self.handle_width = spec.handle_width
        self.direction = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        self._bullet = bullet
        self._yaw = float(yaw)
        self._body: int = bullet.loadURDF(
            str(share_file("sim", "furniture", spec.urdf)),
            [x, y, 0.0],
            bullet.getQuaternionFromEuler([0.0, 0.0, yaw]),
            useFixedBase=True,
            flags=bullet.URDF_USE_INERTIA_FROM_FILE,
        )
        self._drawers = {name: link for link, name in enumerate(handles)}
        for name, link in self._drawers.items():
            bullet.setJointMotorControl2(  # a motor that holds still is Bullet's dry friction
                self._body, link, bullet.VELOCITY_CONTROL, targetVelocity=0.0, force=spec.friction
            )
            bullet.changeVisualShape(
                self._body, link, shapeIndex=HANDLE_SHAPE, rgbaColor=[*handles[name], 1.0]
            )

    def __contains__(self, name: str) -> bool:
        """Whether one of the handles has that name."""
        return name in self._drawers

    @property
    def yaw(self) -> float:
        """How the cabinet is turned about the vertical [rad]."""
        return self._yaw

    def position(self, name: str) -> Vector:
        """Centre of a handle, (3,) [m]."""
        state = self._bullet.getLinkState(
            self._body, self._drawers[name], computeForwardKinematics=True
        )
        return np.array(state[4])

    def opening(self, name: str) -> float:
        """How far a drawer is out [m]."""
        return float(self._bullet.getJointState(self._body, self._drawers[name])[0])

    def contacts(self, name: str, by: int) -> Sequence[tuple[Any, ...]]:
        """Bullet's contact points between a body (A) and a drawer (B)."""
        contacts: Sequence[tuple[Any, ...]] = self._bullet.getContactPoints(
            by, self._body, linkIndexB=self._drawers[name]
        )
        return contacts
