# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A modelled computer: stages run on this one, but take the time that they would take there.

The outputs of the stages are real, their durations are drawn from the model. So an episode depends
on the scene, the weights and the profile alone, and may be played beside others.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magma_ros.evaluation.computers.hardware import PricedStage, load_costs, load_hardware, price
from magma_ros.evaluation.computers.interface import Actor
from magma_ros.evaluation.computers.load import LOADS, steady
from magma_ros.evaluation.error import EvaluationError, require_known
from magma_ros.evaluation.world import INSTANT, Scene
from magma_ros.gate.handover import Handover
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference
from magma_ros.policy.manifest import Manifest
from magma_ros.types import ActionChunk, Clock, ExitReading, Observation, Verdict

SELF_TEST = 1.0
"""Time for which every stage is rehearsed before an episode, as a robot does at its start [s]."""

QUANTILE = 0.99
"""Share of the runs of full depth that ``slowness`` is about."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where a policy runs under the modelled clock.

    Attributes:
        hardware: Computer, see :func:`magma_ros.evaluation.computers.hardware.load_hardware`.
        load: What else it is busy with, see :mod:`magma_ros.evaluation.computers.load`.
        costs: Cost table that stands in for the bundle's own figures, or None.
        slowness: If given, the computer is slowed down or sped up as a whole until 99 % of the
            full-depth decisions take at most this many times the period of observations, without
            load.

    Raises:
        EvaluationError: A name is unknown, a profile damaged, or the slowness not positive.
    """

    hardware: str = "cpu-2core"
    load: str = "steady"
    costs: str | None = None
    slowness: float | None = None

    def __post_init__(self) -> None:
        load_hardware(self.hardware)
        require_known("load", self.load, LOADS)
        if self.costs is not None:
            load_costs(self.costs)
        if self.slowness is not None and not 0.0 < self.slowness < np.inf:
            raise EvaluationError(f"slowness must be a positive factor, not {self.slowness:g}")


class SimulatedTime:
    """A clock that is advanced by hand."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds since the episode began."""
        return self._now

    def sleep_until(self, when: float) -> None:
        """Be at ``when`` [s], unless that has passed."""
        self._now = max(self._now, when)


class ModelledComputer:
    """Runs stages and charges its own clock with what they would take there.

    Args:
        manifest: Of the policy.
        conditions: What is modelled.

    Attributes:
        clock: Runs ahead of the world's while a decision is made.
        latency: What the gate has learned about stages there.
    """

    def __init__(self, manifest: Manifest, conditions: Conditions) -> None:
        hardware = load_hardware(conditions.hardware)
        stages = price(manifest, conditions.costs)
        self._stages = {stage.name: stage for stage in stages}
        self._typical = {stage.name: hardware.seconds(stage) for stage in stages}
        self._passes = {stage.name: stage.passes for stage in manifest.stages}
        self._full_depth = hardware.full_depth(stages, QUANTILE)
        self._jitter = hardware.jitter
        self._slowness = conditions.slowness
        self._draw_load = LOADS[conditions.load]
        self._rng = np.random.default_rng(0)
        self._load = steady(self._rng)
        self._pace = 1.0
        self.clock = SimulatedTime()
        self.latency = LatencyModel()

    def begin(self, scene: Scene, period: float) -> None:
        """Start anew, for an episode in which an observation is due every ``period`` [s]."""
        names = [zlib.crc32(name.encode()) for name in (scene.suite, scene.task, scene.split)]
        self._rng = np.random.default_rng([zlib.crc32(b"computer"), *names, scene.seed])
        self._pace = 1.0 if self._slowness is None else self._slowness * period / self._full_depth
        load = self._draw_load(self._rng)  # before anything else, so that all gates meet the same
        self._rehearse()
        self._load = load

    def host(self, inference: Inference) -> Inference:
        """The same inference, run there."""
        return _Hosted(self, inference)

    def priced(self, name: str) -> PricedStage:
        """A stage as it is there."""
        return self._stages[name]

    def run(self, stage: PricedStage, passes: int | None = None) -> None:
        """Let the time pass that a run of ``stage`` takes now.

        Args:
            stage: One of the policy's.
            passes: Passes that it made if it decodes, or None for as many as on average.
        """
        began = self.clock.now()
        share = 1.0 if passes is None else passes / self._passes[stage.name]
        factor = share * self._pace * self._load.at(began) * float(self._jitter.draw(self._rng, ()))
        self.clock.sleep_until(began + factor * self._typical[stage.name])

    def _rehearse(self) -> None:
        """Learn how long stages take before the first decision depends on it."""
        self.clock, self.latency = SimulatedTime(), LatencyModel()
        self._load = steady(self._rng)
        while self.clock.now() < SELF_TEST:
            for stage in self._stages.values():
                began = self.clock.now()
                self.run(stage)
                self.latency.observe(stage, self.clock.now() - began)
        self.clock = SimulatedTime()


class _Hosted:
    """An inference whose stages take the time they would take on another computer."""

    def __init__(self, computer: ModelledComputer, inference: Inference) -> None:
        self._computer = computer
        self._inference = inference

    @property
    def exits(self) -> int:
        return self._inference.exits

    @property
    def upcoming(self) -> Sequence[PricedStage]:
        return [self._computer.priced(stage.name) for stage in self._inference.upcoming]

    def advance(self) -> ExitReading | None:
        stage = self.upcoming[0]
        reading = self._inference.advance()
        self._computer.run(stage, None if reading is None else reading.passes)
        return reading


class ModelledThinker:
    """A thinker whose answers come as late as they would on a modelled computer.

    Args:
        actor: Decides at once, but on the computer's clock.
        computer: What its stages run on.
        time: Clock of the world.
        lead: How long before a deadline the answer in hand is given out [s].
    """

    def __init__(
        self, actor: Actor, computer: ModelledComputer, time: Clock, lead: float = 0.0
    ) -> None:
        self._actor = actor
        self._computer = computer
        self._time = time
        self._lead = lead
        self._handover = Handover(lead)
        self._answers: deque[tuple[float, Verdict]] = deque()

    @property
    def busy(self) -> bool:
        """Whether the final decision on an observation was pending at the last :meth:`take`."""
        return self._handover.busy

    def reset(self) -> None:
        """Forget the last episode."""
        self._actor.reset()
        self._handover = Handover(self._lead)
        self._answers.clear()

    def acted(self, chunk: ActionChunk | None) -> None:
        """Let the actor know what the robot follows."""
        self._actor.acted(chunk)

    def offer(self, observation: Observation, deadline: float) -> None:
        """Hand over an observation; only while not ``busy``."""
        clock = self._computer.clock
        clock.sleep_until(self._time.now())
        self._handover.begin(deadline)

        def note(verdict: Verdict) -> None:
            self._answers.append((clock.now(), verdict))

        note(self._actor.act(observation, deadline, note))

    def take(self) -> Verdict | None:
        """The decision once it is there, or the answer in hand when the deadline strikes."""
        now = self._time.now()
        while self._answers and self._answers[0][0] <= now + INSTANT:
            _, verdict = self._answers.popleft()
            leave = self._handover.provide if self._answers else self._handover.finish
            leave(verdict)
        return self._handover.take(now)
