# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks: their goals and their success criteria.

A task is a kind (a class here: parameters and criterion) and an entry in a suite's YAML file. Every
criterion applies to a *named* object and must hold for ``hold`` seconds without a break, so success
needs the object that the instruction names. No criterion depends on the commands.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from typing_extensions import override

from magma_ros.sim.hazards import IntruderSpec, PostsSpec
from magma_ros.sim.schema import Data

Point = npt.NDArray[np.float64]


class Scene(Protocol):
    """The state that a criterion may depend on; positions in the base frame [m]."""

    object_height: float
    zone_size: float
    tray_size: float
    zone_position: Point
    tray_position: Point
    base_name: str
    target_names: tuple[str, ...]

    def tool_position(self) -> Point:
        """Where the tool centre is, (3,)."""
        ...

    def position(self, name: str) -> Point:
        """Where the centre of an object or of a drawer's handle is, (3,)."""
        ...

    def opening(self, name: str) -> float:
        """How far a drawer is out [m]."""
        ...

    def pull_direction(self) -> Point:
        """In which the drawers open, (3,) unit vector."""
        ...

    def speed(self, name: str) -> float:
        """How fast an object moves [m/s]."""
        ...

    def touched(self, name: str) -> bool:
        """Whether any part of the robot touches the object."""
        ...


class BeltDrive(Data):
    """Motion of the conveyor belt in a task.

    Attributes:
        speed: Slowest and fastest [m/s].
        start: Where the objects lie at first, counted in the direction of motion: least and most
            [m].
        period: Of a swing to and fro [s]; None for a constant speed.
    """

    speed: tuple[PositiveFloat, PositiveFloat]
    start: tuple[float, float]
    period: PositiveFloat | None = None


class Task(Data):
    """What all kinds share.

    Attributes:
        of: Task whose scenes and words it has, where it is a variation of one; else None.
        belt: How the belt moves that the objects lie on; None for a still world.
        posts: What stands beside the arm's way, or in it; None for nothing.
        intruder: A person's hand that comes in; None for nobody.
        step_limit: Environment steps (0.1 s each) before the episode is cut off.
        hold: How long the criterion must hold without a break [s].

    Class attributes: ``needs_clear_path`` and ``needs_cabinet`` say what its scenes need, and
    ``goes_straight`` whether the arm's way through it is known beforehand.
    """

    needs_clear_path: ClassVar[bool] = False
    needs_cabinet: ClassVar[bool] = False
    goes_straight: ClassVar[bool] = False

    kind: str
    step_limit: PositiveInt
    hold: PositiveFloat
    of: str | None = None
    belt: BeltDrive | None = None
    posts: PostsSpec | None = None
    intruder: IntruderSpec | None = None

    @model_validator(mode="after")
    def _has_a_way_to_stand_in(self) -> Self:
        hindered = self.posts is not None or self.intruder is not None
        if hindered and (self.belt is not None or not self.goes_straight):
            raise ValueError("posts and intruder belong to pick and place in a still world")
        return self

    def done(self, scene: Scene, name: str) -> bool:
        """Whether the criterion holds for the named object at this instant."""
        raise NotImplementedError

    def goal(self, scene: Scene, name: str) -> Point:
        """Goal position of the named object (reach: of the tool), (3,)."""
        raise NotImplementedError


class Reach(Task):
    """Bring the tool centre above an object.

    Done when the tool centre is within ``tolerance`` [m] of the point ``height`` [m] above the
    object's centre.
    """

    kind: Literal["reach"]
    height: PositiveFloat
    tolerance: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The point above the object."""
        return _raised(scene.position(name), self.height)

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        return _distance(scene.tool_position(), self.goal(scene, name)) <= self.tolerance


class Push(Task):
    """Push an object into the white zone.

    Done when the object's centre is inside the zone by at least ``margin`` [m] on every side (half
    the width of all shapes) and it stands on the table.
    """

    needs_clear_path: ClassVar[bool] = True

    kind: Literal["push"]
    margin: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The middle of the zone, at the height of an object's centre."""
        return _raised(scene.zone_position, scene.object_height / 2)

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        return _inside(
            scene.position(name),
            scene.zone_position,
            scene.zone_size / 2 - self.margin,
            scene.object_height,
        )


class Pick(Task):
    """Lift an object.

    Done when the object's centre is at least ``height`` [m] above where it is while the object
    stands on the table.
    """

    goes_straight: ClassVar[bool] = True

    kind: Literal["pick"]
    height: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The point ``height`` above where the object is on the table."""
        x, y, _ = scene.position(name)
        return np.array([x, y, scene.object_height / 2 + self.height])

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        return float(scene.position(name)[2]) >= scene.object_height / 2 + self.height


class Place(Task):
    """Put an object into the tray and let go of it.

    Done when the object's centre is inside the tray's rim by at least ``margin`` [m], the object
    lies in the tray, and no part of the robot touches it.
    """

    goes_straight: ClassVar[bool] = True

    kind: Literal["place"]
    margin: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The middle of the tray, at the height of an object's centre."""
        return _raised(scene.tray_position, scene.object_height / 2)

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        return _inside(
            scene.position(name),
            scene.tray_position,
            scene.tray_size / 2 - self.margin,
            scene.object_height,
        ) and not scene.touched(name)


class Stack(Task):
    """Put an object on top of another one and let go of it.

    The object below is the scene's ``base_name``, which the instruction names too. Done when the
    object's centre is within ``tolerance`` [m] of the point one height above the other's centre, it
    moves slower than ``rest`` [m/s], and no part of the robot touches it.
    """

    kind: Literal["stack"]
    tolerance: PositiveFloat
    rest: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The point one height above the centre of the object below."""
        return _raised(scene.position(scene.base_name), scene.object_height)

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        return (
            _distance(scene.position(name), self.goal(scene, name)) <= self.tolerance
            and scene.speed(name) <= self.rest
            and not scene.touched(name)
        )


class OpenDrawer(Task):
    """Open one of the cabinet's two drawers.

    Done when the named drawer is out by at least ``opening`` [m] and the other one by at most
    ``slack`` [m].
    """

    needs_cabinet: ClassVar[bool] = True

    kind: Literal["open-drawer"]
    opening: PositiveFloat
    slack: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """Where the handle is when the drawer is just far enough out."""
        left = self.opening - scene.opening(name)
        return scene.position(name) + left * scene.pull_direction()

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        others = (scene.opening(other) for other in scene.target_names if other != name)
        return scene.opening(name) >= self.opening and max(others) <= self.slack


class Catch(Task):
    """Get hold of an object while it is within reach.

    Done when the robot touches the object and the tool centre is within ``tolerance`` [m] of the
    object's centre.
    """

    kind: Literal["catch"]
    tolerance: PositiveFloat

    @override
    def goal(self, scene: Scene, name: str) -> Point:
        """The object itself."""
        return scene.position(name)

    @override
    def done(self, scene: Scene, name: str) -> bool:
        """See the class."""
        away = _distance(scene.tool_position(), scene.position(name))
        return away <= self.tolerance and scene.touched(name)


TaskSpec = Annotated[
    Reach | Push | Pick | Place | Stack | OpenDrawer | Catch, Field(discriminator="kind")
]
"""Any task; ``kind`` in YAML selects the class."""


def _raised(point: Point, height: float) -> Point:
    x, y, z = point
    return np.array([x, y, z + height])


def _distance(a: Point, b: Point) -> float:
    return float(np.linalg.norm(a - b))


def _inside(position: Point, centre: Point, half_side: float, object_height: float) -> bool:
    """Whether an object lies flat (to half its height) within a square around ``centre``."""
    flat = abs(float(position[2]) - object_height / 2) <= object_height / 2
    return flat and bool(np.all(np.abs(position[:2] - centre[:2]) <= half_side))
