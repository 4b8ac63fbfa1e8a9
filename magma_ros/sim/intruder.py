# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person's hand and forearm that come into the arm's way, stay for a while and leave again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from magma_ros.sim.bullet import Bullet
from magma_ros.sim.layout import Layout
from magma_ros.sim.rehearsal import FAR, straight_way
from magma_ros.sim.schema import Colour
from magma_ros.sim.suite import Suite
from magma_ros.sim.tasks import Task

Vector = npt.NDArray[np.float64]

HAND = (0.17, 0.085, 0.035)
"""Length, width and thickness of the hand [m]: of an adult's, fingers stretched."""
SLEEVE = (0.30, 0.08, 0.07)
"""The same of the forearm [m]."""
OUTSIDE = 0.45
"""Distance of the fingertips from the middle of the table before the hand comes in [m]."""


STARTS = 20
"""Places along the way in that are tried as the one where the visit begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """When a hand comes, counted from when the robot begins to move, and where to.

    Attributes:
        tip: Where its fingertips go to, (3,) [m].
        direction: In which it comes in, (3,) horizontal unit vector.
        length: Of its way in [m].
        speed: Of its way in and out [m/s].
        arrival: When it is there, unless something keeps it [s].
        stay: For how long [s].
        keep: How near it comes to the robot by itself [m].
        colour: Of hand and sleeve.
    """

    tip: Vector
    direction: Vector
    length: float
    speed: float
    arrival: float
    stay: float
    keep: float
    colour: Colour

    @property
    def departure(self) -> float:
        """When it turns back, whether it got there or not [s]."""
        return self.arrival + self.stay


def draw_visit(suite: Suite, task: Task, layout: Layout, rng: np.random.Generator) -> Visit | None:
    """Draw a visit that ends on the arm's straight way.

    Args:
        suite: Sizes of all things.
        task: What to draw from.
        layout: Where everything is.
        rng: Source of randomness.
    """
    if (spec := task.intruder) is None:
        return None
    way = straight_way(suite, task, layout)
    side = float(rng.choice([-1.0, 1.0]))
    turn = rng.uniform(-0.4, 0.4)
    aim = way[int(rng.integers(len(way) // 4, len(way)))].position
    tip = np.array([aim[0], aim[1], rng.uniform(*spec.height)])
    direction = np.array([np.sin(turn), -side * np.cos(turn), 0.0])
    return Visit(
        tip=tip,
        direction=direction,
        length=(OUTSIDE + side * -tip[1]) / float(np.cos(turn)),
        speed=float(rng.uniform(*spec.speed)),
        arrival=float(rng.uniform(*spec.arrival)),
        stay=float(rng.uniform(*spec.stay)),
        keep=spec.keep,
        colour=spec.colour,
    )


class Intruder:
    """The hand and forearm in one physics server.

    They move as a person would who sees the arm: on their way in they wait rather than come nearer
    to it than ``visit.keep``, and on their way out they go round it. From there on only the arm's
    own motion brings the two together.

    Args:
        bullet: The physics server.
        visit: When it comes, and where to.
        arm: Number of the robot in the physics server.

    Attributes:
        bodies: Numbers of its parts in the physics server.
        inside: How far it has come in, from 0 to 1.
    """

    def __init__(self, bullet: Bullet, visit: Visit, arm: int) -> None:
        self.visit = visit
        self.inside = 0.0
        self._aside = np.zeros(3)
        self._bullet = bullet
        self._arm = arm
        self._turn = bullet.getQuaternionFromEuler(
            [0.0, 0.0, float(np.arctan2(visit.direction[1], visit.direction[0]))]
        )
        self.bodies = tuple(self._part(size) for size in (HAND, SLEEVE))
        self._show()

    def begin(self) -> None:
        """Come in as far as it is at the beginning, or as the arm leaves room."""
        share = 1.0 - self.visit.arrival * self.visit.speed / self.visit.length
        for inside in np.linspace(max(share, 0.0), 0.0, STARTS):
            self.inside = float(inside)
            self._show()
            if self._gap() >= 2.0 * self.visit.keep:
                return

    def advance(self, now: float, duration: float) -> None:
        """Let a short time pass.

        Args:
            now: Simulated time since the robot began to move [s].
            duration: Until the next call [s].
        """
        visit = self.visit
        step = visit.speed * duration / visit.length
        if self.inside == 0.0 and not 0.0 <= visit.arrival - now <= visit.length / visit.speed:
            return
        leaves = now >= visit.departure
        wanted = float(np.clip(self.inside + (-step if leaves else step), 0.0, 1.0))
        if wanted == self.inside or self._goes(wanted, self._aside) or not leaves:
            return
        self._goes(self.inside, self._aside + visit.speed * duration * self._away())

    def _goes(self, inside: float, aside: Vector) -> bool:
        """Move, unless that brings it too near to the arm; whether it did."""
        before, gap = (self.inside, self._aside), self._gap()
        self.inside, self._aside = inside, aside
        self._show()
        if self._gap() >= min(self.visit.keep, gap):
            return True
        self.inside, self._aside = before
        self._show()
        return False

    def _gap(self) -> float:
        """Distance from the arm [m], at most FAR."""
        return min((point[8] for point in self._near()), default=FAR)

    def _away(self) -> Vector:
        """Horizontal unit vector (3,) away from the nearest point of the arm."""
        point = min(self._near(), key=lambda near: float(near[8]))
        away = np.array(point[6]) - np.array(point[5])
        away[2] = 0.0
        return np.asarray(away / max(float(np.linalg.norm(away)), 1e-6))

    def _near(self) -> list[Sequence[Any]]:
        """Bullet's closest points between the arm (A) and the parts (B)."""
        return [
            point
            for body in self.bodies
            for point in self._bullet.getClosestPoints(self._arm, body, FAR)
        ]

    def _part(self, size: tuple[float, float, float]) -> int:
        half = [side / 2 for side in size]
        box, bullet = self._bullet.GEOM_BOX, self._bullet
        visual = bullet.createVisualShape(box, halfExtents=half, rgbaColor=[*self.visit.colour, 1])
        collision = bullet.createCollisionShape(box, halfExtents=half)
        return int(bullet.createMultiBody(0.0, collision, visual))

    def _show(self) -> None:
        """Put the parts where they are now: the sleeve behind the hand."""
        visit = self.visit
        tip = visit.tip - (1.0 - self.inside) * visit.length * visit.direction + self._aside
        for body, back in zip(self.bodies, (HAND[0] / 2, HAND[0] + SLEEVE[0] / 2), strict=True):
            centre = tip - back * visit.direction
            self._bullet.resetBasePositionAndOrientation(body, centre, self._turn)
