# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One evaluated episode: what the policy observes and decides, and the commands that follow."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import rms_jerk
from magma_ros.evaluation.play.traces import TruePaths
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import (
    INSTANT,
    Control,
    CountsContacts,
    ExplainsFailure,
    KnowsMarks,
    OwnStream,
    Scene,
    SwapsInstruction,
)
from magma_ros.motion import StreamConfig
from magma_ros.types import FloatArray, Observation, Origin, Reason, Trace, Verdict


class Episode:
    """An episode while it is played; a context manager that releases the world.

    It ends when the task is done to the object in the policy's instruction, swapped or not, or at
    the task's time limit.

    Args:
        scene: Which episode to play.
        step_period: Duration of one step of the policy's chunks [s]; the suite's by default.

    Attributes:
        scene: The same.
        world: Where it is played.
        step_period: The same.
        stream: How commands are streamed where the world does not wait.
        stalls: As in :class:`~magma_ros.evaluation.figures.results.EpisodeResult`; counted by the
            clock.
        lag: As there; measured by the clock.

    Raises:
        EvaluationError: There is no such suite, or its worlds cannot swap instructions.
        MagmaError: The world has no such task or split, or its simulator is not installed.
    """

    def __init__(self, scene: Scene, step_period: float | None = None) -> None:
        suite = find_suite(scene.suite)
        self.scene = scene
        self.step_period = step_period or suite.step_period
        self.stream = suite.stream if isinstance(suite, OwnStream) else StreamConfig()
        self.stalls = 0
        self.lag = 0.0
        self.world = suite.make_world()
        self._swaps = self.world if isinstance(self.world, SwapsInstruction) else None
        if scene.control is Control.SWAPPED and self._swaps is None:
            raise EvaluationError(
                f"the worlds of suite {scene.suite} cannot swap the instruction, so they have no "
                "controls; leave --controls out"
            )
        self._time_limit = suite.time_limit(scene.task)
        self._gripper = 1.0
        self._told = ""
        self._verdicts: list[Verdict] = []
        self._drawn: list[tuple[float, Trace]] = []
        try:
            self.world.reset(scene.task, scene.split, scene.seed)
            self._path = [self.world.tool_position()]
            self._true_paths = self._follow_marks()
        except BaseException:
            self.world.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.world.close()

    @property
    def time(self) -> float:
        """Simulated time since the episode began [s]."""
        return self.world.time

    @property
    def over(self) -> bool:
        """Whether the task is done or the time is up."""
        return self._served() or self.time > self._time_limit - INSTANT

    def observe(self) -> Observation:
        """What the policy is given now."""
        observation = self._given()
        self._told = observation.instruction
        return observation

    def _given(self) -> Observation:
        observation = self.world.observe()
        match self.scene.control:
            case Control.BLACKOUT:
                black = {name: np.zeros_like(image) for name, image in observation.images.items()}
                return replace(observation, images=black)
            case Control.SWAPPED if self._swaps is not None:
                return replace(observation, instruction=self._swaps.swapped_instruction())
            case _:
                return observation

    def record(self, verdict: Verdict) -> None:
        """Add a decision to the result."""
        if verdict.chunk is not None and verdict.trace is not None:
            self._drawn.append((verdict.chunk.stamp, verdict.trace))
        self._verdicts.append(replace(verdict, chunk=None, trace=None))

    def follow(self, twist: FloatArray, gripper: float | None, until: float) -> FloatArray | None:
        """Let the arm follow a command.

        Args:
            twist: (6,) linear [m/s] then angular [rad/s] velocity in the base frame.
            gripper: Target opening (1 = open), or None to leave it as it is.
            until: Simulated time up to which the command holds [s].

        Returns:
            The twist that was sent instead, where something stands between policy and arm.
        """
        self._gripper = self._gripper if gripper is None else gripper
        self.world.command(twist, self._gripper)
        self.world.step(until - self.time)
        if self.time > len(self._path) * self.step_period - INSTANT:
            self._path.append(self.world.tool_position())
            if self._true_paths is not None:
                self._true_paths.sample()
        return None

    def result(self) -> EpisodeResult:
        """The result of the episode."""
        world, verdicts = self.world, self._verdicts
        explains = world if isinstance(world, ExplainsFailure) else None
        counts = world if isinstance(world, CountsContacts) else None
        closest, closest_at = (None, None) if explains is None else explains.closest
        return EpisodeResult(
            scene=self.scene,
            success=world.done(),
            swapped_success=self._swaps.swapped_done() if self._swaps is not None else False,
            failure=None if explains is None else explains.failure(),
            duration=self.time,
            closest=closest,
            closest_at=closest_at,
            jerk=rms_jerk(np.array(self._path), self.step_period),
            reasons=dict(Counter(verdict.reason.name for verdict in verdicts)),
            chunks=sum(verdict.depth > 0 for verdict in verdicts),
            depth=sum(verdict.depth for verdict in verdicts),
            flops=sum(verdict.flops for verdict in verdicts),
            weight_bytes=sum(verdict.weight_bytes for verdict in verdicts),
            late=sum(v.slack < -INSTANT or v.reason is Reason.NO_TIME for v in verdicts),
            stalls=self.stalls,
            lag=self.lag,
            trace_errors=self._trace_errors(),
            elsewhere=dict(Counter(v.origin.name for v in verdicts if v.origin is not Origin.HERE)),
            contacts=None if counts is None else counts.contacts,
            nearest=None if counts is None or math.isinf(counts.nearest) else counts.nearest,
            instruction=self._told,
        )

    def _served(self) -> bool:
        """Whether the task is done to the object in the policy's instruction."""
        if self.scene.control is Control.SWAPPED and self._swaps is not None:
            served = self._swaps.swapped_done()
            return self.world.done() if served is None else served
        return self.world.done()

    def _follow_marks(self) -> TruePaths | None:
        """The record of where the marks are; None where the world cannot tell."""
        if not isinstance(self.world, KnowsMarks):
            return None
        return TruePaths(self.world, swapped=self.scene.control is Control.SWAPPED)

    def _trace_errors(self) -> tuple[tuple[float, float], ...]:
        if (paths := self._true_paths) is None:
            return ()
        errors = [paths.errors(stamp, trace) for stamp, trace in self._drawn]
        return tuple((float(gripper), float(target)) for rows in errors for gripper, target in rows)
