# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the simulated cameras map space to pixels, in the conventions of ROS.

Frames are optical ones (REP 103): z ahead, x to the right and y down in the picture. Pixel (u, v)
is the one in column u and row v, and its ray passes through the point with these coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from magma_ros.sim.suite import CameraSpec
from magma_ros.types import DepthArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """Where a camera is fixed: its optical frame in the frame that carries it.

    Attributes:
        on_tool: Whether the tool carries it, else the base.
        position: (3,) [m].
        quaternion: (4,) x y z w.
    """

    on_tool: bool
    position: FloatArray
    quaternion: FloatArray


def camera_matrix(spec: CameraSpec) -> FloatArray:
    """The intrinsic matrix of a camera, (3, 3) [px].

    Bullet's software renderer samples a pixel where OpenGL has its lower left corner and not its
    middle, so the principal point is half a pixel off the middle of the picture.
    """
    focal = spec.height / 2.0 / np.tan(np.radians(spec.field_of_view) / 2.0)
    x, y = spec.width / 2.0, spec.height / 2.0 - 1.0
    return np.array([[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]])


def optical_frame(spec: CameraSpec) -> tuple[FloatArray, FloatArray]:
    """Origin (3,) [m] and rotation (3, 3) of a camera's optical frame where its spec places it."""
    ahead = np.subtract(spec.look_at, spec.eye)
    right = np.cross(ahead, spec.up)
    axes = [axis / np.linalg.norm(axis) for axis in (right, np.cross(ahead, right), ahead)]
    return np.array(spec.eye), np.column_stack(axes)


def depth_from_buffer(buffer: npt.ArrayLike, spec: CameraSpec) -> DepthArray:
    """Distances from the depth buffer of a perspective projection, as OpenGL fills it.

    Args:
        buffer: H x W values, 0 at the near clipping distance and 1 at the far one, row by row.
        spec: The camera.
    """
    near, far = spec.near, spec.far
    share = np.asarray(buffer, np.float64).reshape(spec.height, spec.width)
    depth = near * far / (far - (far - near) * share)
    return np.where(share < 1.0, depth, np.inf).astype(np.float32)
