# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the world goes on while the policy thinks.

- ``ideal``: it waits. Thinking costs nothing, so this is the upper bound of what a policy can do;
  the outcome depends on the scenes and the weights alone.
- ``modelled``: it goes on for as long as the policy would need on another computer, described by a
  hardware profile. Stages really run, but the time they take is drawn by seed.
- ``wall``: it goes on. Physics follows the wall clock while the policy runs in a process of its
  own, and actions reach the arm through the same stream as on a robot, at 50 Hz unless the suite
  has a rate of its own. A late action is late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from magma_ros.evaluation.computers.interface import Actor, Thinker
from magma_ros.evaluation.computers.modelled import ModelledComputer, ModelledThinker, SimulatedTime
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.world import INSTANT
from magma_ros.motion import ChunkStream, StreamConfig, StreamState
from magma_ros.motion.steps import displacements, openings
from magma_ros.types import ActionChunk, Clock, FloatArray, MonotonicClock

TICK = StreamConfig().period
"""Period of the command stream [s], unless the suite has its own."""

LEAD = TICK - INSTANT
"""How long before a deadline the answer in hand is acted on [s]: at the last tick before it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When the policy must decide.

    Attributes:
        execute: Steps of a chunk from one observation to the next.
        deadline: Time from an observation to its latest useful decision [s]; ignored by a clock
            that waits.
    """

    execute: int
    deadline: float


class WorldClock(Protocol):
    """Plays episodes; the clocks differ in how time passes while the policy thinks.

    Attributes:
        waits: Whether the world waits for every decision, so that none can be late.
        repeats: Whether the same scene is the same episode every time, whatever else the machine
            does; such episodes may be played side by side, and again for pictures.
    """

    waits: ClassVar[bool]
    repeats: ClassVar[bool]

    def play(self, episode: Episode, pace: Pace) -> None:
        """Play an episode from its beginning to its end."""
        ...


class IdealClock:
    """The world waits for every decision.

    Args:
        actor: Decides.
    """

    waits: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def play(self, episode: Episode, pace: Pace) -> None:
        """Observe, decide, execute, in lock step; without a decision the arm holds still."""
        self._actor.reset()
        while not episode.over:
            verdict = self._actor.act(episode.observe(), math.inf)
            episode.record(verdict)
            self._actor.acted(verdict.chunk)
            _execute(verdict.chunk, pace.execute, episode)


class WallClock:
    """The world goes on in real time.

    If this machine cannot keep physics and cameras up with the clock, the world catches up as
    fast as it can, and the episode's ``lag`` records it.

    Args:
        thinker: Decides meanwhile; gives out the answer in hand with :data:`LEAD`.
        clock: What the world follows; the deadlines lie on it.
    """

    waits: ClassVar[bool] = False
    repeats: ClassVar[bool] = False

    def __init__(self, thinker: Thinker, clock: Clock | None = None) -> None:
        self._thinker = thinker
        self._clock = clock or MonotonicClock()

    def play(self, episode: Episode, pace: Pace) -> None:
        """Stream commands at a steady rate; observe when it is time and the policy is free.

        Deadlines count from the tick, not from the physics step nearest to it.
        """
        self._thinker.reset()
        tick = episode.stream.period
        stream = ChunkStream(episode.stream)
        began = self._clock.now()
        next_observation = 0.0
        flowing = False
        ticks = 0
        while not episode.over:
            self._take_decision(episode, stream)
            if not self._thinker.busy and episode.time > next_observation - INSTANT:
                next_observation = episode.time + pace.execute * episode.step_period
                deadline = began + ticks * tick + pace.deadline
                self._thinker.offer(episode.observe(), deadline)
            sample = stream.sample(episode.time)
            episode.stalls += flowing and sample.state is not StreamState.PLAYING
            flowing = sample.state is StreamState.PLAYING
            ticks += 1
            sent = episode.follow(sample.twist, sample.gripper, ticks * tick)
            if sent is not None:
                stream.note_sent(sent, episode.time)
            episode.lag = max(episode.lag, self._clock.now() - began - episode.time)
            self._clock.sleep_until(began + ticks * tick)

    def _take_decision(self, episode: Episode, stream: ChunkStream) -> None:
        """Take what the thinker has decided, if it has."""
        if (verdict := self._thinker.take()) is None:
            return
        episode.record(verdict)
        if verdict.chunk is not None and stream.push(verdict.chunk, episode.time).accepted:
            self._thinker.acted(verdict.chunk)


class ModelledClock:
    """The world goes on while the policy thinks on a modelled computer.

    The command stream is that of the wall clock, in simulated time.

    Args:
        actor: Decides, on ``computer``.
        computer: What its stages run on.
    """

    waits: ClassVar[bool] = False
    repeats: ClassVar[bool] = True

    def __init__(self, actor: Actor, computer: ModelledComputer) -> None:
        self._actor = actor
        self._computer = computer

    def play(self, episode: Episode, pace: Pace) -> None:
        """Play an episode from its beginning to its end; the computer starts anew with it."""
        self._computer.begin(episode.scene, pace.execute * episode.step_period)
        time = SimulatedTime()
        lead = episode.stream.period - INSTANT
        thinker = ModelledThinker(self._actor, self._computer, time, lead)
        WallClock(thinker, time).play(episode, pace)


_STILL: tuple[FloatArray, float | None] = (np.zeros(6), None)


def _execute(chunk: ActionChunk | None, steps: int, episode: Episode) -> None:
    """Let the arm follow the first steps of a chunk, or hold still for as long."""
    period = episode.step_period
    commands = [_STILL] * steps if chunk is None else _commands(chunk, period)
    for twist, gripper in commands[:steps]:
        episode.follow(twist, gripper, episode.time + period)
        if episode.over:
            return


def _commands(chunk: ActionChunk, period: float) -> list[tuple[FloatArray, float | None]]:
    """The steps of a chunk as the twists and the gripper targets that carry them out."""
    grippers = [float(opening[0]) if len(opening) else None for opening in openings(chunk)]
    return list(zip(displacements(chunk) / period, grippers, strict=True))


CLOCKS: dict[str, type[WorldClock]] = {
    "ideal": IdealClock,
    "wall": WallClock,
    "modelled": ModelledClock,
}
"""Every clock by its name."""
