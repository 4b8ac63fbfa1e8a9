# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of known solids, calculated exactly: what tests and measurements look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.shapes import Shape
from magma_ros.types import FloatArray

Placed = tuple[Shape, FloatArray]
"""A solid, and (4, 4) from its own frame to the scene's."""

_Span = tuple[FloatArray, FloatArray]
"""Where each ray enters and leaves something."""


def looking(eye: Sequence[float], target: Sequence[float]) -> FloatArray:
    """(4, 4) from the optical frame of a camera at ``eye``, upright, that looks at ``target``."""
    z = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    pose[:3, 3] = eye
    return pose


def at(shape: Shape, position: Sequence[float]) -> Placed:
    """A solid at ``position`` [m], not turned."""
    pose = np.eye(4)
    pose[:3, 3] = position
    return shape, pose


def depth_image(solids: Sequence[Placed], camera: FloatArray, k: Intrinsics) -> FloatArray:
    """How deep the first solid is that each pixel's ray meets: (H, W) float32 [m], NaN for none.

    Args:
        solids: Boxes, cylinders and spheres.
        camera: (4, 4) from the camera's optical frame to the scene's.
        k: The camera.
    """
    rays = np.ones((k.height, k.width, 3))
    rays[..., 0] = (np.arange(k.width) - k.cx) / k.fx
    rays[..., 1] = ((np.arange(k.height) - k.cy) / k.fy)[:, None]
    rays = rays.reshape(-1, 3) @ camera[:3, :3].T
    depth = np.full(len(rays), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for shape, pose in solids:
            origin = pose[:3, :3].T @ (camera[:3, 3] - pose[:3, 3])
            entry, leaving = _span(shape, origin, rays @ pose[:3, :3])
            hit = (entry <= leaving) & (entry > 0.0)
            depth = np.where(hit & (entry < depth), entry, depth)
    depth[~np.isfinite(depth)] = np.nan
    image: FloatArray = depth.reshape(k.height, k.width).astype(np.float32)
    return image


def _span(shape: Shape, origin: FloatArray, rays: FloatArray) -> _Span:
    """Where rays from ``origin`` (3,) enter and leave a solid, in multiples of themselves."""
    if shape.radius > 0.0:
        assert not shape.half.any(), "of the rounded solids, only spheres can be drawn"
        return _round(origin, rays, shape.radius)
    if shape.cylindrical:
        side = _round(origin[:2], rays[:, :2], float(shape.half[0]))
        return _both(side, _slab(origin[2], rays[:, 2], shape.half[2]))
    span = _slab(origin[0], rays[:, 0], shape.half[0])
    for axis in (1, 2):
        span = _both(span, _slab(origin[axis], rays[:, axis], shape.half[axis]))
    return span


def _slab(origin: float, rays: FloatArray, half: float) -> _Span:
    """Between two planes."""
    ends = np.stack([(-half - origin) / rays, (half - origin) / rays])
    return ends.min(axis=0), ends.max(axis=0)


def _round(origin: FloatArray, rays: FloatArray, radius: float) -> _Span:
    """Within a circle or sphere; NaN where the ray passes by."""
    a, b = (rays**2).sum(axis=1), rays @ origin
    root = np.sqrt(b**2 - a * (origin @ origin - radius**2))
    return (-b - root) / a, (-b + root) / a


def _both(one: _Span, other: _Span) -> _Span:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])
