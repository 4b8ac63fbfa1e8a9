# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the poses of all objects, at given distances or in contact, and the arm's first pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from magma_ros.sim.schema import SimulationError
from magma_ros.sim.splits import SplitSpec
from magma_ros.sim.suite import BeltSpec, CabinetSpec, Rectangle, SceneSpec, ShapeSpec, Suite
from magma_ros.sim.tasks import BeltDrive

Point = npt.NDArray[np.float64]

PLACE_TRIES = 200
LAYOUT_TRIES = 2000

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """One loose object.

    Attributes:
        shape: Name of its shape.
        pose: Where it stands: x [m], y [m], yaw [rad].
    """

    shape: str
    pose: Point


@dataclass(frozen=True, slots=True)
class CabinetPlace:
    """Where a cabinet stands, and its handles.

    Attributes:
        pose: Middle of its front: x [m], y [m], yaw [rad].
        handles: Their colours, the left one first.
    """

    pose: Point
    handles: tuple[str, str]


@dataclass(frozen=True, slots=True)
class BeltMotion:
    """How a belt moves.

    Attributes:
        speed: Along y, at its fastest [m/s].
        period: Of its swing to and fro [s], or None for a constant speed.
    """

    speed: float
    period: float | None


@dataclass(frozen=True, slots=True)
class Layout:
    """One scene.

    Attributes:
        targets: Names of what the task can be done to; the instruction's comes first.
        objects: Loose objects by colour.
        zone: Centre of the white zone, (2,) [m].
        tray: Centre of the tray, (2,) [m].
        tool_position: Where the tool starts, (3,) [m].
        tool_yaw: How it is turned [rad].
        cabinet: The cabinet with drawers, if there is one.
        belt: The motion of the conveyor belt, if there is one.
    """

    targets: tuple[str, ...]
    objects: dict[str, ObjectPlace]
    zone: Point
    tray: Point
    tool_position: Point
    tool_yaw: float
    cabinet: CabinetPlace | None = None
    belt: BeltMotion | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Two objects that lie face to face.

    Attributes:
        second: Index of the one that touches the one before it.
        side: On which axis of the first one's frame: 0 for x, which leaves both free for the
            fingers; 1 for y.
    """

    second: int
    side: int


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """The objects of a scene, before each has its place.

    Attributes:
        names: Of their shapes, by colour.
        shapes: The same, as data.
        contact: Which two touch, if any.
    """

    names: dict[str, str]
    shapes: tuple[ShapeSpec, ...]
    contact: Contact | None


def draw_layout(
    suite: Suite, split: SplitSpec, rng: np.random.Generator, *, clear_path: bool
) -> Layout:
    """Draw a layout by rejection.

    Args:
        suite: Numbers, sizes, distances and shapes.
        split: Colours and combinations to choose from.
        rng: Source of randomness.
        clear_path: Keep the way from the target to the zone free of everything else.
    """
    scene = suite.scene
    chosen = _draw_objects(suite, split, rng, clear_path=clear_path)

    def attempt() -> tuple[Point, Point, list[Point]] | None:
        found = _try_layout(scene, scene.area, chosen, rng)
        blocked = found is not None and clear_path and _path_blocked(scene, *found)
        return None if blocked else found

    return _with_tool(scene, tuple(chosen.names), chosen, _first(attempt), rng)


def draw_cabinet_layout(
    suite: Suite, cabinet: CabinetSpec, split: SplitSpec, rng: np.random.Generator
) -> Layout:
    """Draw a layout whose targets are the two drawers; the rest lies out of their way.

    Args:
        suite: Numbers, sizes, distances and shapes.
        cabinet: The scene's cabinet.
        split: Colours and combinations to choose from.
        rng: Source of randomness.
    """
    scene = suite.scene
    target, other, *colours = _draw_colours(scene, split, str(rng.choice(split.targets)), rng)
    names = {colour: _draw_shape(suite, split, colour, rng) for colour in colours}
    chosen = _with_contact(suite, names, Contact(second=1, side=1), rng)
    found = _first(lambda: _try_layout(scene, cabinet.clutter, chosen, rng))
    layout = _with_tool(scene, (target, other), chosen, found, rng)
    front = rng.uniform(cabinet.front.low, cabinet.front.high)
    pose = np.array([*front, rng.uniform(-cabinet.yaw, cabinet.yaw)])
    handles = (target, other) if rng.random() < 0.5 else (other, target)
    return replace(layout, cabinet=CabinetPlace(pose, handles))


def draw_belt_layout(
    suite: Suite,
    belt: BeltSpec,
    drive: BeltDrive,
    split: SplitSpec,
    rng: np.random.Generator,
    *,
    clear_path: bool,
) -> Layout:
    """Draw a layout with all objects on a moving belt, between the tray and the zone.

    Args:
        suite: Numbers, sizes, distances and shapes.
        belt: The scene's belt.
        drive: What the task wants of it.
        split: Colours and combinations to choose from.
        rng: Source of randomness.
        clear_path: Let nothing touch the target.
    """
    scene = suite.scene
    chosen = _draw_objects(suite, split, rng, clear_path=clear_path)
    direction = rng.choice([-1.0, 1.0])
    lane = Rectangle(
        low=(belt.x - belt.lane, drive.start[0]), high=(belt.x + belt.lane, drive.start[1])
    )
    poses = _first(lambda: _draw_poses(scene, lane, chosen, [], rng))
    zone, tray = (rng.uniform(area.low, area.high) for area in (belt.zone, belt.tray))
    mirror = np.array([1.0, direction, direction])
    found = zone * mirror[:2], tray * mirror[:2], [pose * mirror for pose in poses]
    layout = _with_tool(scene, tuple(chosen.names), chosen, found, rng)
    speed = float(direction * rng.uniform(*drive.speed))
    return replace(layout, belt=BeltMotion(speed, drive.period))


def _first(attempt: Callable[[], Found | None]) -> Found:
    """The first success of an attempt that draws anew each time.

    Raises:
        SimulationError: There seems to be none.
    """
    for _ in range(LAYOUT_TRIES):
        if (found := attempt()) is not None:
            return found
    raise SimulationError(
        "the scene has no room for all its things at the distances its gaps ask for; give it a "
        "larger area, fewer objects or smaller gaps"
    )


def _with_tool(
    scene: SceneSpec,
    targets: tuple[str, ...],
    chosen: ObjectSet,
    found: tuple[Point, Point, list[Point]],
    rng: np.random.Generator,
) -> Layout:
    """The layout of zone, tray and objects, with a drawn pose of the tool."""
    zone, tray, poses = found
    start = scene.start
    return Layout(
        targets=targets,
        objects={
            colour: ObjectPlace(shape, pose)
            for (colour, shape), pose in zip(chosen.names.items(), poses, strict=True)
        },
        zone=zone,
        tray=tray,
        tool_position=rng.uniform(start.position.low, start.position.high),
        tool_yaw=float(rng.uniform(-start.yaw, start.yaw)),
    )


def _draw_objects(
    suite: Suite, split: SplitSpec, rng: np.random.Generator, *, clear_path: bool
) -> ObjectSet:
    """The objects of a scene, the target first; one may touch it, or two others on a clear path."""
    if split.held_out:
        target, shape = map(str, rng.choice(suite.held_out))
    else:
        target = str(rng.choice(split.targets))
        shape = _draw_shape(suite, split, target, rng)
    _, *others = _draw_colours(suite.scene, split, target, rng)
    names = {target: shape} | {other: _draw_shape(suite, split, other, rng) for other in others}
    contact = Contact(second=2, side=1) if clear_path else Contact(second=1, side=0)
    return _with_contact(suite, names, contact, rng)


def _with_contact(
    suite: Suite, names: dict[str, str], contact: Contact, rng: np.random.Generator
) -> ObjectSet:
    """Objects of which two touch, in a share of the scenes with enough of them."""
    touching = rng.random() < suite.scene.touching and contact.second < len(names)
    shapes = tuple(suite.shapes[name] for name in names.values())
    return ObjectSet(names, shapes, contact if touching else None)


def _draw_colours(
    scene: SceneSpec, split: SplitSpec, target: str, rng: np.random.Generator
) -> list[str]:
    """The target's colour, then as many different others as the scene shall have."""
    fewest, most = scene.objects
    others = [colour for colour in split.distractors if colour != target]
    count = int(rng.integers(fewest, most + split.more, endpoint=True)) - 1
    return [target, *map(str, rng.choice(others, size=count, replace=False))]


def _draw_shape(suite: Suite, split: SplitSpec, colour: str, rng: np.random.Generator) -> str:
    """A shape that the split may show in that colour."""
    hidden = () if split.held_out else suite.held_out
    return str(rng.choice([shape for shape in suite.shapes if (colour, shape) not in hidden]))


def _try_layout(
    scene: SceneSpec, area: Rectangle, chosen: ObjectSet, rng: np.random.Generator
) -> tuple[Point, Point, list[Point]] | None:
    """Zone, tray and poses, placed one after the other; None when one finds no room."""
    gaps = scene.gaps
    zone = rng.uniform(area.low, area.high)
    tray = _draw_apart(area, rng, [(zone, gaps.zone_to_tray)])
    if tray is None:
        return None
    taken = [(zone, gaps.object_to_zone), (tray, gaps.object_to_tray)]
    poses = _draw_poses(scene, area, chosen, taken, rng)
    return None if poses is None else (zone, tray, poses)


def _draw_poses(
    scene: SceneSpec,
    area: Rectangle,
    chosen: ObjectSet,
    taken: list[tuple[Point, float]],
    rng: np.random.Generator,
) -> list[Point] | None:
    """Poses of the objects, one after the other; None when one finds no room."""
    shapes, contact = chosen.shapes, chosen.contact
    limits = [shape.yaw for shape in shapes]
    if contact is not None:  # the second one takes over the yaw of the first one
        limits[contact.second - 1] = min(limits[contact.second - 1 : contact.second + 1])
    poses: list[Point] = []
    for index, shape in enumerate(shapes):
        if contact is not None and index == contact.second:
            pose = _beside(poses[-1], shapes[index - 1], shape, contact.side, rng)
            if not _fits(pose[:2], area, _with_gaps(scene, taken, poses[:-1])):
                return None
        else:
            point = _draw_apart(area, rng, _with_gaps(scene, taken, poses))
            if point is None:
                return None
            pose = np.array([*point, rng.uniform(-limits[index], limits[index])])
        poses.append(pose)
    return poses


def _beside(
    pose: Point, shape: ShapeSpec, other: ShapeSpec, side: int, rng: np.random.Generator
) -> Point:
    """The pose of another object that touches one, with the same yaw."""
    x, y, yaw = pose
    away = (shape.length + other.length if side == 0 else shape.width + other.width) / 2
    angle = yaw + side * np.pi / 2
    away *= rng.choice([-1.0, 1.0])
    return np.array([x + away * np.cos(angle), y + away * np.sin(angle), yaw])


def _with_gaps(
    scene: SceneSpec, taken: list[tuple[Point, float]], poses: Sequence[Point]
) -> list[tuple[Point, float]]:
    """What is taken already, and objects, with the distance to keep from each."""
    return [*taken, *((pose[:2], scene.gaps.objects) for pose in poses)]


def _draw_apart(
    area: Rectangle, rng: np.random.Generator, taken: list[tuple[Point, float]]
) -> Point | None:
    """A point of the area that keeps its distance from every point already taken."""
    for _ in range(PLACE_TRIES):
        point = rng.uniform(area.low, area.high)
        if _fits(point, area, taken):
            return point
    return None


def _fits(point: Point, area: Rectangle, taken: list[tuple[Point, float]]) -> bool:
    """Whether a point lies in an area and keeps its distance from what is taken."""
    inside = np.all(point >= area.low) and np.all(point <= area.high)
    return bool(inside) and all(np.linalg.norm(point - other) >= gap for other, gap in taken)


def _path_blocked(scene: SceneSpec, zone: Point, tray: Point, poses: list[Point]) -> bool:
    """Whether anything lies on the way of the first object into the zone."""
    target, *others = (pose[:2] for pose in poses)
    start = target - scene.path.behind * (zone - target) / np.linalg.norm(zone - target)
    obstacles = [(tray, scene.path.tray), *((other, scene.path.objects) for other in others)]
    return any(_distance_to_segment(point, start, zone) < gap for point, gap in obstacles)


def _distance_to_segment(point: Point, start: Point, end: Point) -> float:
    way = end - start
    share = np.clip((point - start) @ way / (way @ way), 0.0, 1.0)
    return float(np.linalg.norm(point - start - share * way))
