# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds things in a picture alone, without depth: for marks on pictures from anywhere.

Without depth there is no telling a thing from a patch of colour: what is found are regions of one
colour that are neither tiny nor as large as a background. Where depth is at hand,
:mod:`magma_ros.perception.proposals` knows better.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.files import read_text
from magma_ros.perception.error import PerceptionError
from magma_ros.perception.proposals import Proposal, proposal_of
from magma_ros.types import FloatArray, ImageArray

_WINDOW = np.ones((3, 3), np.uint8)

MOST_BOXES = 1000
"""Most boxes of a file; Magma's own pictures have a few dozen."""


@dataclass(frozen=True, slots=True)
class RegionConfig:
    """What counts as a region.

    Attributes:
        step: Change of colour between neighbouring pixels that is an edge, in CIE L*a*b*, 0..255.
        least: Least area, as a share of the picture.
        greatest: Greatest area; what is larger is background.
        apart: Least distance between their points on Magma's grid, so that no number hides
            another; the larger region is kept.
        most: Most regions; the largest are kept.
    """

    step: int = 12
    least: float = 0.0004
    greatest: float = 0.15
    apart: float = 10.0
    most: int = 30


def find_regions(picture: ImageArray, config: RegionConfig | None = None) -> list[Proposal]:
    """The regions of a picture, from left to right.

    Args:
        picture: (H, W, 3) uint8 RGB.
        config: What counts.
    """
    config = config or RegionConfig()
    height, width = picture.shape[:2]
    smooth = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), 5)
    change = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, _WINDOW).max(axis=-1)
    # With a change between two pixels both are edges: a thin line more is lost around each region.
    inside = (change <= config.step).astype(np.uint8)
    _, labels, figures, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    areas = figures[:, cv2.CC_STAT_AREA] / (width * height)
    fit = (areas >= config.least) & (areas <= config.greatest)
    fit[0] = False  # the edges
    numbers = np.flatnonzero(fit)
    kept: list[Proposal] = []
    for number in numbers[np.argsort(-areas[numbers], kind="stable")]:
        region = _region(labels == number, (width, height))
        if region is None or any(math.dist(region.point, k.point) < config.apart for k in kept):
            continue
        kept.append(region)
        if len(kept) == config.most:
            break
    return sorted(kept, key=lambda region: region.point)


def read_boxes(path: Path, size: tuple[int, int]) -> list[Proposal]:
    """Boxes from a JSON file: a list of [left, top, right, bottom], in pixels of the picture.

    Args:
        path: The file.
        size: Width and height of the picture [px].

    Raises:
        MagmaError: The file cannot be read, holds anything else, or a box that has no size or lies
            outside the picture.
    """
    remedy = "give a list of [left, top, right, bottom], in pixels"
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise PerceptionError(f"{path} is not valid JSON; {remedy}") from None
    if not isinstance(content, list) or not 0 < len(content) <= MOST_BOXES:
        raise PerceptionError(f"{path} holds no list of 1 to {MOST_BOXES} boxes; {remedy}")
    return [_box(box, index, path, size) for index, box in enumerate(content)]


def _box(box: object, index: int, path: Path, size: tuple[int, int]) -> Proposal:
    remedy = "give [left, top, right, bottom], in pixels"
    if not isinstance(box, list) or len(box) != 4 or not all(type(v) in (int, float) for v in box):
        raise PerceptionError(f"{path}: box {index} is no list of 4 numbers; {remedy}")
    left, top, right, bottom = np.clip(np.array(box, float), -1e9, 1e9)
    if not (left < right and top < bottom):  # also what is not a number
        raise PerceptionError(f"{path}: box {index} has no width or no height; {remedy}")
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    found = proposal_of(corners, size)
    if found is None:
        raise PerceptionError(
            f"{path}: box {index} lies outside the picture of {size[0]} x {size[1]} pixels"
        )
    return found


def _region(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> Proposal | None:
    grown = cv2.dilate(mask.astype(np.uint8), _WINDOW, iterations=2)
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.5, closed=True)
    corners: FloatArray = outline[:, 0].astype(float) + 0.5
    return proposal_of(corners, size) if len(corners) > 2 else None
