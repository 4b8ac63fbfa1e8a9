# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For all tests: ROS 2's names, a DDS domain each, and fixtures that several rooms need."""

import itertools
import random
import runpy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from magma_ros import embedded
from magma_ros.types import ActionChunk, Confidence, ExitReading, MagmaError

embedded.install()

# Shuffled, so that test runs side by side on one machine hardly ever meet.
DOMAINS = itertools.cycle(random.SystemRandom().sample(range(20, 230), 210))


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain that no other test uses at the same time."""
    number = next(DOMAINS)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


@pytest.fixture
def simulate():
    """Make simulations that are closed after the test."""
    from magma_ros.sim.simulation import Simulation  # only these tests need PyBullet

    made = []

    def make(task="pick", **kwargs):
        made.append(Simulation(task, **{"seed": 0, **kwargs}))
        return made[-1]

    yield make
    for simulation in made:
        simulation.close()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A small real bundle: random weights, five stages, three exits, four steps a chunk."""
    builder = Path(__file__).parent / "policy" / "conftest.py"
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    folder.mkdir()
    runpy.run_path(str(builder))["build_bundle"](folder)
    return folder


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
