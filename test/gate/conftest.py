# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clock stepped by hand, and an inference whose stages take the time they are told to."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from magma_ros.types import ActionChunk, Confidence, ExitReading, MagmaError


@dataclass
class SteppedClock:
    """Time moves only when a stage runs."""

    time: float = 100.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, when: float) -> None:
        self.time = max(self.time, when)


@dataclass(frozen=True)
class Stage:
    name: str
    exit: bool
    flops: int = 1000
    weight_bytes: int = 100


@dataclass
class ScriptedInference:
    """Stages with given durations and disagreements; records what was started when."""

    clock: SteppedClock
    stages: tuple[Stage, ...]
    durations: dict[str, float]
    disagreements: tuple[float, ...]
    broken: str | None = None
    started: list[tuple[float, str]] = field(default_factory=list)

    @property
    def exits(self) -> int:
        return sum(stage.exit for stage in self.stages)

    @property
    def upcoming(self) -> tuple[Stage, ...]:
        rest = self.stages[len(self.started) :]
        for count, stage in enumerate(rest, start=1):
            if stage.exit:
                return rest[:count]
        return ()

    def advance(self) -> ExitReading | None:
        stage = self.stages[len(self.started)]
        self.started.append((self.clock.now(), stage.name))
        if stage.name == self.broken:
            raise MagmaError("the stage broke")
        self.clock.time += self.durations[stage.name]
        if not stage.exit:
            return None
        depth = sum(s.exit for s in self.stages[: len(self.started)])
        return ExitReading(
            chunk=ActionChunk(0.0, 0.1, np.full((4, 7), float(depth)), depth),
            confidence=Confidence(self.disagreements[depth - 1], 0.5, 0.5),
            depth=depth,
            flops=1000 * len(self.started),
            weight_bytes=100 * len(self.started),
        )


STAGES = (
    Stage("look", exit=False),
    Stage("think_1", exit=True),
    Stage("think_2", exit=True),
    Stage("detail", exit=False),
    Stage("think_3", exit=True),
)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def stages() -> tuple[Stage, ...]:
    return STAGES


@pytest.fixture
def scripted(clock):
    """Make an inference whose exits never agree and whose stages each take 10 ms."""
    return scripted_on(clock)


@pytest.fixture(scope="session")
def make_scripted():
    """A fresh clock and :func:`scripted` on it, as often as a property test needs them."""

    def make():
        clock = SteppedClock()
        return scripted_on(clock), clock

    return make


def scripted_on(clock):
    def make(*, durations=None, disagreements=None, broken=None) -> ScriptedInference:
        times = dict.fromkeys((stage.name for stage in STAGES), 0.010) | (durations or {})
        agree = disagreements or (float("inf"), 0.5, 0.5)
        return ScriptedInference(clock, STAGES, times, agree, broken)

    return make
