# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded robot that is commanded joint by joint: where its joints were, and were sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from magma_ros.episodes import resample, topics
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.series import Series
from magma_ros.types import FloatArray

Samples = Sequence[tuple[float, Any]]
"""Times [s] and contents of messages."""

_INSTANT = 5e-10
"""Half a nanosecond, which keeps the command that opens the next row out of this one [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class JointTracks:
    """The commanded joints of a recording, in the order of their controller.

    Attributes:
        names: Of the joints.
        measured: (N,) positions of each joint that was measured [rad or m], by its name.
        sent: (N, J) positions that the guard sent [rad or m], or velocities [rad/s or m/s].
        by_velocity: Whether it sent velocities.
    """

    names: tuple[str, ...]
    measured: Mapping[str, Series]
    sent: Series
    by_velocity: bool

    def positions(self, ticks: FloatArray) -> FloatArray:
        """(T, J) measured positions at some times [s]; nan of a joint that nobody measured."""
        found = np.full((len(ticks), len(self.names)), np.nan)
        for column, name in enumerate(self.names):
            if (series := self.measured.get(name)) is not None:
                found[:, column] = resample.interpolate(series.times, series.values, ticks)
        return found

    def actions(self, ticks: FloatArray, period: float, hold: float) -> FloatArray:
        """(T, J) where the guard sent the joints during each row [rad or m].

        That is the newest position before the row's end, or where the velocities lead from where
        the joints were. Where nothing was sent for ``hold`` before the row, it is where the joints
        were at its end, as others may have moved them.

        Args:
            ticks: (T,) beginnings of the rows [s].
            period: Length of a row [s].
            hold: Longest time for which a velocity is carried out when no other comes [s].

        Raises:
            EpisodeError: The position of a joint would have to be made up.
        """
        ends = ticks + period
        if self.by_velocity:
            moved = resample.travelled(self.sent.times, self.sent.values, ticks, period, hold)
            return self._known(self.positions(ticks) + moved)
        actions = self.positions(ends)
        chosen = resample.newest(self.sent.times, ends - _INSTANT)
        for row, number in enumerate(chosen):
            old = number < 0 or self.sent.times[number] < ticks[row] - hold
            if number >= 0:
                missing = np.isnan(actions[row]) if old else np.full(len(self.names), True)
                actions[row] = np.where(missing, self.sent.values[number], actions[row])
        return self._known(actions)

    def _known(self, actions: FloatArray) -> FloatArray:
        if (unknown := np.isnan(actions).any(axis=0)).any():
            name = self.names[int(unknown.argmax())]
            raise EpisodeError(
                f"no position of the joint {name} was recorded, so where it was sent is not known; "
                "record joint_states too"
            )
        return actions


def joint_tracks(
    types: Collection[str],
    facts: Mapping[str, str],
    places: Mapping[str, str],
    samples: Callable[[str], Samples],
) -> JointTracks | None:
    """The joints of a robot that is commanded by them, or None if it is led by twists.

    Args:
        types: Full names of the topics that were recorded.
        facts: What the recorder noted.
        places: Full name of each relative one.
        samples: Times and contents of the messages on a topic, by its relative name.

    Raises:
        EpisodeError: It is not known of which joints the numbers are that were sent.
    """
    interface = facts.get("command_interface") or _heard(types, places)
    topic = topics.COMMANDS.get(interface, topics.ROBOT_TWIST)
    if topic == topics.ROBOT_TWIST:
        return None
    commands = samples(topic)
    names = tuple(filter(None, facts.get("joints.names", "").split(",")))
    if topic == topics.ROBOT_TRAJECTORY:
        names = names or tuple(next((command for _, command in commands), ()))
        whole = [(t, [c[n] for n in names]) for t, c in commands if set(names) <= set(c)]
    else:
        whole = [(time, values) for time, values in commands if len(values) == len(names)]
    if not names or (commands and not whole):
        raise EpisodeError(
            f"{places[topic]} does not say which joints it moves, and the recorder was not told; "
            "give it the robot's file"
        )
    states = samples(topics.JOINT_STATES)
    measured = {n: [(t, state[n]) for t, state in states if n in state] for n in names}
    return JointTracks(
        names,
        {name: Series.of(found, 1) for name, found in measured.items() if found},
        Series.of(whole, len(names)),
        by_velocity=topic == topics.ROBOT_VELOCITIES,
    )


def _heard(types: Collection[str], places: Mapping[str, str]) -> str:
    """The command interface by the topics alone; MoveIt Servo sends trajectories of its own."""
    found = [name for name, topic in topics.COMMANDS.items() if places[topic] in types]
    return next(iter(found), "")
