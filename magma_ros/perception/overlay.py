# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws on camera images: where gripper and target are expected to go, and numbered marks.

Points of paths are (column, row) in pixels from the left and upper edge of the image, so that the
centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.perception.marks import Mark
from magma_ros.types import TRACE_GRID, FloatArray, ImageArray, Trace

COLOURS = {"gripper": (0, 220, 255), "target": (255, 160, 0)}
"""RGB of each mark of a trace; a blue and an orange, which nearly everybody can tell apart."""

WHITE = (255, 255, 255)

EDGE = (0, 0, 0)
"""RGB of the edge round every line, which keeps it visible on a ground of its own colour."""

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


def draw_paths(image: ImageArray, paths: Mapping[str, FloatArray]) -> ImageArray:
    """A copy of ``image`` with a line along each path and a dot at its end.

    Args:
        image: (H, W, 3) uint8 RGB.
        paths: Points by mark, (N, 2) in pixels; they may lie outside the image.
    """
    drawn = np.array(image, order="C")
    width = line_width(image.shape)
    for mark, path in paths.items():
        points = _fixed_point(path, max(image.shape))
        end = points[-1].tolist()
        for colour, margin in ((EDGE, 1), (COLOURS[mark], 0)):
            line, radius = width + 2 * margin, (width + 1 + margin) << FRACTION_BITS
            cv2.polylines(drawn, [points], False, colour, line, cv2.LINE_AA, FRACTION_BITS)
            cv2.circle(drawn, end, radius, colour, cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)
    return drawn


def draw_marks(image: ImageArray, marks: Iterable[Mark]) -> ImageArray:
    """A copy of ``image`` with an outline round every marked thing and its number on it.

    Numbers are white on a black disc, 1/20 as wide as the image and no less than 14 pixels: draw
    on an enlarged image, or they hide small things. Discs of marks that lie close together overlap.

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
    radius = max(7, round(size / 40))
    for mark in marks:
        column, row = np.rint(np.array(mark.point) * scale - 0.5).astype(int).tolist()
        cv2.circle(drawn, (column, row), radius, EDGE, cv2.FILLED, cv2.LINE_AA)
        _write(drawn, str(mark.number), (column, row), radius)
    return drawn


def _write(image: ImageArray, text: str, middle: tuple[int, int], radius: int) -> None:
    """Write into a disc, as large as fits."""
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(radius / 8))
    (wide, high), _ = cv2.getTextSize(text, font, 1.0, thickness)
    scale = 1.7 * radius / float(np.hypot(wide, high))
    (wide, high), _ = cv2.getTextSize(text, font, scale, thickness)
    corner = middle[0] - wide // 2, middle[1] + high // 2
    cv2.putText(image, text, corner, font, scale, WHITE, thickness, cv2.LINE_AA)


def line_width(shape: Sequence[int]) -> int:
    """Width of a trace's line on an image of a shape (height, width, ...) [px]."""
    size = float(max(shape[:2]))
    return max(1, round(size / 128.0))


def _fixed_point(path: FloatArray, size: int) -> npt.NDArray[np.int32]:
    """Points as OpenCV takes them: pixel centres are whole, and nothing may overflow."""
    centred = np.clip(path - 0.5, -size, 2 * size)
    points: npt.NDArray[np.int32] = np.rint(centred * (1 << FRACTION_BITS)).astype(np.int32)
    return points
