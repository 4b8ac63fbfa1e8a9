# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Upright prisms for the physics server: what is seen of them, and what collides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from magma_ros.sim.bullet import Bullet
from magma_ros.sim.schema import Colour

Vectors = npt.NDArray[np.float64]

HULL_MARGIN = 0.001
"""That PyBullet adds around every convex hull [m]."""
BOX_CORNERS = 4


class Prism:
    """A prism around the origin, its axis along z.

    Bullet's contacts are best between boxes, so a prism over four corners is one. Others are convex
    hulls, and seen as few flat triangles: the renderer pays for each.

    Args:
        outline: Corners of its top and bottom, counter-clockwise, (N, 2) [m].
        height: [m].
    """

    def __init__(self, outline: Vectors, height: float) -> None:
        self._outline = outline
        self._height = height

    def collision(self, bullet: Bullet) -> int:
        """Its collision shape."""
        half = self._half_extents()
        if self._is_box():
            return int(bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half))
        corners = self._ring(self._height / 2), self._ring(-self._height / 2)
        hull = np.concatenate(corners) * (1.0 - HULL_MARGIN / half)
        return int(bullet.createCollisionShape(bullet.GEOM_MESH, vertices=hull.tolist()))

    def visual(self, bullet: Bullet, colour: Colour) -> int:
        """Its visual shape."""
        rgba = [*colour, 1.0]
        if self._is_box():
            half = self._half_extents()
            return int(bullet.createVisualShape(bullet.GEOM_BOX, halfExtents=half, rgbaColor=rgba))
        vertices, normals, triangles = self._mesh()
        mesh = {"vertices": vertices.tolist(), "normals": normals.tolist(), "indices": triangles}
        return int(bullet.createVisualShape(bullet.GEOM_MESH, rgbaColor=rgba, **mesh))

    def _is_box(self) -> bool:
        return len(self._outline) == BOX_CORNERS

    def _half_extents(self) -> Vectors:
        return np.array([*np.ptp(self._outline, axis=0), self._height]) / 2

    def _ring(self, height: float) -> Vectors:
        return np.column_stack([self._outline, np.full(len(self._outline), height)])

    def _mesh(self) -> tuple[Vectors, Vectors, list[int]]:
        """Vertices and normals, (M, 3) each, and triangles: the top and the sides."""
        top, bottom = self._ring(self._height / 2), self._ring(-self._height / 2)
        count = len(top)
        vertices, normals = [*top], [np.array([0.0, 0.0, 1.0])] * count
        triangles = [i for k in range(1, count - 1) for i in (0, k, k + 1)]
        for k in range(count):
            side = [bottom[k], bottom[(k + 1) % count], top[(k + 1) % count], top[k]]
            normal = np.cross(side[1] - side[0], side[3] - side[0])
            first = len(vertices)
            vertices += side
            normals += [normal / np.linalg.norm(normal)] * 4
            triangles += [first, first + 1, first + 2, first, first + 2, first + 3]
        return np.array(vertices), np.array(normals), triangles
