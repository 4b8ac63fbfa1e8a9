# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An arm, a camera, and depth images that are calculated, not rendered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from magma_ros.perception.body import Body
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.shapes import PlacedShapes, Shape, box
from magma_ros.perception.urdf import Description, read_description
from magma_ros.share import share_file

HOME = {
    "shoulder_pan": 0.0,
    "shoulder_lift": 0.1,
    "elbow": 1.9,
    "wrist_pitch": 1.14,
    "wrist_roll": 0.0,
    "left_finger": 0.03,
    "right_finger": 0.03,
}
INTRINSICS = Intrinsics(320, 240, 277.0, 277.0, 159.5, 119.5)


def looking(eye, target) -> np.ndarray:
    """(4, 4) from the optical frame of a camera at ``eye`` that looks at ``target``."""
    z = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    pose[:3, 3] = eye
    return pose


def placed(shape_at: Callable[[np.ndarray], Shape], position) -> tuple[Shape, np.ndarray]:
    pose = np.eye(4)
    pose[:3, 3] = position
    return shape_at(np.eye(4)), pose


TABLE = placed(lambda pose: box(pose, [3.0, 3.0, 0.1]), [0.5, 0.0, -0.05])


def depth_image(
    solids: Sequence[tuple[Shape, np.ndarray]], camera: np.ndarray, k: Intrinsics = INTRINSICS
) -> np.ndarray:
    """(H, W) float32: how deep the first solid is that each pixel's ray meets, NaN for none."""
    rays = np.ones((k.height, k.width, 3))
    rays[..., 0] = (np.arange(k.width) - k.cx) / k.fx
    rays[..., 1] = ((np.arange(k.height) - k.cy) / k.fy)[:, None]
    rays = rays.reshape(-1, 3) @ camera[:3, :3].T
    depth = np.full(len(rays), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for shape, pose in solids:
            origin = pose[:3, :3].T @ (camera[:3, 3] - pose[:3, 3])
            depth = np.minimum(depth, _first_hit(shape, origin, rays @ pose[:3, :3]))
    depth[~np.isfinite(depth)] = np.nan
    return depth.reshape(k.height, k.width).astype(np.float32)


def _first_hit(shape: Shape, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Where rays from ``origin`` enter a solid, in multiples of themselves; inf if nowhere."""
    if shape.radius > 0.0:
        assert not shape.half.any(), "only spheres among the rounded solids are drawn here"
        return _entry(*_quadratic(origin, rays, shape.radius))
    if shape.cylindrical:
        side = _quadratic(origin[:2], rays[:, :2], shape.half[0])
        return _entry(*_both(side, _slab(origin[2], rays[:, 2], shape.half[2])))
    low, high = np.full(len(rays), -np.inf), np.full(len(rays), np.inf)
    for axis in range(3):
        low, high = _both((low, high), _slab(origin[axis], rays[:, axis], shape.half[axis]))
    return _entry(low, high)


def _slab(origin, rays, half):
    ends = np.stack([(-half - origin) / rays, (half - origin) / rays])
    return ends.min(axis=0), ends.max(axis=0)


def _quadratic(origin, rays, radius):
    a, b = (rays**2).sum(axis=1), rays @ origin
    root = np.sqrt(b**2 - a * (origin @ origin - radius**2))  # nan where the ray passes by
    return (-b - root) / a, (-b + root) / a


def _both(one, other):
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def _entry(low, high):
    return np.where((low <= high) & (low > 0.0), low, np.inf)


@dataclass(frozen=True)
class Scene:
    """An arm on a table, seen by a camera."""

    body: Body
    camera: np.ndarray

    def solids(self, joints=None) -> PlacedShapes:
        return self.body.solids(self.body.poses(joints or HOME))

    def picture(self, *others, joints=None, camera=None) -> np.ndarray:
        robot = self.solids(joints)
        drawn = [TABLE, *zip(robot.shapes, robot.poses, strict=True), *others]
        return depth_image(drawn, self.camera if camera is None else camera)


@pytest.fixture(scope="session")
def nano_arm() -> Description:
    return read_description(share_file("sim", "robots", "nano_arm.urdf").read_text())


@pytest.fixture(scope="session")
def scene(nano_arm) -> Scene:
    body = Body(nano_arm, "base_link", "tcp", ("forearm", "wrist", "hand", "left_pad", "right_pad"))
    return Scene(body, looking([1.1, 0.5, 0.7], [0.35, 0.0, 0.25]))


@pytest.fixture(scope="session")
def at() -> Callable[..., tuple[Shape, np.ndarray]]:
    return placed


@pytest.fixture(scope="session")
def home() -> dict[str, float]:
    return dict(HOME)


@pytest.fixture(scope="session")
def intrinsics() -> Intrinsics:
    return INTRINSICS


@pytest.fixture(scope="session")
def camera_at() -> Callable[..., np.ndarray]:
    return looking
