# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The grippers of a recorded robot: how open each was, and was asked to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from magma_ros.episodes import topics
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.joints import Samples
from magma_ros.episodes.series import Series
from magma_ros.spaces import GRIPPER_NAME
from magma_ros.types import FloatArray

SHORTEST_RANGE = 1e-4
"""Travel of a gripper joint below which it has not moved [m or rad]."""


class GripperEnds(NamedTuple):
    """A gripper's joint, and its positions when fully closed and fully open [m or rad]."""

    joint: str
    closed: float
    open: float

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> GripperEnds | None:
        """What the recorder noted, or None if it noted nothing usable."""
        try:
            ends = cls(
                facts["gripper.joint"],
                float(facts["gripper.closed_position"]),
                float(facts["gripper.open_position"]),
            )
        except (KeyError, ValueError):
            return None
        return (
            ends if math.isfinite(ends.closed) and math.isfinite(ends.open - ends.closed) else None
        )

    def opening(self, positions: FloatArray) -> FloatArray:
        """Openings, 1 = open and 0 = closed, of joint positions."""
        return (positions - self.closed) / (self.open - self.closed)


class GripperTrack(NamedTuple):
    """(N,) openings of a gripper, 1 = open, that were measured, and that the guard asked for."""

    openings: Series
    targets: Series


def more_grippers(facts: Mapping[str, str]) -> dict[str, GripperEnds]:
    """The grippers beside the first one that the recorder noted, by their names."""
    keys = ("names", "joint", "closed_position", "open_position")
    columns = [facts.get(f"more_grippers.{key}", "").split(",") for key in keys]
    try:
        rows = [row for row in zip(*columns, strict=True) if all(row)]
        return {n: GripperEnds(joint, float(low), float(high)) for n, joint, low, high in rows}
    except ValueError:
        return {}


def gripper_tracks(
    facts: Mapping[str, str],
    first: GripperEnds | None,
    samples: Callable[[str], Samples],
    warnings: list[str],
) -> dict[str, GripperTrack]:
    """All grippers of a recording, by their names; that of a robot with one is ``gripper``.

    Args:
        facts: What the recorder noted.
        first: Joint and ends of the first one; None for what the recorder noted.
        samples: Times and contents of the messages on a topic, by its relative name.
        warnings: Takes what is doubtful.

    Raises:
        EpisodeError: The two ends of one are one.
    """
    more = more_grippers(facts)
    name = facts.get("gripper.name", GRIPPER_NAME) if more else GRIPPER_NAME
    ends: dict[str, GripperEnds | None] = {name: first or GripperEnds.from_facts(facts)}
    commands = {name: topics.ROBOT_GRIPPER} | {other: topics.gripper(other) for other in more}
    states = samples(topics.JOINT_STATES)
    return {
        name: _gripper(states, samples(commands[name]), known, warnings)
        for name, known in (ends | more).items()
    }


def _gripper(
    states: Samples, commands: Samples, ends: GripperEnds | None, warnings: list[str]
) -> GripperTrack:
    """A gripper's measured and wanted openings."""
    joint = ends.joint if ends else next((name for _, c in commands for name in c), "")
    measured = Series.of([(t, state[joint]) for t, state in states if joint in state], 1)
    wanted = Series.of([(t, command[joint]) for t, command in commands if joint in command], 1)
    if not joint:
        return GripperTrack(measured, wanted)
    if ends is None:
        seen = np.concatenate([measured.values, wanted.values])
        low, high = float(seen.min()), float(seen.max())
        if high - low < SHORTEST_RANGE:
            low = high - 1.0  # it never moved: open
        ends = GripperEnds(joint, low, high)
        warnings.append(
            f"the ends of the gripper {joint} were not recorded; the range seen, {low:.4g} to "
            f"{high:.4g}, is taken as closed to open"
        )
    if ends.open == ends.closed:
        raise EpisodeError(
            f"the gripper {joint} is open and closed at {ends.open:g}; give two ends"
        )
    return GripperTrack(
        Series(measured.times, ends.opening(measured.values)),
        Series(wanted.times, ends.opening(wanted.values)),
    )
