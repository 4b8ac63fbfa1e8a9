# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A conveyor belt: a long plate that slides across the table and carries objects by friction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from magma_ros.sim.bullet import PHYSICS_RATE, Bullet
from magma_ros.sim.layout import BeltMotion
from magma_ros.sim.suite import BeltSpec

Vector = npt.NDArray[np.float64]

LENGTH = 4.0
"""Of the plate [m]: long enough that its ends never come onto the table in an episode."""
CLEARANCE = 0.0005
"""Between plate and table, so that they are never in contact [m]."""
FADE = 0.04
"""Width over which its velocity falls to zero at the edges, about that of an object [m]."""
MASS = 10.0
FORCE = 1000.0


class Belt:
    """The belt in one physics server; its motion depends on simulated time alone.

    Args:
        bullet: The physics server.
        spec: What it is made of.
        motion: How it moves.
        friction: Of its surface.

    Attributes:
        height: Of its surface above the table [m].
    """

    def __init__(self, bullet: Bullet, spec: BeltSpec, motion: BeltMotion, friction: float) -> None:
        self.height = CLEARANCE + spec.thickness
        self._bullet = bullet
        self._spec = spec
        self._motion = motion
        self._steps = 0
        half = [spec.width / 2, LENGTH / 2, spec.thickness / 2]
        box = bullet.GEOM_BOX
        self._body: int = bullet.createMultiBody(
            baseMass=0.0,
            basePosition=[spec.x, 0.0, self.height - spec.thickness / 2],
            linkMasses=[MASS],
            linkCollisionShapeIndices=[bullet.createCollisionShape(box, halfExtents=half)],
            linkVisualShapeIndices=[
                bullet.createVisualShape(box, halfExtents=half, rgbaColor=[*spec.colour, 1.0])
            ],
            linkPositions=[[0.0, 0.0, 0.0]],
            linkOrientations=[[0.0, 0.0, 0.0, 1.0]],
            linkInertialFramePositions=[[0.0, 0.0, 0.0]],
            linkInertialFrameOrientations=[[0.0, 0.0, 0.0, 1.0]],
            linkParentIndices=[0],
            linkJointTypes=[bullet.JOINT_PRISMATIC],
            linkJointAxis=[[0.0, 1.0, 0.0]],
        )
        bullet.changeDynamics(self._body, 0, lateralFriction=friction)

    def drive(self) -> None:
        """Set the speed for the coming physics step."""
        self._bullet.setJointMotorControl2(
            self._body, 0, self._bullet.VELOCITY_CONTROL, targetVelocity=self._speed(), force=FORCE
        )
        self._steps += 1

    def velocity_at(self, point: Vector) -> Vector:
        """How fast an object at a point is carried along, (3,) [m/s].

        Over the edges it is scaled by the share of the object that lies on the belt.
        """
        inside = self._spec.width / 2 - abs(float(point[0]) - self._spec.x)
        share = np.clip(inside / FADE + 0.5, 0.0, 1.0)
        return np.array([0.0, share * self._speed(), 0.0])

    def _speed(self) -> float:
        """Along y, now [m/s]."""
        speed, period = self._motion.speed, self._motion.period
        if period is None:
            return speed
        return float(speed * np.cos(2.0 * np.pi * self._steps / (PHYSICS_RATE * period)))
