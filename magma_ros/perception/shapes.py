# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, cylinders, spheres and capsules, and how far points are from them.

Each is a core, grown by a radius: a box or a cylinder without one, a sphere around a point, a
capsule around a segment. The nearest point of a core is found by clipping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from magma_ros.types import FloatArray

_ROUNDING = 1e-5
"""Error of a squared distance between points a few metres from the origin [m^2]."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One solid.

    Attributes:
        pose: (4, 4) from the solid's frame, whose origin is its centre, to its link's.
        half: Half the extents (3,) of its core [m]; of a cylinder the radius twice and half its
            length along z.
        radius: By which the core is grown [m].
        cylindrical: Whether the core is a cylinder, not a box.
    """

    pose: FloatArray
    half: FloatArray
    radius: float = 0.0
    cylindrical: bool = False

    @property
    def reach(self) -> float:
        """Radius of the sphere about its centre that holds it [m]."""
        if self.cylindrical:
            return float(np.hypot(self.half[0], self.half[2])) + self.radius
        return float(np.linalg.norm(self.half)) + self.radius


def box(pose: FloatArray, size: Sequence[float]) -> Shape:
    """A box of ``size`` x, y, z [m]."""
    return Shape(pose, 0.5 * np.asarray(size, np.float64))


def cylinder(pose: FloatArray, radius: float, length: float) -> Shape:
    """A cylinder along z [m]."""
    return Shape(pose, np.array([radius, radius, 0.5 * length]), cylindrical=True)


def capsule(pose: FloatArray, radius: float, length: float) -> Shape:
    """A segment of ``length`` [m] along z, grown by ``radius`` [m]."""
    return Shape(pose, np.array([0.0, 0.0, 0.5 * length]), radius)


def sphere(pose: FloatArray, radius: float) -> Shape:
    """A sphere [m]."""
    return capsule(pose, radius, 0.0)


def bounding_capsule(vertices: FloatArray) -> Shape:
    """A capsule that holds ``vertices`` (N, 3) [m], along their longest principal axis."""
    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    _, _, axes = np.linalg.svd(vertices - vertices.mean(axis=0), full_matrices=False)
    turn = np.roll(axes, 2, axis=0).T  # the longest axis becomes z
    turn[:, 1] *= np.sign(np.linalg.det(turn))
    local = (vertices - middle) @ turn
    off = 0.5 * (local[:, :2].min(axis=0) + local[:, :2].max(axis=0))
    local[:, :2] -= off
    across = np.hypot(local[:, 0], local[:, 1])
    radius = float(across.max())
    ends = np.sqrt(np.maximum(radius**2 - across**2, 0.0))
    low, high = float((local[:, 2] + ends).min()), float((local[:, 2] - ends).max())
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = middle + turn @ np.array([*off, 0.5 * (low + high)])
    return capsule(pose, radius, max(high - low, 0.0))


class Shortest(NamedTuple):
    """The shortest vectors from some solids to points.

    Attributes:
        vectors: (N, 3) from the nearest solid's surface [m].
        lengths: (N,) [m]; inf where nothing is within reach.
        solids: (N,) indices of the nearest solids, -1 where nothing is within reach.
    """

    vectors: FloatArray
    lengths: FloatArray
    solids: npt.NDArray[np.intp]


class PlacedShapes:
    """Solids where they are at one moment.

    Args:
        shapes: The solids.
        poses: For each (4, 4) from its own frame to that of the points.
    """

    def __init__(self, shapes: Sequence[Shape], poses: Sequence[FloatArray]) -> None:
        self.shapes = list(shapes)
        self.poses = list(poses)
        self._centres = np.array([pose[:3, 3] for pose in poses]).reshape(-1, 3)
        self._reaches = np.array([shape.reach for shape in shapes])

    def holds(self, points: FloatArray, padding: float) -> npt.NDArray[np.bool_]:
        """Which of ``points`` (N, 3) lie in a solid or within ``padding`` [m] of one."""
        within = np.zeros(len(points), bool)
        bounds = self._bounds(points)
        for index, (shape, pose) in enumerate(zip(self.shapes, self.poses, strict=True)):
            near = np.flatnonzero((bounds[:, index] <= padding) & ~within)
            gaps, _ = _gaps(points[near], shape, pose)
            within[near] = np.linalg.norm(gaps, axis=1) <= shape.radius + padding
        return within

    def vectors(self, points: FloatArray, reach: float) -> Shortest:
        """The shortest vectors from the solids to ``points`` (N, 3).

        Args:
            points: Where obstacles are.
            reach: Distance beyond which nothing is looked for [m].

        Returns:
            One vector a point; of zero length inside a solid.
        """
        shortest = np.full(len(points), np.inf)
        nearest = np.full(len(points), -1)
        vectors = np.zeros((len(points), 3))
        bounds = self._bounds(points)
        for index in np.argsort(bounds.mean(axis=0)).tolist() if len(points) else []:
            shape, pose = self.shapes[index], self.poses[index]
            near = np.flatnonzero(bounds[:, index] <= np.minimum(shortest, reach))
            gaps, turn = _gaps(points[near], shape, pose)
            lengths = np.linalg.norm(gaps, axis=1)
            left = np.maximum(lengths - shape.radius, 0.0)
            better = (left < shortest[near]) & (left <= reach)
            at = near[better]
            share = left[better] / np.maximum(lengths[better], 1e-12)
            shortest[at] = left[better]
            nearest[at] = index
            vectors[at] = (gaps[better] * share[:, None]) @ turn.T
        return Shortest(vectors, shortest, nearest)

    def _bounds(self, points: FloatArray) -> FloatArray:
        """What the distance (N, S) of each point to each solid is not below [m]."""
        squares = np.einsum("ij,ij->i", points, points)[:, None] - 2.0 * points @ self._centres.T
        squares += np.einsum("ij,ij->i", self._centres, self._centres) - _ROUNDING
        bounds: FloatArray = np.sqrt(np.maximum(squares, 0.0)) - self._reaches
        return bounds


def _gaps(points: FloatArray, shape: Shape, pose: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vectors from a solid's core to ``points``, in its frame, and the turn out of that frame."""
    turn = pose[:3, :3]
    local = (points - pose[:3, 3]) @ turn
    core = np.clip(local, -shape.half, shape.half)
    if shape.cylindrical:
        across = np.maximum(np.linalg.norm(local[:, :2], axis=1), 1e-12)
        core[:, :2] = local[:, :2] * np.minimum(shape.half[0] / across, 1.0)[:, None]
    return local - core, turn
