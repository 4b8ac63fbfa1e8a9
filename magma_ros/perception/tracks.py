# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points followed through a video by optical flow, and how the camera moved meanwhile.

Stands in for CoTracker, with which Magma's traces were made: pyramidal Lucas-Kanade from one frame
to the next. A point is kept while the flow back again ends where it began; once lost, or hidden, it
stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from magma_ros.perception.error import PerceptionError
from magma_ros.types import FloatArray, ImageArray

REPROJECTION = 4.0
"""How far a point that stands still may miss a homography of the camera's motion [px]."""

LEAST_COMMON = 8
"""Fewest points in two frames from which the camera's motion is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Points through the frames of a video.

    Attributes:
        points: (T, N, 2) columns and rows [px], of pixel centres at whole numbers.
        visible: (T, N) whether each point is seen.
    """

    points: FloatArray
    visible: npt.NDArray[np.bool_]

    def part(self, chosen: npt.NDArray[np.generic] | Sequence[int]) -> Tracks:
        """Some of the points alone, by number or by a mask."""
        chosen = np.asarray(chosen)
        return Tracks(self.points[:, chosen], self.visible[:, chosen])

    def at(self, frames: npt.NDArray[np.generic] | Sequence[int]) -> Tracks:
        """Some of the frames alone."""
        return Tracks(self.points[frames], self.visible[frames])

    def mostly_visible(self) -> Tracks:
        """The points that are seen in more than half the frames."""
        return self.part(np.flatnonzero(self.visible.mean(axis=0) > 0.5))

    def step_lengths(self) -> FloatArray:
        """(T - 1, N) how far each point goes from frame to frame [px]; nan where it is hidden."""
        lengths = np.linalg.norm(np.diff(self.points, axis=0), axis=-1)
        seen = self.visible[1:] & self.visible[:-1]
        return np.where(seen, lengths, np.nan)

    def mean_step(self) -> FloatArray:
        """(N,) mean way of each point from frame to frame [px]; 0 if it is never seen twice."""
        lengths = self.step_lengths()
        counts = np.maximum(np.isfinite(lengths).sum(axis=0), 1)
        mean: FloatArray = np.nansum(lengths, axis=0) / counts
        return mean


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """How points are followed.

    Attributes:
        grid: Points in width and in height at the beginning.
        window: Width of the patch that is looked for [px].
        levels: Times that the image is halved beforehand, for motion beyond the window.
        back: How far a point may miss its place on the way back [px].
        texture: Least eigenvalue of a patch's gradients that makes it worth following, as a share
            of the largest in the image.
    """

    grid: int = 15
    window: int = 15
    levels: int = 3
    back: float = 1.0
    texture: float = 0.01


def follow(frames: Iterable[ImageArray], config: FlowConfig | None = None) -> Tracks:
    """Follow a grid of points from the first frame on.

    In each cell of the grid the point with the strongest corner is taken, where flow is defined
    best; cells without texture have none.

    Args:
        frames: (H, W, 3) uint8 RGB each, all of one size.
        config: How.

    Raises:
        PerceptionError: There are fewer than two frames, one is of another size, or nothing in the
            first one can be followed.
    """
    config = config or FlowConfig()
    images = iter(frames)
    last = next((_grey(frame) for frame in images), None)
    if last is None:
        raise PerceptionError("the video has no frame")
    at = _corners(last, config)
    seen = np.ones(len(at), bool)
    points, visible = [at], [seen]
    for frame in images:
        now = _grey(frame)
        if now.shape != last.shape:
            raise PerceptionError(
                f"frame {len(points)} of the video has {now.shape[1]} x {now.shape[0]} pixels, the "
                f"others have {last.shape[1]} x {last.shape[0]}"
            )
        at, kept = _step(last, now, at, config)
        seen, last = seen & kept, now
        at = np.where(seen[:, None], at, points[-1])
        points.append(at)
        visible.append(seen)
    if len(points) < 2:
        raise PerceptionError("the video has a single frame; nothing can have moved")
    return Tracks(np.array(points, float), np.array(visible))


def camera_moves(tracks: Tracks, threshold: float = 0.5, share: float = 0.8) -> bool:
    """Whether so many points move that it must be the camera.

    Args:
        tracks: The points.
        threshold: Mean way from frame to frame beyond which a point moves [px].
        share: Share of the points that must be exceeded.
    """
    steps = tracks.mean_step()
    return len(steps) > 0 and float((steps > threshold).mean()) > share


def homographies(tracks: Tracks, reference: int = 0) -> list[FloatArray | None]:
    """From each frame to one of them, what a plane that stands still would undergo, (3, 3) each.

    Fitted with RANSAC to all points, so that most of them must stand still. None for frames that
    share too few points with the reference.
    """
    return [
        np.eye(3) if frame == reference else _homography(tracks, frame, reference)
        for frame in range(len(tracks.points))
    ]


def warped(tracks: Tracks, onto: Sequence[FloatArray | None]) -> Tracks:
    """The points moved by a homography a frame; where there is none they count as hidden."""
    points, visible = tracks.points.copy(), tracks.visible.copy()
    for frame, homography in enumerate(onto):
        if homography is None:
            visible[frame] = False
        elif len(points[frame]):
            points[frame] = cv2.perspectiveTransform(points[frame][None], homography)[0]
    return replace(tracks, points=points, visible=visible)


def _homography(tracks: Tracks, frame: int, reference: int) -> FloatArray | None:
    common = tracks.visible[frame] & tracks.visible[reference]
    if common.sum() < LEAST_COMMON:
        return None
    source, target = tracks.points[frame, common], tracks.points[reference, common]
    found, _ = cv2.findHomography(source, target, cv2.RANSAC, REPROJECTION)
    return None if found is None else np.asarray(found, float)


def _grey(frame: ImageArray) -> ImageArray:
    grey: ImageArray = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return grey


def _corners(grey: ImageArray, config: FlowConfig) -> FloatArray:
    """(N, 2) the strongest corner of each cell that has one."""
    strength = cv2.cornerMinEigenVal(grey, 5)
    least = config.texture * float(strength.max())
    found = []
    for rows in np.array_split(np.arange(grey.shape[0]), config.grid):
        for columns in np.array_split(np.arange(grey.shape[1]), config.grid):
            cell = strength[np.ix_(rows, columns)]
            if not cell.size or cell.max() <= least:
                continue
            row, column = np.unravel_index(int(cell.argmax()), cell.shape)
            found.append((columns[column], rows[row]))
    if not found:
        raise PerceptionError("nothing in the first frame has any texture to be followed by")
    return np.array(found, np.float32)


def _step(
    last: ImageArray, now: ImageArray, at: FloatArray, config: FlowConfig
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Where the points are in the next frame, and which of them are really there."""
    window = (config.window, config.window)
    given = np.asarray(at, np.float32)[:, None]
    ahead, found, _ = cv2.calcOpticalFlowPyrLK(
        last, now, given, None, winSize=window, maxLevel=config.levels
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(
        now, last, ahead, None, winSize=window, maxLevel=config.levels
    )
    missed = np.linalg.norm((back - given)[:, 0], axis=-1)
    ahead = ahead[:, 0]
    height, width = now.shape
    inside = ((ahead >= 0.0) & (ahead <= [width - 1.0, height - 1.0])).all(axis=-1)
    kept = (found[:, 0] > 0) & (again[:, 0] > 0) & (missed <= config.back) & inside
    return ahead, np.asarray(kept, np.bool_)
