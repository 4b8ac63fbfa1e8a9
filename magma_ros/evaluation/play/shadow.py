# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads every exit first and lets a gate decide afterwards, so that its choice can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from magma_ros.gate.latency import Stage
from magma_ros.gate.loop import Inference
from magma_ros.types import ExitReading


class Replay:
    """An inference whose stages have all run; going through it again costs nothing.

    Args:
        stages: In the order they ran.
        outcomes: What each gave: a reading, or None.
    """

    def __init__(self, stages: Sequence[Stage], outcomes: Sequence[ExitReading | None]) -> None:
        self._stages = stages
        self._outcomes = outcomes
        self._next = 0

    @property
    def readings(self) -> list[ExitReading]:
        """Those of all exits, the shallowest first."""
        return [outcome for outcome in self._outcomes if outcome is not None]

    @property
    def exits(self) -> int:
        """Number of exits, which is the depth of the deepest."""
        return len(self.readings)

    @property
    def upcoming(self) -> Sequence[Stage]:
        """The stages still to run up to and including the next exit; empty after the last."""
        for end in range(self._next, len(self._stages)):
            if self._outcomes[end] is not None:
                return self._stages[self._next : end + 1]
        return ()

    def advance(self) -> ExitReading | None:
        """Go through the next stage; return its reading if it has an exit."""
        self._next += 1
        return self._outcomes[self._next - 1]


def read_all(inference: Inference) -> Replay:
    """Run a fresh inference to its end.

    Raises:
        MagmaError: The policy fails.
    """
    stages: list[Stage] = []
    outcomes: list[ExitReading | None] = []
    while upcoming := inference.upcoming:
        stages.append(upcoming[0])
        outcomes.append(inference.advance())
    return Replay(stages, outcomes)
