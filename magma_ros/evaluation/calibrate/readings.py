# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays episodes in which a gate decides while every exit is read and recorded.

The world waits for decisions, so what is recorded depends on scenes, weights and gate alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
from rich.console import Console

from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings, Recorder
from magma_ros.evaluation.play.clocks import IdealClock, Pace
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.play.shadow import read_all
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import spread
from magma_ros.evaluation.suites import steps_executed
from magma_ros.evaluation.world import Scene
from magma_ros.gate.baselines import FixedDepth, OracleGate
from magma_ros.gate.confidence import Yardstick
from magma_ros.gate.handover import Provisional
from magma_ros.gate.interface import Gate, Memoryless
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import ActionChunk, Budget, ExitReading, MonotonicClock, Observation, Verdict


@dataclass(frozen=True, slots=True)
class TaskSet:
    """The tasks and split that episodes are drawn from, hence what their figures are about.

    Attributes:
        suites: Task suites.
        tasks: Which of their tasks; all if empty.
        split: Variation of scenes and instructions.

    Raises:
        MagmaError: A name is unknown.
    """

    suites: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    split: str = "seen"

    def __post_init__(self) -> None:
        self.scenes(1, 0)

    def spec(self, episodes: int, seed: int) -> EvaluationSpec:
        """The same as an evaluation of ``episodes`` seeds from ``seed`` on."""
        return EvaluationSpec(
            self.suites, self.tasks, split=self.split, episodes=episodes, seed=seed
        )

    def scenes(self, episodes: int, seed: int) -> tuple[Scene, ...]:
        """Episodes that take the tasks in turn, each with a seed of its own from ``seed`` on."""
        kinds = self.spec(episodes, seed).chosen
        return tuple(
            Scene(*kinds[number % len(kinds)], self.split, seed + number)
            for number in range(episodes)
        )


@dataclass(slots=True)
class RandomDepth(Memoryless):
    """Acts on any exit with equal probability, to reach states that no single depth leads to.

    Attributes:
        exits: How many there are.
        seed: Of the choices.
    """

    name = "random"
    exits: int
    seed: int
    _rng: np.random.Generator = field(init=False, repr=False, compare=False)
    _depth: int = field(default=1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit drawn for this observation is reached."""
        del budget
        if reading.depth == 1:
            self._depth = int(self._rng.integers(1, self.exits + 1))
        return reading.depth >= self._depth


def explorer(exits: int, scene: Scene) -> Gate:
    """Full depth in every other episode, random exits in the rest: all states that occur."""
    return RandomDepth(exits, scene.seed) if scene.seed % 2 else FixedDepth(exits)


class ShadowActor:
    """Decides by a gate, and records the readings of every exit.

    Args:
        policy: The policy, warm.
        gate: When to stop thinking.
        recorder: Takes the readings.
    """

    def __init__(self, policy: StagedPolicy, gate: Gate, recorder: Recorder) -> None:
        self._policy = policy
        self._gate = gate
        self._recorder = recorder
        self._clock = MonotonicClock()

    def reset(self) -> None:
        """Forget the last episode."""
        self._gate.reset()

    def acted(self, chunk: ActionChunk | None) -> None:
        """Let the gate know what the robot follows."""
        self._gate.acted(chunk)

    def act(
        self, observation: Observation, deadline: float, provisional: Provisional | None = None
    ) -> Verdict:
        """Decide as if only the stages up to the verdict had run.

        Raises:
            MagmaError: The observation is not what the policy takes, or the policy fails.
        """
        replay = read_all(self._policy.start(observation))
        if isinstance(self._gate, OracleGate):
            self._gate.foresee(replay.readings)
        budget = Budget(deadline)
        verdict = think(
            replay, self._gate, LatencyModel(), budget, self._clock, provisional=provisional
        )
        if verdict.chunk is not None:
            self._recorder.add(replay.readings, verdict.chunk)
        return verdict


def yardstick_for(contract: ActionContract, suites: Sequence[str]) -> Yardstick:
    """The measure of deviations for a policy in suites, by the steps that those execute."""
    steps = max(steps_executed(suite, contract.step_period) for suite in suites)
    return Yardstick(contract.ranges, steps)


def collect(
    bundle: Path,
    scenes: Sequence[Scene],
    make_gate: Callable[[Scene], Gate],
    yardstick: Yardstick,
    *,
    workers: int,
    console: Console | None,
    description: str,
) -> tuple[EpisodeReadings, ...]:
    """Play scenes with a gate.

    Args:
        bundle: Folder of the policy's bundle.
        scenes: What to play.
        make_gate: Makes the gate that decides in a scene; picklable.
        yardstick: Measures deviations.
        workers: Processes; no result depends on their number.
        console: Where to draw a progress bar, or None for none.
        description: What the bar is about.

    Returns:
        What was recorded, in the order of the scenes.

    Raises:
        MagmaError: The bundle does not load, the policy fails, or a worker died.
    """
    play = partial(_play, bundle, make_gate, yardstick)
    # A world loads what it draws when the task changes, which may take as long as an episode.
    kinds = [(scene.suite, scene.task) for scene in scenes]
    order = sorted(range(len(scenes)), key=kinds.__getitem__)
    ordered = [scenes[number] for number in order]
    found = spread(play, ordered, workers=workers, console=console, description=description)
    recorded = dict(zip(order, found, strict=True))
    return tuple(recorded[number] for number in range(len(scenes)))


def _play(
    bundle: Path, make_gate: Callable[[Scene], Gate], yardstick: Yardstick, scene: Scene
) -> EpisodeReadings:
    recorder = Recorder(yardstick)
    policy = _load(bundle)
    step = policy.manifest.action.step_period
    actor = ShadowActor(policy, make_gate(scene), recorder)
    with Episode(scene, step) as episode:
        pace = Pace(steps_executed(scene.suite, step), deadline=1.0)
        IdealClock(actor).play(episode, pace)
        return recorder.episode(success=episode.result().success)


@cache
def _load(bundle: Path) -> StagedPolicy:
    """The policy of this process, on one thread because episodes run side by side."""
    policy = StagedPolicy.load(bundle, threads=1)
    policy.warm_up()
    return policy
