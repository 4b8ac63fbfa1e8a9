# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images: metres along the optical axis, and the points that they show.

The optical frame is that of REP 103: x to the right, y down, z into the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.perception.error import MeasurementError
from magma_ros.types import FloatArray

MILLIMETRE = 0.001
"""Unit of a 16-bit depth image [m] (REP 118)."""

MAX_PIXELS = 2**22
"""Largest depth image that is used, twice 1920 x 1080."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera without distortion, as a rectified depth image has it.

    Attributes:
        width: Columns of the image.
        height: Rows of the image.
        fx: Focal length in columns [px].
        fy: Focal length in rows [px].
        cx: Column of the principal point [px]; 0 is the centre of the first pixel.
        cy: Row of the principal point [px].

    Raises:
        MeasurementError: The numbers describe no camera.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        usable = all(map(math.isfinite, numbers)) and self.fx > 0.0 and self.fy > 0.0
        if not usable or self.width <= 0 or self.height <= 0:
            raise MeasurementError(
                f"the camera's calibration makes no sense ({self.width} x {self.height} pixels, "
                f"fx {self.fx:g}, fy {self.fy:g}, cx {self.cx:g}, cy {self.cy:g}); calibrate it, "
                "or have its driver publish the factory's calibration"
            )
        if self.width * self.height > MAX_PIXELS:
            raise MeasurementError(
                f"a depth image of {self.width} x {self.height} pixels is too large; have the "
                "camera send 320 x 240 or 640 x 480"
            )

    @property
    def matrix(self) -> FloatArray:
        """The intrinsic matrix, (3, 3) [px]."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


def in_metres(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """A depth image in metres, NaN where nothing was measured (REP 118).

    Args:
        image: (H, W), float32 in metres (NaN for unknown, -inf for too near, inf for nothing in
            range) or uint16 in millimetres (0 for unknown).

    Raises:
        MeasurementError: It has another shape or type.
    """
    if image.ndim != 2 or image.dtype not in (np.dtype(np.float32), np.dtype(np.uint16)):
        raise MeasurementError(
            f"a depth image must be (H, W) of float32 [m] or uint16 [mm], not {image.shape} of "
            f"{image.dtype}"
        )
    depth = image.astype(np.float32)
    if image.dtype == np.uint16:
        depth *= np.float32(MILLIMETRE)
    depth[~(depth > 0.0)] = np.nan
    return depth


def without_speckles(
    depth: npt.NDArray[np.float32], smallest: int, jump: float
) -> npt.NDArray[np.float32]:
    """A copy of ``depth`` (H, W) [m] that is NaN where only a few pixels hang together.

    Such are noise, or lie between an edge and what is behind it.

    Args:
        depth: The image, NaN where nothing was measured.
        smallest: Least number of connected pixels that count.
        jump: Greatest step between neighbours that belong together [m].
    """
    steps = np.nan_to_num(depth / MILLIMETRE, nan=0.0, posinf=32767.0)
    millimetres = np.clip(steps, 0.0, 32767.0).astype(np.int16)
    cv2.filterSpeckles(millimetres, 0, smallest, round(jump / MILLIMETRE))
    cleaned = depth.copy()
    cleaned[millimetres == 0] = np.nan
    return cleaned


def points_of(
    depth: npt.NDArray[np.float32], intrinsics: Intrinsics, near: float, far: float
) -> npt.NDArray[np.float32]:
    """The points (N, 3) in the optical frame that are ``near`` to ``far`` [m] deep."""
    kept = np.flatnonzero((depth >= near) & (depth <= far))
    z = depth.ravel()[kept]
    points: npt.NDArray[np.float32] = _rays(intrinsics)[kept] * z[:, None]
    return points


@lru_cache(maxsize=8)
def _rays(camera: Intrinsics) -> npt.NDArray[np.float32]:
    """Where each pixel looks (H * W, 3), with z = 1."""
    columns = (np.arange(camera.width) - camera.cx) / camera.fx
    rows = (np.arange(camera.height) - camera.cy) / camera.fy
    rays = np.ones((camera.height, camera.width, 3), np.float32)
    rays[..., 0], rays[..., 1] = columns, rows[:, None]
    return rays.reshape(-1, 3)


def in_sight(
    points: FloatArray,
    depth: npt.NDArray[np.float32],
    intrinsics: Intrinsics,
    margin: float,
) -> npt.NDArray[np.bool_]:
    """Which of ``points`` (N, 3) in the optical frame nothing hides from the camera.

    If something is still there, the picture shows it. A point counts only if no pixel round the
    one on which it lies is unknown or clearly nearer.

    Args:
        points: Where something was.
        depth: The image (H, W) [m], NaN where nothing was measured.
        intrinsics: The camera.
        margin: How much nearer a pixel must be to hide it, besides a hundredth of the depth [m].
    """
    seen = np.zeros(len(points), bool)
    ahead = np.flatnonzero(points[:, 2] > 0.0)
    x, y, z = points[ahead].T
    columns = np.rint(x / z * intrinsics.fx + intrinsics.cx)
    rows = np.rint(y / z * intrinsics.fy + intrinsics.cy)
    inside = (columns >= 0) & (columns < intrinsics.width) & (rows >= 0)
    inside &= rows < intrinsics.height
    # The border of a minimum filter counts as nearest: what lies beyond it is not known.
    nearest = cv2.erode(
        np.nan_to_num(depth, nan=0.0, posinf=1e6),
        np.ones((3, 3), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    at = rows[inside].astype(np.intp), columns[inside].astype(np.intp)
    seen[ahead[inside]] = nearest[at] > 0.99 * z[inside] - margin
    return seen
