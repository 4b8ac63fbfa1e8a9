# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws posts beside or in the way of the arm."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from magma_ros.sim.hazards import PostsSpec
from magma_ros.sim.layout import Layout
from magma_ros.sim.rehearsal import Rehearsal, ToolPose, straight_way
from magma_ros.sim.schema import Colour
from magma_ros.sim.suite import CameraSpec, Suite
from magma_ros.sim.tasks import Task

Vector = npt.NDArray[np.float64]

AREA = np.array([[0.26, -0.34], [0.68, 0.34]])
"""Where a post's centre may be: lowest and highest x and y [m]."""
BATCH = 64
"""Posts that are drawn at once."""
BATCHES = 10
MARGIN = 0.03
"""Least distance of a post from the edge of an object, of the zone or of the tray [m]."""
SIGHT = 0.03
"""How far beside the target its sight must be free too [m]."""


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """A box that stands on the table.

    Attributes:
        size: Length, width and height, (3,) [m].
        centre: (3,) [m].
        colour: Of its sides.
        gap: Least distance from the arm on its straight way [m]; inf while not measured.
    """

    size: Vector
    centre: Vector
    colour: Colour
    gap: float = np.inf


def draw_posts(
    suite: Suite, task: Task, layout: Layout, camera: CameraSpec, rng: np.random.Generator
) -> tuple[Post, ...]:
    """Draw posts that stand free, are where the task wants them, and hide nothing from the camera.

    Args:
        suite: Sizes of all other things.
        task: How many posts, how large and where.
        layout: Where everything else is.
        camera: From which the target, and the tray, must be seen.
        rng: Source of randomness.

    Returns:
        As many as were drawn, or fewer in a scene without room; where none of those looked at has
        the gap asked for, the one that comes nearest to it.
    """
    if (spec := task.posts) is None:
        return ()
    way = straight_way(suite, task, layout)
    wanted = int(rng.integers(spec.count[0], spec.count[1] + 1))
    seen = [np.array([*layout.objects[layout.targets[0]].pose[:2], suite.scene.object_height])]
    if any(np.linalg.norm(pose.position[:2] - layout.tray) < SIGHT for pose in way):
        seen.append(np.array([*layout.tray, 0.0]))
    found: list[Post] = []
    second_best: list[Post] = []
    with Rehearsal(suite) as rehearsal:
        for _ in range(BATCHES):
            for post in _measured(rehearsal, _draw_batch(spec, rng), way, spec.start):
                if not _free(post, suite, layout, found) or _hides(post, camera, seen):
                    continue
                if spec.gap[0] <= post.gap <= spec.gap[1]:
                    found.append(post)
                else:
                    second_best.append(post)
                if len(found) == wanted:
                    return tuple(found)
    if found or not second_best:
        return tuple(found)
    return (min(second_best, key=lambda post: abs(post.gap - np.clip(post.gap, *spec.gap))),)


def _draw_batch(spec: PostsSpec, rng: np.random.Generator) -> list[Post]:
    """Posts anywhere on the table."""
    sides = rng.uniform(*spec.side, size=BATCH)
    heights = rng.uniform(*spec.height, size=BATCH)
    spots = rng.uniform(AREA[0], AREA[1], size=(BATCH, 2))
    return [
        Post(np.array([side, side, height]), np.array([*spot, height / 2]), spec.colour)
        for side, height, spot in zip(sides, heights, spots, strict=True)
    ]


def _measured(
    rehearsal: Rehearsal, posts: list[Post], way: list[ToolPose], start: float
) -> list[Post]:
    """The posts that are far enough from the arm's start, with their gaps."""
    boxes = [rehearsal.box(post.size) for post in posts]
    gaps = rehearsal.gaps(way, boxes, np.array([post.centre for post in posts]))
    rehearsal.remove(boxes)
    return [
        replace(post, gap=float(row.min()))
        for post, row in zip(posts, gaps.T, strict=True)
        if row[0] >= start
    ]


def _free(post: Post, suite: Suite, layout: Layout, others: list[Post]) -> bool:
    """Whether a post keeps its distance from everything else on the table."""
    scene, half = suite.scene, post.size[0] / 2
    taken = [(at.pose[:2], suite.shapes[at.shape].length / 2) for at in layout.objects.values()]
    taken += [(layout.zone, scene.zone.size / 2), (layout.tray, scene.tray.size / 2)]
    taken += [(other.centre[:2], float(other.size[0]) / 2) for other in others]
    return all(
        np.abs(post.centre[:2] - spot).max() >= half + reach + MARGIN for spot, reach in taken
    )


def _hides(post: Post, camera: CameraSpec, seen: list[Vector]) -> bool:
    """Whether a post stands between the camera and one of some points."""
    eye = np.array(camera.eye)
    half = post.size / 2 + [SIGHT, SIGHT, 0.0]
    return any(_crosses(eye, point, post.centre, half) for point in seen)


def _crosses(start: Vector, end: Vector, centre: Vector, half: Vector) -> bool:
    """Whether a line from one point to another meets a box (slab method)."""
    way = end - start
    way = np.where(np.abs(way) < 1e-12, 1e-12, way)
    bounds = np.stack([(centre - half - start) / way, (centre + half - start) / way])
    enters, leaves = bounds.min(axis=0).max(), bounds.max(axis=0).min()
    return bool(enters <= leaves and leaves >= 0.0 and enters <= 1.0)
