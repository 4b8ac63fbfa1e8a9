# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One evaluated episode: what the policy sees, what it decides, what it makes the arm do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum
from types import TracebackType
from typing import Self

import numpy as np

from magma_ros.evaluation.figures.statistics import rms_jerk
from magma_ros.evaluation.play.traces import TruePaths
from magma_ros.sim.failures import Failure, Watch
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.types import FloatArray, Observation, Reason, Trace, Verdict

INSTANT = 1e-6
"""Two simulated times closer than this are the same [s]."""


class Control(Enum):
    """What is taken from the policy to see whether it really looks and listens.

    The value is the heading shown to people.
    """

    NONE = "as it is"
    BLACKOUT = "cameras black"
    SWAPPED = "instruction names another object"


@dataclass(frozen=True, slots=True)
class Scene:
    """Which episode to play; the same scene is the same episode on every machine.

    Attributes:
        suite: Task suite.
        task: Task of the suite.
        split: Variation of scene and words.
        seed: Seed of the layout and the words.
        control: What is taken from the policy.
    """

    suite: str
    task: str
    split: str
    seed: int
    control: Control = Control.NONE


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What became of one episode.

    Attributes:
        scene: Which one.
        success: Whether the task was done to the object that the scene's own instruction names.
        swapped_success: Whether it was done to the object that the swapped instruction names.
        failure: Why the first of these is not so, or None.
        duration: Simulated time until the task was done or the time was up [s].
        closest: Least distance of the tool from what it must be near, see ``Failure`` [m].
        closest_at: Simulated time of that [s].
        jerk: Root mean square jerk of the measured tool path, sampled at 10 Hz [m/s^3].
        reasons: How often each ``Reason`` ended a decision, by name.
        chunks: Decisions that gave a chunk.
        depth: Sum of the exits those chunks came from.
        flops: Floating-point operations spent on all decisions.
        weight_bytes: Bytes of weights read for all decisions.
        late: Decisions that fell after their deadline, or not at all for lack of time.
        stalls: Times that the command stream ran dry.
        lag: Longest time by which the world fell behind its clock [s].
        trace_errors: For each predicted point whose time came: distance from where the gripper,
            and from where the object that the policy was told about, really was, on the trace grid.
    """

    scene: Scene
    success: bool
    swapped_success: bool
    failure: Failure | None
    duration: float
    closest: float
    closest_at: float
    jerk: float
    reasons: dict[str, int]
    chunks: int
    depth: int
    flops: int
    weight_bytes: int
    late: int
    stalls: int
    lag: float
    trace_errors: tuple[tuple[float, float], ...]

    @property
    def decisions(self) -> int:
        """Number of observations that the policy judged."""
        return sum(self.reasons.values())


class Episode:
    """An episode while it is played; a context manager that releases the world.

    It ends when the task is done to the object that the policy was *told* about, or at the task's
    step limit.

    Attributes:
        scene: Which episode it is.
        simulation: The world, for actors that know more than a policy may.
        stalls: As in :class:`EpisodeResult`; counted by the clock.
        lag: As in :class:`EpisodeResult`; measured by the clock.

    Raises:
        SimulationError: The suite, task or split does not exist, or PyBullet is missing.
    """

    def __init__(self, scene: Scene) -> None:
        self.simulation = Simulation(
            scene.task, suite=scene.suite, split=scene.split, seed=scene.seed
        )
        self.scene = scene
        self.stalls = 0
        self.lag = 0.0
        self._told_about = (
            self.simulation.swapped_target_name
            if scene.control is Control.SWAPPED
            else self.simulation.target_name
        )
        self._time_limit = self.simulation.task.step_limit * ENV_STEP
        self._gripper = 1.0
        self._path = [self.simulation.ee_pose().position]
        self._watch = Watch(self.simulation)
        self._true_paths = TruePaths(self.simulation, self._told_about)
        self._verdicts: list[Verdict] = []
        self._drawn: list[tuple[float, Trace]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.simulation.close()

    @property
    def time(self) -> float:
        """Simulated time since the episode began [s]."""
        return self.simulation.time

    @property
    def over(self) -> bool:
        """Whether the task is done or the time is up."""
        done = self.simulation.served(self._told_about)
        return done or self.time > self._time_limit - INSTANT

    def look(self) -> Observation:
        """What the policy is given now."""
        observation = self.simulation.observation()
        match self.scene.control:
            case Control.NONE:
                return observation
            case Control.BLACKOUT:
                black = {name: np.zeros_like(image) for name, image in observation.images.items()}
                return replace(observation, images=black)
            case Control.SWAPPED:
                return replace(observation, instruction=self.simulation.swapped_instruction())

    def record(self, verdict: Verdict) -> None:
        """Add a decision to the account."""
        if verdict.chunk is not None and verdict.trace is not None:
            self._drawn.append((verdict.chunk.stamp, verdict.trace))
        self._verdicts.append(replace(verdict, chunk=None, trace=None))

    def follow(self, twist: FloatArray, gripper: float | None, until: float) -> None:
        """Let the arm follow a command.

        Args:
            twist: (6,) linear [m/s] then angular [rad/s] velocity in the base frame.
            gripper: Target opening (1 = open), or None to leave it as it is.
            until: Simulated time up to which the command holds [s].
        """
        self._gripper = self._gripper if gripper is None else gripper
        self.simulation.command(twist, self._gripper)
        self.simulation.step(until - self.time)
        if self.time > len(self._path) * ENV_STEP - INSTANT:
            self._path.append(self.simulation.ee_pose().position)
            self._watch.look()
            self._true_paths.look()

    def result(self) -> EpisodeResult:
        """What became of the episode."""
        simulation, verdicts = self.simulation, self._verdicts
        return EpisodeResult(
            scene=self.scene,
            success=simulation.succeeded(),
            swapped_success=simulation.served(simulation.swapped_target_name),
            failure=self._watch.failure(),
            duration=self.time,
            closest=self._watch.closest,
            closest_at=self._watch.closest_at,
            jerk=rms_jerk(np.array(self._path), ENV_STEP),
            reasons=dict(Counter(verdict.reason.name for verdict in verdicts)),
            chunks=sum(verdict.depth > 0 for verdict in verdicts),
            depth=sum(verdict.depth for verdict in verdicts),
            flops=sum(verdict.flops for verdict in verdicts),
            weight_bytes=sum(verdict.weight_bytes for verdict in verdicts),
            late=sum(v.slack < -INSTANT or v.reason is Reason.NO_TIME for v in verdicts),
            stalls=self.stalls,
            lag=self.lag,
            trace_errors=self._trace_errors(),
        )

    def _trace_errors(self) -> tuple[tuple[float, float], ...]:
        errors = [self._true_paths.errors(stamp, trace) for stamp, trace in self._drawn]
        return tuple((float(gripper), float(target)) for rows in errors for gripper, target in rows)
