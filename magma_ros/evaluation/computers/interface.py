# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces of the policies that decide in an episode, and of the computers that they run on."""

from __future__ import annotations

from typing import Protocol

from magma_ros.gate.handover import Provisional
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference
from magma_ros.types import ActionChunk, Clock, Observation, Verdict


class Actor(Protocol):
    """Turns an observation into a decision; returns when it is made."""

    def reset(self) -> None:
        """Forget the last episode."""
        ...

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn between two decisions what the robot follows, or None if nothing."""
        ...

    def act(
        self, observation: Observation, deadline: float, provisional: Provisional | None = None
    ) -> Verdict:
        """Decide; ``deadline`` is the latest useful moment on the monotonic clock [s].

        Each answer in hand is handed to ``provisional`` on the way.
        """
        ...


class Thinker(Protocol):
    """An actor that decides while the world goes on; one observation at a time."""

    @property
    def busy(self) -> bool:
        """Whether an observation was still with it, answered or not, when last asked to take."""
        ...

    def reset(self) -> None:
        """Forget the last episode, and what is still being thought."""
        ...

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn what the robot follows since the last decision, or None if nothing."""
        ...

    def offer(self, observation: Observation, deadline: float) -> None:
        """Hand over an observation; only while not ``busy``."""
        ...

    def take(self) -> Verdict | None:
        """The decision once it is there, or the answer in hand when the deadline strikes.

        Given out once; asking does not wait.
        """
        ...


class Computer(Protocol):
    """What the stages of a policy run on."""

    @property
    def clock(self) -> Clock:
        """Measures how long they take."""
        ...

    @property
    def latency(self) -> LatencyModel:
        """Forecasts how long they take."""
        ...

    def host(self, inference: Inference) -> Inference:
        """The same inference, run on this computer."""
        ...
