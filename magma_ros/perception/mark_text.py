# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks and traces as Magma reads and writes them in plain text (arXiv 2502.13130).

Coordinates are whole cells of a square grid over the image, column and row, written as digits. A
question states the grid, the marks and the task; its answer says where the marks that are to be
moved begin, and then, mark by mark, where each is next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from magma_ros.types import TRACE_GRID, FloatArray, MagmaError

OLD_GRID = 200
"""Cells across the image in an earlier version of Magma."""

Place = tuple[int, int]
"""Column and row of a cell."""

_MOVED = " should be moved, and their future positions are:\n\n"
_LOCATE = "Please locate all the numerical marks in the image.\n"
_MARK_AT = re.compile(r"Mark (\d{1,6}) at \[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]")
_LABELS = re.compile(r"labeled with numeric marks:? \[((?:\d{1,6}(?:, ?\d{1,6})*)?)\]\.\n")
_TASK = re.compile(
    r"The (robot|person) is doing: (.+)\. To finish the task, how to move the numerical marks in "
    r"the image(?: with speed (\d{1,6}))?(?: for the next (\d{1,6}) steps)?\?\n"
)
_TRACE = re.compile(r'"Mark (\d{1,6})": "\[(.*?)\]"', re.DOTALL)
_POINT = re.compile(r"\[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]")


class MarkTextError(MagmaError):
    """A text about marks is not of the form that Magma was trained on; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """How are the marks to be moved?

    Attributes:
        marks: Numbers of all marks in the image, each once.
        task: What is being done, on one line.
        speed: Average speed of the marks that move [cells a step], or None where it is not told.
        steps: How many steps are asked for, or None where it is not told.
        places: Where each mark is, if the marks are told in words and not drawn on the image;
            otherwise empty.
        actor: Who does the task: ``robot`` or ``person``.
        grid: Cells across the image.

    Raises:
        MarkTextError: There is no mark, or one twice, the places are not those of the marks or lie
            outside the grid, or a text or number cannot be written.
    """

    marks: tuple[int, ...]
    task: str
    speed: int | None = None
    steps: int | None = None
    places: Mapping[int, Place] = field(default_factory=dict)
    actor: str = "robot"
    grid: int = TRACE_GRID

    def __post_init__(self) -> None:
        if not self.marks or len(set(self.marks)) != len(self.marks) or min(self.marks) < 0:
            raise MarkTextError(f"the marks are {list(self.marks)}; name each once, and at least 1")
        if not self.task or "\n" in self.task:
            raise MarkTextError("the task must be one line of text")
        if self.actor not in ("robot", "person"):
            raise MarkTextError(f"who does the task is {self.actor!r}; it must be robot or person")
        if any(number is not None and number < 0 for number in (self.speed, self.steps)):
            raise MarkTextError("speed and number of steps cannot be negative")
        if self.places and self.places.keys() != set(self.marks):
            raise MarkTextError("the places told are not those of the marks")
        for number, place in self.places.items():
            _within(number, place, self.grid)

    def render(self) -> str:
        """The question as text."""
        labels = f"labeled with numeric marks: {list(self.marks)}.\n"
        if self.places:
            labels += f"{_sentence(self.places, ', ')}.\n"
        speed = "" if self.speed is None else f" with speed {self.speed}"
        steps = "" if self.steps is None else f" for the next {self.steps} steps"
        return (
            f"{_grid_words(self.grid)}, and {labels}The {self.actor} is doing: {self.task}. To "
            f"finish the task, how to move the numerical marks in the image{speed}{steps}?\n"
        )


def parse_question(text: str) -> Question:
    """Read a question as :meth:`Question.render` writes it, with or without ``<image>`` before it.

    Raises:
        MarkTextError: A part is missing or malformed; the sentence names it.
    """
    grid = _parse_grid(text)
    labels = _LABELS.search(text)
    if labels is None:
        raise MarkTextError("the question lists no numeric marks")
    rest = text[labels.end() :]
    told, places = rest.partition("\n")[0], {}
    if _MARK_AT.match(rest):
        rest = rest[len(told) + 1 :]
        places = _places(told, grid)
    task = _TASK.fullmatch(rest)
    if task is None:
        raise MarkTextError(f"the question names no task: {_shown(rest)}")
    actor, doing, speed, steps = task.groups()
    return Question(
        marks=tuple(int(number) for number in labels[1].split(",") if number),
        task=doing,
        speed=None if speed is None else int(speed),
        steps=None if steps is None else int(steps),
        places=places,
        actor=actor,
        grid=grid,
    )


def render_answer(traces: Mapping[int, Sequence[Place]], grid: int = TRACE_GRID) -> str:
    """The answer to a question.

    Args:
        traces: Of each mark that is to be moved, where it is and where it will be, at least two
            places.
        grid: Cells across the image.

    Raises:
        MarkTextError: No mark is to be moved, one has no place to go, or lies outside the grid.
    """
    if not traces:
        raise MarkTextError("no mark is to be moved; ask where the marks are instead")
    for number, places in traces.items():
        if len(places) < 2:
            raise MarkTextError(f"mark {number} has no future position")
        for place in places:
            _within(number, place, grid)
    starts = {number: places[0] for number, places in traces.items()}
    futures = (
        f'"Mark {number}": "[{",".join(_written(place) for place in places[1:])}]"\n\n'
        for number, places in traces.items()
    )
    return f"{_sentence(starts, ', ')}{_MOVED}{''.join(futures)}"


def parse_answer(
    text: str, marks: Sequence[int] | None = None, grid: int = TRACE_GRID
) -> dict[int, tuple[Place, ...]]:
    """The trace of each mark that is to be moved, beginning with where it is.

    Args:
        text: The answer.
        marks: Numbers that there are; others are refused. None for any.
        grid: Cells across the image.

    Raises:
        MarkTextError: The answer is cut short or malformed, names a mark that is not there, or a
            place outside the grid.
    """
    clean = text.replace("<trace_start>", "").replace("<trace_end>", "")
    beginning, found, rest = clean.partition(_MOVED.rstrip())
    if not found:
        raise MarkTextError(f"the answer does not say which marks should be moved: {_shown(text)}")
    starts = _places(beginning, grid)
    futures: dict[int, tuple[Place, ...]] = {}
    for match in _TRACE.finditer(rest):
        number = int(match[1])
        if number in futures:
            raise MarkTextError(f"the answer moves mark {number} twice")
        futures[number] = _points(number, match[2], grid)
    if left := _TRACE.sub("", rest).strip():
        raise MarkTextError(
            f"the answer is cut short or malformed at {_shown(left)}; allow more new tokens"
        )
    for number in starts.keys() ^ futures.keys():
        lack = "future positions" if number in starts else "position to start from"
        raise MarkTextError(f"the answer gives mark {number} no {lack}")
    if marks is not None and (unknown := sorted(starts.keys() - set(marks))):
        raise MarkTextError(f"the answer moves mark {unknown[0]}, which is not in the image")
    return {number: (start, *futures[number]) for number, start in starts.items()}


def locate_question(grid: int = TRACE_GRID) -> str:
    """The question where all marks are, for an image in which nothing moves."""
    return f"{_grid_words(grid)}, and labeled with numeric marks.\n{_LOCATE}"


def render_places(places: Mapping[int, Place], grid: int = TRACE_GRID) -> str:
    """The answer where all marks are, by number.

    Raises:
        MarkTextError: There is none, or one lies outside the grid.
    """
    if not places:
        raise MarkTextError("there is no mark to locate")
    for number, place in places.items():
        _within(number, place, grid)
    return _sentence(dict(sorted(places.items())), ". ") + "\n"


def parse_places(text: str, grid: int = TRACE_GRID) -> dict[int, Place]:
    """Read where all marks are.

    Raises:
        MarkTextError: The text holds anything else, a mark twice, or a place outside the grid.
    """
    return _places(text, grid)


def quantise(points: FloatArray, size: tuple[int, int], grid: int = TRACE_GRID) -> list[Place]:
    """The cells of points (N, 2), columns and rows in an image of a size (width, height) [px].

    Points outside the image count as being at its edge.
    """
    cells = np.floor(np.asarray(points, float) * grid / np.array(size))
    inside = np.clip(cells, 0, grid - 1).astype(int)
    return [(int(column), int(row)) for column, row in inside]


def in_pixels(places: Sequence[Place], size: tuple[int, int], grid: int = TRACE_GRID) -> FloatArray:
    """The middles of cells, (N, 2) columns and rows in an image of a size (width, height) [px]."""
    middles: FloatArray = (np.array(places, float).reshape(-1, 2) + 0.5) * np.array(size) / grid
    return middles


def _grid_words(grid: int) -> str:
    return f"The image is split into {grid}x{grid} grids"


def _parse_grid(text: str) -> int:
    match = re.search(r"split into (\d{1,5})x(\d{1,5}) grids", text)
    if match is None or match[1] != match[2] or int(match[1]) == 0:
        raise MarkTextError("the question states no square grid over the image")
    return int(match[1])


def _sentence(places: Mapping[int, Place], between: str) -> str:
    return between.join(f"Mark {n} at {_written(place)}" for n, place in places.items())


def _written(place: Place) -> str:
    return f"[{place[0]},{place[1]}]"


def _places(text: str, grid: int) -> dict[int, Place]:
    """The marks of a sentence with their places; nothing else may stand in it."""
    found: dict[int, Place] = {}
    for match in _MARK_AT.finditer(text):
        number, place = int(match[1]), (int(match[2]), int(match[3]))
        if number in found:
            raise MarkTextError(f"mark {number} is in two places")
        _within(number, place, grid)
        found[number] = place
    if left := _MARK_AT.sub("", text).strip(" .,\n"):
        raise MarkTextError(f"this is no place of a mark: {_shown(left)}")
    if not found:
        raise MarkTextError("no mark is given a place")
    return found


def _points(number: int, text: str, grid: int) -> tuple[Place, ...]:
    if left := _POINT.sub("", text).strip(" ,\n"):
        raise MarkTextError(f"a position of mark {number} is malformed: {_shown(left)}")
    places = tuple((int(match[1]), int(match[2])) for match in _POINT.finditer(text))
    if not places:
        raise MarkTextError(f"the answer gives mark {number} no future positions")
    for place in places:
        _within(number, place, grid)
    return places


def _within(number: int, place: Place, grid: int) -> None:
    if not all(0 <= cell < grid for cell in place):
        raise MarkTextError(
            f"mark {number} is at {_written(place)}, outside the grid of {grid} x {grid} cells"
        )


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
