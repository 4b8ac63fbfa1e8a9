# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws what lies where: cubes, zone and tray far enough apart, and the arm's first pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from magma_ros.sim.suite import SceneSpec, SplitSpec

Point = npt.NDArray[np.float64]

PLACE_TRIES = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """One scene.

    Attributes:
        cubes: Poses x [m], y [m], yaw [rad] by colour; the target comes first.
        zone: Centre of the white zone, (2,) [m].
        tray: Centre of the tray, (2,) [m].
        tool_position: Where the tool starts, (3,) [m].
        tool_yaw: How it is turned [rad].
    """

    cubes: dict[str, Point]
    zone: Point
    tray: Point
    tool_position: Point
    tool_yaw: float


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
    while True:
        layout = _try_layout(scene, colours, rng)
        if layout is not None and not (clear_path and _path_blocked(scene, *layout)):
            break
    zone, tray, cubes = layout
    start = scene.start
    return Layout(
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
    scene: SceneSpec, colours: list[str], rng: np.random.Generator
) -> tuple[Point, Point, list[Point]] | None:
    """Zone, tray and cubes, placed one after the other; None when one finds no room."""
    gaps = scene.gaps
    zone = rng.uniform(scene.area.low, scene.area.high)
    tray = _draw_apart(scene, rng, [(zone, gaps.zone_to_tray)])
    if tray is None:
        return None
    taken = [(zone, gaps.cube_to_zone), (tray, gaps.cube_to_tray)]
    cubes = []
    for _ in colours:
        if (cube := _draw_apart(scene, rng, taken)) is None:
            return None
        cubes.append(cube)
        taken.append((cube, gaps.cubes))
    return zone, tray, cubes


def _draw_apart(
    scene: SceneSpec, rng: np.random.Generator, taken: list[tuple[Point, float]]
) -> Point | None:
    """A point of the area that keeps its distance from every point already taken."""
    for _ in range(PLACE_TRIES):
        point = rng.uniform(scene.area.low, scene.area.high)
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
