# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws on camera images: where things are expected to go, and numbered marks as Magma draws them.

Whatever people or the policy are shown with marks or traces on it is drawn here; the console's page
draws the same points with the same proportions.

Points of paths are (column, row) in pixels from the left and upper edge of the image, so that the
centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import count

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.perception.marks import Mark
from magma_ros.types import TRACE_GRID, FloatArray, ImageArray, Trace

COLOURS: Mapping[Hashable, tuple[int, int, int]] = {
    "gripper": (0, 220, 255),
    "target": (255, 160, 0),
}
"""RGB of each mark of a trace; a blue and an orange, which nearly everybody can tell apart."""

PATHS = ((0, 220, 255), (255, 160, 0), (120, 220, 60), (255, 110, 220), (250, 240, 80))
"""RGB of paths that have no colour of their own, in turn."""

DISC = (255, 0, 0)
"""RGB of the disc under a mark's number, which is white: Magma's."""

DIGIT_SHARE = 0.03
"""The font grows until a digit is higher than this share of the image's width (Magma's)."""

DISC_SHARE = 0.0325
"""Radius of the disc as a share of the image's width; two digits fit."""

LEAST_DIGIT = 8
"""Height of a digit that can still be read [px]."""

WHITE = (255, 255, 255)

EDGE = (0, 0, 0)
"""RGB of the edge round every line, which keeps it visible on a ground of its own colour."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX

FRACTION_BITS = 4
"""Binary digits after the point that OpenCV is given of a coordinate."""


def draw_trace(image: ImageArray, trace: Trace) -> ImageArray:
    """A copy of ``image`` with ``trace`` on it.

    Args:
        image: (H, W, 3) uint8 RGB, from the trace's camera and at any size: drawn on an enlarged
            image, the lines come out fine.
        trace: What to draw.
    """
    height, width = image.shape[:2]
    return draw_paths(image, trace.paths(width, height))


def draw_paths(
    image: ImageArray, paths: Mapping[str, FloatArray] | Mapping[int, FloatArray]
) -> ImageArray:
    """A copy of ``image`` with a line along each path and a dot at its end.

    The colour is that of :data:`COLOURS`, or else one of :data:`PATHS`.

    Args:
        image: (H, W, 3) uint8 RGB.
        paths: Points by mark, (N, 2) in pixels; they may lie outside the image.
    """
    drawn = np.array(image, order="C")
    width = line_width(image.shape)
    for index, (mark, path) in enumerate(paths.items()):
        own = COLOURS.get(mark, PATHS[index % len(PATHS)])
        points = _fixed_point(path, max(image.shape))
        end = points[-1].tolist()
        for colour, margin in ((EDGE, 1), (own, 0)):
            line, radius = width + 2 * margin, (width + 1 + margin) << FRACTION_BITS
            cv2.polylines(drawn, [points], False, colour, line, cv2.LINE_AA, FRACTION_BITS)
            cv2.circle(drawn, end, radius, colour, cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)
    return drawn


def draw_marks(image: ImageArray, marks: Iterable[Mark]) -> ImageArray:
    """A copy of ``image`` with an outline round every marked thing and its number on it.

    Args:
        image: (H, W, 3) uint8 RGB, of the marks' camera and at any size.
        marks: What to draw, on Magma's grid; the last one comes on top.
    """
    drawn, marks = np.array(image, order="C"), list(marks)
    scale = np.array(image.shape[1::-1]) / TRACE_GRID
    size = max(image.shape)
    width = max(1, line_width(image.shape) // 2)
    for mark in marks:
        corners = _fixed_point(mark.outline * scale, size)
        for colour, line in ((EDGE, width + 2), (WHITE, width)):
            cv2.polylines(drawn, [corners], True, colour, line, cv2.LINE_AA, FRACTION_BITS)
    return draw_numbers(drawn, {mark.number: np.array(mark.point) * scale for mark in marks})


def draw_numbers(image: ImageArray, points: Mapping[int, FloatArray]) -> ImageArray:
    """A copy of ``image`` with numbers on it as Magma draws its marks: white on a red disc.

    The font grows until a digit is higher than 3 % of the image's width, and can be read in any
    case: draw on an enlarged image, or discs hide small things. Discs that lie close together
    overlap.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: Column and row of each number [px]; the last one comes on top.
    """
    drawn = np.array(image, order="C")
    width = image.shape[1]
    scale = _scale(max(DIGIT_SHARE * width, LEAST_DIGIT))
    for number, point in points.items():
        ink = _ink(str(number), scale)
        least = 0.55 * float(np.hypot(*ink.shape))  # the corners of the text, and a little more
        radius = max(round(DISC_SHARE * width), round(least))
        column, row = np.rint(np.clip(point - 0.5, -width, 2 * width)).astype(int).tolist()
        cv2.circle(drawn, (column, row), radius, DISC, cv2.FILLED, cv2.LINE_AA)
        _blend(drawn, ink, column - ink.shape[1] // 2, row - ink.shape[0] // 2)
    return drawn


@lru_cache(maxsize=64)
def _scale(height: float) -> int:
    """The least scale of the font at which a digit is higher than so much [px], in tenths."""
    return next(tenths for tenths in count(2) if _ink("0", tenths).shape[0] > height)


@lru_cache(maxsize=256)
def _ink(text: str, tenths: int) -> FloatArray:
    """What a text covers, 0..1, cut to its edges: versions of OpenCV differ in their margins."""
    scale, thickness = tenths / 10, max(1, round(tenths / 4))
    (wide, high), below = cv2.getTextSize(text, _FONT, scale, thickness)
    margin = 2 * thickness + 2
    page = np.zeros((high + below + 2 * margin, wide + 2 * margin), np.uint8)
    cv2.putText(page, text, (margin, margin + high), _FONT, scale, 255, thickness, cv2.LINE_AA)
    rows, columns = (np.flatnonzero((page > 127).any(axis=axis)) for axis in (1, 0))
    cut = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(cut / 255.0, np.float32)


def _blend(image: ImageArray, ink: FloatArray, left: int, top: int) -> None:
    """Write in white, as far as it lies in the image."""
    rows = slice(max(top, 0), max(top + ink.shape[0], 0))
    columns = slice(max(left, 0), max(left + ink.shape[1], 0))
    ground = image[rows, columns]
    share = ink[rows.start - top :, columns.start - left :]
    share = share[: ground.shape[0], : ground.shape[1], None]
    ground[...] = np.rint(ground * (1.0 - share) + np.array(WHITE) * share)


def line_width(shape: Sequence[int]) -> int:
    """Width of a trace's line on an image of a shape (height, width, ...) [px]."""
    size = float(max(shape[:2]))
    return max(1, round(size / 128.0))


def _fixed_point(path: FloatArray, size: int) -> npt.NDArray[np.int32]:
    """Points as OpenCV takes them: pixel centres are whole, and nothing may overflow."""
    centred = np.clip(path - 0.5, -size, 2 * size)
    points: npt.NDArray[np.int32] = np.rint(centred * (1 << FRACTION_BITS)).astype(np.int32)
    return points
