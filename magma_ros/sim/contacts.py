# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts how often the robot, or what it holds, touches what it must not, and how near it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from magma_ros.sim.bullet import Bullet
from magma_ros.sim.rehearsal import FAR


class ContactMonitor:
    """Watches one robot and some bodies in a physics server.

    Args:
        bullet: The physics server.
        robot: Number of the robot.
        bodies: Numbers of what it must not touch.
        held: Returns the numbers of what the gripper holds now, which must not touch them either.

    Attributes:
        bodies: Numbers of what it must not touch.
        contacts: How often any of its links, or what it held, began to touch one of them.
        nearest: Least distance so far [m]; inf as long as it is beyond FAR.
        touching: Whether it touches one now.
    """

    def __init__(
        self, bullet: Bullet, robot: int, bodies: Sequence[int], held: Callable[[], Sequence[int]]
    ) -> None:
        self._bullet = bullet
        self._robot = robot
        self._held = held
        self.bodies = tuple(bodies)
        self.contacts = 0
        self.nearest = float("inf")
        self.touching = False

    def sample(self) -> None:
        """Look at the contacts of the physics step that was just made."""
        touching = any(
            point[8] <= 0.0
            for mover, body in self._pairs()
            for point in self._bullet.getContactPoints(mover, body)
        )
        self.contacts += touching and not self.touching
        self.touching = touching

    def measure(self) -> float:
        """Distance now [m]; inf beyond FAR."""
        near = [
            point[8]
            for mover, body in self._pairs()
            for point in self._bullet.getClosestPoints(mover, body, FAR)
        ]
        distance = min(near, default=float("inf"))
        self.nearest = min(self.nearest, distance)
        return distance

    def _pairs(self) -> list[tuple[int, int]]:
        """What must not touch: the robot and what it holds, with each body."""
        movers = (self._robot, *self._held()) if self.bodies else ()
        return [(mover, body) for mover in movers for body in self.bodies]
