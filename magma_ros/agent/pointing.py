# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The place that an instruction names by a mark: whether it is known, and is that of this one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from magma_ros.policy.marks import mentions_marks, named_marks
from magma_ros.types import TRACE_GRID

OVERLAP = 2.0
"""How much older than an instruction the picture may be in which its mark was found [s]."""


@dataclass(frozen=True, slots=True)
class MarkedPoint:
    """Where what bears a mark was seen.

    Attributes:
        stamp: Time of the picture in which it was found [s].
        frame_id: Frame of the camera that took the picture.
        number: Number of the mark.
        column: From 0 at the left edge of the picture to 256, or nan if no such mark is there.
        row: From 0 at the upper edge to 256.
    """

    stamp: float
    frame_id: str
    number: int
    column: float
    row: float

    @property
    def found(self) -> bool:
        """Whether the mark was there."""
        return not math.isnan(self.column)

    @property
    def inside(self) -> bool:
        """Whether it lies in the picture."""
        return 0.0 <= self.column <= TRACE_GRID and 0.0 <= self.row <= TRACE_GRID


class Pointing:
    """Matches instructions with the points that belong to them.

    Instruction and point come on topics of their own, in either order. A point belongs to the
    instruction if it is of the mark that the instruction names, and was not found long before.

    Args:
        camera: Camera in whose picture the policy takes a point, or None if it takes none.
    """

    def __init__(self, camera: str | None) -> None:
        self._camera = camera
        self._instruction = ""
        self._marks: tuple[int, ...] = ()
        self._newest: MarkedPoint | None = None

    def tell(self, instruction: str, now: float) -> None:
        """Take in a new instruction at ``now`` [s]; what was found for others is forgotten.

        The first one may be old, as may its point: both are kept for those who come late.
        """
        old = self._newest is not None and self._newest.stamp < now - OVERLAP
        if self._instruction and old:
            self._newest = None
        self._instruction = instruction
        self._marks = named_marks(instruction)

    def see(self, point: MarkedPoint) -> None:
        """Take in where a mark was found."""
        self._newest = point

    def clear(self) -> None:
        """Forget the point, after the clock has jumped."""
        self._newest = None

    @property
    def _point(self) -> MarkedPoint | None:
        """The point of this instruction."""
        point = self._newest
        return point if point is not None and self._marks == (point.number,) else None

    @property
    def place(self) -> tuple[float, float] | None:
        """Column and row of the mark that is named, or None if none is, or it is not known."""
        point = self._point
        return (point.column, point.row) if point is not None and point.inside else None

    def problem(self, frame_id: str) -> str:
        """Why the named mark cannot be acted on, in a sentence, or ''.

        Args:
            frame_id: Frame of the camera in whose pictures the policy takes points.
        """
        if not self._marks:
            unclear = self._camera is not None and mentions_marks(self._instruction)
            return "waiting to be told which mark, as in 'the one marked 3'" if unclear else ""
        mark = f"mark {self._marks[0]}"
        if self._camera is None:
            return f"the policy takes no marks: name the object instead of {mark}"
        if len(self._marks) > 1:
            named = " and ".join(map(str, self._marks))
            return f"the policy takes one mark, but is told of {named}: name the other things"
        point = self._point
        if point is None:
            return f"waiting for the place of {mark} on the topic 'instruction/point'"
        return self._unusable(point, frame_id)

    def _unusable(self, point: MarkedPoint, frame_id: str) -> str:
        mark = f"mark {point.number}"
        if not point.found:
            return f"there is no {mark} in the picture of camera {self._camera!r}; name another"
        if point.frame_id != frame_id:
            return (
                f"{mark} was found in the frame {point.frame_id[:40]!r}, but the policy takes "
                f"places in pictures of camera {self._camera!r}, whose frame is {frame_id[:40]!r}"
            )
        if not point.inside:
            return (
                f"the place of {mark}, ({point.column:g}, {point.row:g}), does not lie on the "
                f"{TRACE_GRID} x {TRACE_GRID} grid of the picture"
            )
        return ""
