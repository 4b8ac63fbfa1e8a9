# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From tracks of a video to one question and answer about marks: Magma's Algorithm 2.

Points that move are parted from those that stand still, motion of the camera taken off; a few of
each get numbers in random order, so that the order tells nothing. Where nothing moves, the question
is where the marks are (arXiv 2502.13130).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from magma_ros.perception import mark_text
from magma_ros.perception.error import PerceptionError
from magma_ros.perception.mark_text import Place, Question
from magma_ros.perception.tracks import Tracks, camera_moves, homographies, warped
from magma_ros.types import TRACE_GRID, FloatArray

FORMAT = "magma-trace/1"
"""Mark of the JSON."""


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """How points become marks; the defaults are those for video of robots.

    Attributes:
        still: Mean way from frame to frame below which a point stands still for sure [px].
        moving: Mean way beyond which a point belongs to the foreground [px].
        foreground: Fewest and most marks on what moves.
        background: Fewest and most marks on what stands still.
        done: Least and greatest share of the motion that may be over at the start; which of them
            is the limit is drawn.
        apart: Least distance between points of a trace that follow each other [cells].
        slowest: Least mean way between them [cells].
        grid: Cells across the image.
    """

    still: float = 0.5
    moving: float = 2.0
    foreground: tuple[int, int] = (2, 4)
    background: tuple[int, int] = (4, 9)
    done: tuple[float, float] = (0.5, 0.7)
    apart: float = 2.0
    slowest: float = 1.0
    grid: int = TRACE_GRID


@dataclass(frozen=True, slots=True, eq=False)
class TraceSample:
    """One question about a frame of a video, and its answer.

    Attributes:
        start: Number of the frame.
        size: Its width and height [px].
        points: Where the marks are in it, columns and rows [px], by number.
        traces: Cells that each mark which moves passes, from the start on, by number.
        question: The text of the question.
        answer: The text of the answer.
        camera_moved: Whether the motion of the camera was taken off.
        grid: Cells across the image.
    """

    start: int
    size: tuple[int, int]
    points: Mapping[int, FloatArray]
    traces: Mapping[int, tuple[Place, ...]]
    question: str
    answer: str
    camera_moved: bool
    grid: int

    def paths(self) -> dict[int, FloatArray]:
        """(L, 2) what each mark passes, in pixels of the frame, by number."""
        return {n: mark_text.in_pixels(t, self.size, self.grid) for n, t in self.traces.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, with the conversation as Magma's training reads it."""
        return {
            "format": FORMAT,
            "grid": self.grid,
            "start_frame": self.start,
            "width": self.size[0],
            "height": self.size[1],
            "camera_moved": self.camera_moved,
            "marks": {
                str(n): mark_text.quantise(point[None], self.size, self.grid)[0]
                for n, point in sorted(self.points.items())
            },
            "traces": {str(n): list(trace) for n, trace in sorted(self.traces.items())},
            "conversations": [
                {"from": "human", "value": self.question},
                {"from": "gpt", "value": self.answer},
            ],
        }


def make_sample(
    tracks: Tracks,
    size: tuple[int, int],
    task: str,
    *,
    seed: int = 0,
    actor: str = "robot",
    egocentric: bool = False,
    config: SampleConfig | None = None,
) -> TraceSample:
    """Turn the tracks of a video into a question and its answer.

    Args:
        tracks: Points through the frames; a frame is a step of the trace.
        size: Width and height of a frame [px].
        task: What is being done in the video, on one line.
        seed: Of the marks' order and number, and of the start.
        actor: Who does it: ``robot`` or ``person``.
        egocentric: Whether to take the camera as moving whatever the points do.
        config: How points become marks.

    Raises:
        PerceptionError: No point is seen in more than half the frames.
        MarkTextError: The task is not one line.
    """
    config = config or SampleConfig()
    rng = np.random.default_rng(seed)
    kept = tracks.mostly_visible()
    if not kept.points.shape[1]:
        raise PerceptionError(
            "no point is seen in more than half the frames; take a shorter or steadier video"
        )
    moved = egocentric or camera_moves(kept, config.still)
    onto_first = homographies(kept) if moved else [np.eye(3)] * len(kept.points)
    steady = warped(kept, onto_first)
    front = steady.mean_step() > config.moving
    start = _start(steady.part(front), config, rng)
    # Where the points will be, as the camera sees it at the start.
    seen = homographies(kept, start) if moved else onto_first
    ahead = warped(kept, seen).at(range(start, len(seen)))
    points, traces = _number(ahead, front, size, config, rng)
    asked = partial(Question, task=task, actor=actor, grid=config.grid)
    question, answer = _texts(asked, points, traces, size)
    return TraceSample(start, size, points, traces, question, answer, moved, config.grid)


def _start(front: Tracks, config: SampleConfig, rng: np.random.Generator) -> int:
    """A frame before which no more than a drawn share of all motion happened."""
    limit = rng.uniform(*config.done)
    each = np.nansum(front.step_lengths(), axis=1)
    if not each.any():
        return 0
    over = np.concatenate([[0.0], np.cumsum(each)]) / each.sum()
    return int(rng.integers(np.flatnonzero(over[:-1] <= limit)[-1] + 1))


def _number(
    ahead: Tracks,
    front: npt.NDArray[np.bool_],
    size: tuple[int, int],
    config: SampleConfig,
    rng: np.random.Generator,
) -> tuple[dict[int, FloatArray], dict[int, tuple[Place, ...]]]:
    """Marks and traces from what is seen at the start, by number."""
    there = ahead.visible[0] & _inside(ahead.points[0], size)
    moving = _one_a_cluster(ahead, np.flatnonzero(there & front), config.foreground, rng)
    still = _one_a_cluster(ahead, np.flatnonzero(there & ~front), config.background, rng)
    numbers = (rng.permutation(len(moving) + len(still)) + 1).tolist()
    chosen = dict(zip(numbers, (*moving, *still), strict=True))
    points = {number: ahead.points[0, index] for number, index in chosen.items()}
    traces = {}
    for number in sorted(numbers[: len(moving)]):
        index = chosen[number]
        path = ahead.points[ahead.visible[:, index], index]
        if trace := _trace(path, size, config):
            traces[number] = trace
    return points, traces


def _one_a_cluster(
    tracks: Tracks, among: npt.NDArray[np.intp], count: tuple[int, int], rng: np.random.Generator
) -> list[int]:
    """Points that move differently or elsewhere: the one next to the middle of each cluster."""
    wanted = int(rng.integers(count[0], count[1] + 1))
    if len(among) <= wanted:
        return [int(index) for index in among]
    flat = np.moveaxis(tracks.points[:, among], 0, 1).reshape(len(among), -1)
    middles, labels = kmeans2(flat, wanted, minit="++", seed=rng)
    away = np.linalg.norm(flat - middles[labels], axis=1)
    members = [np.flatnonzero(labels == label) for label in range(wanted)]
    return [int(among[own[away[own].argmin()]]) for own in members if len(own)]


def _trace(path: FloatArray, size: tuple[int, int], config: SampleConfig) -> tuple[Place, ...]:
    """The cells that a path passes, without those it lingers in; empty if it is too slow."""
    cells = np.asarray(path) * config.grid / np.array(size)
    within = np.flatnonzero(~_inside(path, size))
    cells = cells[: within[0]] if len(within) else cells
    kept = [cells[0]]
    for cell in cells[1:]:
        if np.linalg.norm(cell - kept[-1]) >= config.apart:
            kept.append(cell)
    if _speed(np.array(kept)) < config.slowest:
        return ()
    places = mark_text.quantise(np.array(kept), (config.grid, config.grid), config.grid)
    return tuple(places)


def _speed(cells: FloatArray) -> float:
    """Mean way between points that follow each other; 0 for a single one."""
    steps = np.linalg.norm(np.diff(cells, axis=0), axis=-1)
    return float(steps.mean()) if len(steps) else 0.0


def _inside(points: FloatArray, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    inside = ((points >= 0.0) & (points < np.array(size, float))).all(axis=-1)
    return np.asarray(inside, np.bool_)


def _texts(
    question: Callable[..., Question],
    points: Mapping[int, FloatArray],
    traces: Mapping[int, tuple[Place, ...]],
    size: tuple[int, int],
) -> tuple[str, str]:
    """Question and answer; ``question`` lacks the marks, their speed and the number of steps."""
    if traces:
        asked = question(
            marks=tuple(sorted(points)),
            speed=int(np.mean([_speed(np.array(trace, float)) for trace in traces.values()])),
            steps=max(len(trace) for trace in traces.values()) - 1,
        )
        return asked.render(), mark_text.render_answer(traces, asked.grid)
    grid = question(marks=tuple(points)).grid  # checks the task, too
    places = {n: mark_text.quantise(point[None], size, grid)[0] for n, point in points.items()}
    return mark_text.locate_question(grid), mark_text.render_places(places, grid)
