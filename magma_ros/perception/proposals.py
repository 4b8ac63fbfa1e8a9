# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the things that stand on a worktop, each once, in a depth image and a picture of it.

What rises above the worktop is cut where depth jumps and where the colour changes, so that things
that touch come apart; each piece that is left is a proposal for a mark. Clustering the points in
space (DBSCAN) would leave what touches in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.perception.error import PerceptionError
from magma_ros.types import TRACE_GRID, DepthArray, FloatArray, ImageArray

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

_WINDOW = np.ones((3, 3), np.uint8)

_RIM = 5.0
"""How far around the core of a thing its rim may reach [px]; what was cut away, and edges of the
picture and of the depth image that do not quite meet."""

_FAR = 1e6
"""Beyond every value that is compared."""

_DARK = 8.0
"""Added to every colour, so that noise in the dark is no colour [0..255]."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """One thing in a picture.

    Attributes:
        point: Column and row inside it, 0 to 256 across the picture.
        outline: (N, 2) columns and rows of its corners, likewise.
        position: (3,) middle of its visible surface in the base frame [m], or, where that is not
            known, its place in the picture, in any unit that nearness can be judged in.
        colour: (2,) share of red and of green in its mean colour, 0..1 each.
    """

    point: tuple[float, float]
    outline: FloatArray
    position: FloatArray
    colour: FloatArray


@dataclass(frozen=True, slots=True)
class ProposalConfig:
    """What counts as a thing of its own.

    Attributes:
        worktop: Height of the worktop in the base frame [m].
        clear_of: Height above the worktop that tells it from what is on it [m].
        least_height: How far a thing must rise above the worktop [m].
        greatest_height: What rises farther is no thing on the table, but the robot or a wall [m].
        lower: Least x and y of where things are looked for [m].
        upper: Greatest x and y [m].
        depth_step: Jump of depth between neighbouring pixels that parts two things [m].
        colour_step: Change in the share of red or green that parts two things, 0..1; 1 for none.
        least_area: Least visible surface of a thing, seen from the camera [m^2].

    Raises:
        PerceptionError: The area in which things are looked for has no corners, or no size.
    """

    worktop: float = 0.0
    clear_of: float = 0.008
    least_height: float = 0.025
    greatest_height: float = 0.15
    lower: tuple[float, float] = (-np.inf, -np.inf)
    upper: tuple[float, float] = (np.inf, np.inf)
    depth_step: float = 0.02
    colour_step: float = 0.1
    least_area: float = 2e-4

    def __post_init__(self) -> None:
        corners = self.lower, self.upper
        if any(len(corner) != 2 for corner in corners) or not np.less(*corners).all():
            raise PerceptionError(
                f"things are marked from {list(self.lower)} to {list(self.upper)}; give the least "
                "x and y, and greater ones"
            )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one camera saw at one moment; depth and picture share its optical frame.

    Attributes:
        depth: (H, W) distances along the optical axis [m]; not finite or 0 where unknown.
        depth_matrix: (3, 3) intrinsic matrix of the depth image [px].
        picture: (h, w, 3) uint8 RGB.
        picture_matrix: (3, 3) intrinsic matrix of the picture [px].
        position: (3,) origin of the optical frame in the base frame [m].
        rotation: (3, 3) from the optical frame to the base frame.
    """

    depth: DepthArray
    depth_matrix: FloatArray
    picture: ImageArray
    picture_matrix: FloatArray
    position: FloatArray
    rotation: FloatArray

    def points(self) -> FloatArray:
        """(H, W, 3) of what each depth pixel shows, in the base frame [m]; nan where unknown."""
        height, width = self.depth.shape
        fx, fy, cx, cy = self.depth_matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        rays = np.ones((height, width, 3), np.float32)
        rays[..., 0] = (np.arange(width) - cx) / fx
        rays[..., 1] = ((np.arange(height) - cy) / fy)[:, None]
        depth = np.where(np.isfinite(self.depth) & (self.depth > 0.0), self.depth, np.nan)
        turned = rays.reshape(-1, 3) @ np.asarray(self.rotation, np.float32).T
        points = depth.reshape(-1, 1) * turned + np.asarray(self.position, np.float32)
        return np.asarray(points.reshape(height, width, 3), np.float32)

    def part(self, rows: slice, columns: slice) -> View:
        """The view of some rows and columns of the depth image alone."""
        matrix = np.array(self.depth_matrix, float)
        matrix[:2, 2] -= columns.start, rows.start
        return replace(self, depth=self.depth[rows, columns], depth_matrix=matrix)

    def in_picture(self, pixels: FloatArray) -> FloatArray:
        """(N, 2) columns and rows of the depth image as columns and rows of the picture [px]."""
        onto = self.picture_matrix @ np.linalg.inv(self.depth_matrix)
        moved: FloatArray = pixels * onto[[0, 1], [0, 1]] + onto[:2, 2]
        return moved

    def on_grid(self, pixels: FloatArray) -> FloatArray:
        """(N, 2) columns and rows of the depth image on Magma's grid over the picture."""
        height, width = self.picture.shape[:2]
        # Pixel 0 covers 0 to 1 on the scale of the grid, so its middle is at a half.
        places: FloatArray = (self.in_picture(pixels) + 0.5) * TRACE_GRID / [width, height]
        return places


def propose(
    view: View, config: ProposalConfig, robot: Callable[[FloatArray], Mask] | None = None
) -> list[Proposal]:
    """The things that stand on the worktop, from left to right in the picture.

    Args:
        view: What was seen.
        config: What counts as a thing.
        robot: Tells which of some points (N, 3) in the base frame are of the robot itself. Where
            that is not known, whatever meets the robot in the image is left out.
    """
    points = view.points()
    standing, seams = _standing(view, points, config, robot)
    rows, columns = (np.flatnonzero(standing.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    view, points, standing = view.part(*box), points[box], standing[box]
    colours = _chromaticity(view)
    raised = standing & (points[..., 2] - config.worktop >= config.least_height)
    cores = _cores(view, colours, raised, raised & ~seams[box], config)
    labels = _grown(cores, standing, view, colours, config)
    numbers = range(1, int(labels.max()) + 1)
    found = [_proposal(view, points, colours, labels == number) for number in numbers]
    inside = [p for p in found if all(0.0 <= v <= TRACE_GRID for v in p.point)]
    return sorted(inside, key=lambda proposal: proposal.point)


def _standing(
    view: View,
    points: FloatArray,
    config: ProposalConfig,
    robot: Callable[[FloatArray], Mask] | None,
) -> tuple[Mask, Mask]:
    """(H, W) pixels of what is on the worktop, and those of them in which depth jumps."""
    height = points[..., 2] - config.worktop
    above = height >= config.clear_of
    if robot is not None:
        above[above] = ~robot(points[above])
    seams = _range_within(view.depth, above) > config.depth_step
    # Fingers that a jump of depth parts from the hand must not pass for things on the table.
    parted = above if robot is None else above & ~seams
    standing = above & ~_tall(parted, height, config)
    for axis in range(2):
        place = points[..., axis]
        standing &= (place >= config.lower[axis]) & (place <= config.upper[axis])
    return standing, seams


def _cores(
    view: View, colours: FloatArray, raised: Mask, smooth: Mask, config: ProposalConfig
) -> Labels:
    """(H, W) number of the thing that each pixel is well inside of, 0 for none.

    Args:
        view: The view.
        colours: Of each pixel.
        raised: What rises far enough.
        smooth: Those of ``raised`` in which depth does not jump.
        config: What counts as a thing.
    """
    for share in cv2.split(colours):
        smooth &= _range_within(share, raised) <= config.colour_step
    count, cores = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    return _without_small(cores, count, view, config)


def _tall(parted: Mask, height: FloatArray, config: ProposalConfig) -> Mask:
    """Pixels of what rises too high to stand on the table, and of all that hangs together with it.

    That is the robot, with what it holds.

    Args:
        parted: Pixels above the worktop, but those that part one thing from another.
        height: Of each pixel above the worktop [m].
        config: Says how high things may be.
    """
    high = (parted & (height >= config.least_height)).astype(np.uint8)
    _, parts = cv2.connectedComponents(high, connectivity=4)
    tall = np.unique(parts[(parts > 0) & (height > config.greatest_height)])
    # Its edges are not smooth.
    wide = cv2.dilate(np.isin(parts, tall).astype(np.uint8), _WINDOW, iterations=2)
    return np.asarray(wide, np.bool_)


def _chromaticity(view: View) -> FloatArray:
    """(H, W, 2) share of red and green of each depth pixel, whatever the light."""
    height, width = view.depth.shape
    corners = view.in_picture(np.array([[0.0, 0.0], [width - 1.0, height - 1.0]]))
    columns = np.linspace(corners[0, 0], corners[1, 0], width, dtype=np.float32)
    rows = np.linspace(corners[0, 1], corners[1, 1], height, dtype=np.float32)
    smooth = cv2.medianBlur(view.picture, 3)
    # Nearest, for what is in between two pixels would part nothing.
    seen = cv2.remap(smooth, *np.meshgrid(columns, rows), cv2.INTER_NEAREST).astype(np.float32)
    red, green, blue = cv2.split(seen + _DARK)
    return np.asarray(cv2.merge([red, green]) / (red + green + blue)[..., None], np.float32)


def _range_within(values: npt.NDArray[np.float32], mask: Mask) -> FloatArray:
    """(H, W) largest difference between pixels of ``mask`` in the 3 x 3 pixels about each."""
    most = cv2.dilate(np.where(mask, values, -_FAR).astype(np.float32), _WINDOW)
    least = cv2.erode(np.where(mask, values, _FAR).astype(np.float32), _WINDOW)
    return np.asarray(most - least, np.float32)


def _without_small(cores: Labels, count: int, view: View, config: ProposalConfig) -> Labels:
    """The cores of what is large enough, numbered from 1."""
    focal_square = view.depth_matrix[0, 0] * view.depth_matrix[1, 1]
    ahead = np.where(cores > 0, view.depth, 0.0) ** 2 / focal_square
    areas = np.bincount(cores.ravel(), weights=ahead.ravel(), minlength=count)
    kept = np.flatnonzero(areas >= config.least_area)
    numbers = np.zeros(count, np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[cores]


def _grown(
    cores: Labels, standing: Mask, view: View, colours: FloatArray, config: ProposalConfig
) -> Labels:
    """``cores`` with what belongs to them below and around, each pixel with the nearest one."""
    if not cores.any():
        return cores
    distance, nearest = cv2.distanceTransformWithLabels(
        (cores == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every pixel of a core has a label of its own: read off which core that is.
    owners = np.zeros(int(nearest.max()) + 1, np.int32)
    owners[nearest[cores > 0]] = cores[cores > 0]
    grown = owners[nearest]
    sizes = np.bincount(cores.ravel())
    alike = np.ones(cores.shape, bool)
    for share in cv2.split(colours):
        means = np.bincount(cores.ravel(), share.ravel()) / np.maximum(sizes, 1)
        alike &= np.abs(share - means[grown]) <= config.colour_step
    foot = config.least_height * view.depth_matrix[1, 1] / np.where(cores > 0, view.depth, np.inf)
    near = (distance <= _RIM) | (alike & (distance <= _RIM + foot.max()))
    return np.where(standing & near, grown, 0).astype(np.int32)


def _proposal(view: View, points: FloatArray, colours: FloatArray, thing: Mask) -> Proposal:
    shape = thing.astype(np.uint8)
    contours, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.0, closed=True)
    column, row = view.on_grid(_middle(thing)[None])[0].tolist()
    edge = np.clip(view.on_grid(outline[:, 0].astype(float)), 0.0, TRACE_GRID)
    return Proposal((column, row), edge, points[thing].mean(axis=0), colours[thing].mean(axis=0))


def _middle(thing: Mask) -> FloatArray:
    """(2,) column and row of the middle of some pixels, or of a place among them [px]."""
    rows, columns = np.nonzero(thing)
    middle = np.array([columns.mean(), rows.mean()])
    if not thing[tuple(np.rint(middle[::-1]).astype(int))]:  # it is hollow or bent
        inside = cv2.distanceTransform(thing.astype(np.uint8), cv2.DIST_L2, 3)
        middle = np.array(np.unravel_index(inside.argmax(), thing.shape), float)[::-1]
    return middle


def proposal_of(corners: FloatArray, size: tuple[int, int]) -> Proposal | None:
    """What somebody else found in a picture, or None if nothing of it lies there.

    Args:
        corners: (N, 2) columns and rows of its outline, from the left and upper edge [px].
        size: Width and height of the picture [px].
    """
    scale = TRACE_GRID / np.array(size)
    outline = np.clip(corners * scale, 0.0, TRACE_GRID)
    shape = np.zeros((TRACE_GRID, TRACE_GRID), np.uint8)
    cv2.fillPoly(shape, [np.rint(outline - 0.5).astype(np.int32)], 1)
    if np.ptp(outline, axis=0).min() == 0.0:
        return None
    column, row = (_middle(shape > 0) + 0.5).tolist()
    return Proposal((column, row), outline, np.array([column, row, 0.0]), np.zeros(2))
