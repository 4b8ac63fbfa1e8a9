# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws what lies where, far enough apart, and the arm's first pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import BeltSpec, CabinetSpec, Rectangle, SceneSpec, SplitSpec
from magma_ros.sim.tasks import BeltDrive

Point = npt.NDArray[np.float64]

PLACE_TRIES = 200
LAYOUT_TRIES = 2000

Found = TypeVar("Found")


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
        cubes: Poses x [m], y [m], yaw [rad] by colour.
        zone: Centre of the white zone, (2,) [m].
        tray: Centre of the tray, (2,) [m].
        tool_position: Where the tool starts, (3,) [m].
        tool_yaw: How it is turned [rad].
        cabinet: The cabinet with drawers, if there is one.
        belt: The motion of the conveyor belt, if there is one.
    """

    targets: tuple[str, ...]
    cubes: dict[str, Point]
    zone: Point
    tray: Point
    tool_position: Point
    tool_yaw: float
    cabinet: CabinetPlace | None = None
    belt: BeltMotion | None = None


def draw_layout(
    scene: SceneSpec, split: SplitSpec, rng: np.random.Generator, *, clear_path: bool
) -> Layout:
    """Draw a layout by rejection.

    Args:
        scene: Numbers, sizes and distances.
        split: Colours to choose from.
        rng: Source of randomness.
        clear_path: Keep the way from the target to the zone free of everything else.
    """
    colours = _draw_colours(scene, split, rng)

    def attempt() -> tuple[Point, Point, list[Point]] | None:
        found = _try_layout(scene, scene.area, len(colours), rng)
        blocked = found is not None and clear_path and _path_blocked(scene, *found)
        return None if blocked else found

    return _with_tool(scene, tuple(colours), colours, _first(attempt), rng)


def draw_cabinet_layout(
    scene: SceneSpec, cabinet: CabinetSpec, split: SplitSpec, rng: np.random.Generator
) -> Layout:
    """Draw a layout whose targets are the two drawers; zone, tray and cubes lie out of their way.

    Args:
        scene: Numbers, sizes and distances.
        cabinet: The scene's cabinet.
        split: Colours to choose from.
        rng: Source of randomness.
    """
    target, other, *colours = _draw_colours(scene, split, rng)
    found = _first(lambda: _try_layout(scene, cabinet.clutter, len(colours), rng))
    layout = _with_tool(scene, (target, other), colours, found, rng)
    front = rng.uniform(cabinet.front.low, cabinet.front.high)
    pose = np.array([*front, rng.uniform(-cabinet.yaw, cabinet.yaw)])
    handles = (target, other) if rng.random() < 0.5 else (other, target)
    return replace(layout, cabinet=CabinetPlace(pose, handles))


def draw_belt_layout(
    scene: SceneSpec, belt: BeltSpec, drive: BeltDrive, split: SplitSpec, rng: np.random.Generator
) -> Layout:
    """Draw a layout with all cubes on a moving belt, between the tray and the zone.

    Args:
        scene: Numbers, sizes and distances.
        belt: The scene's belt.
        drive: What the task wants of it.
        split: Colours to choose from.
        rng: Source of randomness.
    """
    colours = _draw_colours(scene, split, rng)
    forward = np.array([1.0, rng.choice([-1.0, 1.0])])
    lane = Rectangle(
        low=(belt.x - belt.lane, drive.start[0]), high=(belt.x + belt.lane, drive.start[1])
    )
    cubes = _first(lambda: _draw_cubes(scene, lane, len(colours), [], rng))
    zone, tray = (rng.uniform(area.low, area.high) for area in (belt.zone, belt.tray))
    found = zone * forward, tray * forward, [cube * forward for cube in cubes]
    layout = _with_tool(scene, tuple(colours), colours, found, rng)
    speed = float(forward[1] * rng.uniform(*drive.speed))
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
        "larger area, fewer cubes or smaller gaps"
    )


def _with_tool(
    scene: SceneSpec,
    targets: tuple[str, ...],
    colours: list[str],
    found: tuple[Point, Point, list[Point]],
    rng: np.random.Generator,
) -> Layout:
    """The layout of zone, tray and cubes, with drawn turns of the cubes and pose of the tool."""
    zone, tray, cubes = found
    start = scene.start
    return Layout(
        targets=targets,
        cubes={
            colour: np.array([*xy, rng.uniform(-scene.cube_yaw, scene.cube_yaw)])
            for colour, xy in zip(colours, cubes, strict=True)
        },
        zone=zone,
        tray=tray,
        tool_position=rng.uniform(start.position.low, start.position.high),
        tool_yaw=float(rng.uniform(-start.yaw, start.yaw)),
    )


def _draw_colours(scene: SceneSpec, split: SplitSpec, rng: np.random.Generator) -> list[str]:
    """The target's colour, then as many different others as the scene shall have."""
    fewest, most = scene.cubes
    target = str(rng.choice(split.targets))
    others = [colour for colour in split.distractors if colour != target]
    count = int(rng.integers(fewest, most, endpoint=True)) - 1
    return [target, *map(str, rng.choice(others, size=count, replace=False))]


def _try_layout(
    scene: SceneSpec, area: Rectangle, count: int, rng: np.random.Generator
) -> tuple[Point, Point, list[Point]] | None:
    """Zone, tray and cubes, placed one after the other; None when one finds no room."""
    gaps = scene.gaps
    zone = rng.uniform(area.low, area.high)
    tray = _draw_apart(area, rng, [(zone, gaps.zone_to_tray)])
    if tray is None:
        return None
    taken = [(zone, gaps.cube_to_zone), (tray, gaps.cube_to_tray)]
    cubes = _draw_cubes(scene, area, count, taken, rng)
    return None if cubes is None else (zone, tray, cubes)


def _draw_cubes(
    scene: SceneSpec,
    area: Rectangle,
    count: int,
    taken: list[tuple[Point, float]],
    rng: np.random.Generator,
) -> list[Point] | None:
    """Centres of cubes, one after the other; None when one finds no room."""
    cubes: list[Point] = []
    for _ in range(count):
        gaps = [*taken, *((cube, scene.gaps.cubes) for cube in cubes)]
        if (cube := _draw_apart(area, rng, gaps)) is None:
            return None
        cubes.append(cube)
    return cubes


def _draw_apart(
    area: Rectangle, rng: np.random.Generator, taken: list[tuple[Point, float]]
) -> Point | None:
    """A point of the area that keeps its distance from every point already taken."""
    for _ in range(PLACE_TRIES):
        point = rng.uniform(area.low, area.high)
        if all(np.linalg.norm(point - other) >= gap for other, gap in taken):
            return point
    return None


def _path_blocked(scene: SceneSpec, zone: Point, tray: Point, cubes: list[Point]) -> bool:
    """Whether anything lies on the way of the first cube into the zone."""
    target, *others = cubes
    start = target - scene.path.behind * (zone - target) / np.linalg.norm(zone - target)
    obstacles = [(tray, scene.path.tray), *((cube, scene.path.cubes) for cube in others)]
    return any(_distance_to_segment(point, start, zone) < gap for point, gap in obstacles)


def _distance_to_segment(point: Point, start: Point, end: Point) -> float:
    way = end - start
    share = np.clip((point - start) @ way / (way @ way), 0.0, 1.0)
    return float(np.linalg.norm(point - start - share * way))
