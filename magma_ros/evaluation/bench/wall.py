# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures whether actions meet the deadlines of a control loop, idle and under CPU load.

A control loop shows an observation every period to a policy in a process of its own, and must have
an action for just that observation in hand at the deadline. Ways to decide how deep to think take
turns in short blocks, so that disturbances affect all alike: first on an idle machine, then while
every core is kept busy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from magma_ros.evaluation.bench.gate_plan import (
    ADAPTIVE,
    DEADLINE_SHARE,
    Contender,
    anytime,
    fixed,
    full_depth,
)
from magma_ros.evaluation.computers.hog import cpu_hog, find_hog, usable_cores
from magma_ros.evaluation.play.actors import ActorProcess, PolicyActor
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import Demonstrates, World
from magma_ros.gate.gates import make_gate
from magma_ros.machine import processor_name
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of
from magma_ros.spaces import GRIPPER
from magma_ros.types import (
    Clock,
    MagmaError,
    MonotonicClock,
    Observation,
    Reason,
    Verdict,
)

BLOCK = 250
"""Ticks of one contender before it is the next one's turn."""

CLIP = 25
"""Consecutive observations of a scene, before it is the next scene's turn."""

SUITES = ("tabletop", "moving")
"""Suites whose tasks are looked at."""

SPLIT = "seen"
"""Of the scenes."""

SEED = 0
"""Of the scenes."""

THREADS = 2
"""Threads of each policy."""

QUIET_SHARE = 0.2
"""Ticks without the hog, as a share of those beside it."""

RESERVE = 0.1
"""Share of the deadline that the loop keeps to itself, to wake up and to act."""


class WallBenchError(MagmaError):
    """A bench was asked for that makes no sense."""


@dataclass(frozen=True, slots=True)
class WallSpec:
    """What to measure.

    Attributes:
        ticks: Ticks of each contender under the heaviest condition.
        period: Time between two observations [s].
        deadline: Time from an observation to its action [s].
        hog: Whether to repeat everything with every core kept busy.

    Raises:
        WallBenchError: A number is out of range.
        HogError: The hog is asked for, but not installed.
    """

    ticks: int = 10_000
    period: float = 0.02
    deadline: float = DEADLINE_SHARE * 0.02
    hog: bool = True

    def __post_init__(self) -> None:
        if self.ticks < 1:
            raise WallBenchError(f"ticks must be at least 1, not {self.ticks}")
        if not 0.0 < self.period < math.inf:
            raise WallBenchError(f"the period must be a positive time, not {self.period:g}")
        if not 0.0 < self.deadline < self.period:
            raise WallBenchError(
                f"the deadline must be positive and shorter than the period of {self.period:g} s, "
                f"not {self.deadline:g}"
            )
        if self.hog:
            find_hog()  # fail now, not after minutes

    @property
    def answer_time(self) -> float:
        """Time from an observation within which the policy is asked to answer [s]."""
        return (1.0 - RESERVE) * self.deadline

    @property
    def tolerance(self) -> float:
        """How much too late the loop may wake up before that is called its own fault [s]."""
        return 0.5 * (self.period - self.deadline)

    @property
    def conditions(self) -> dict[str, int]:
        """What else the machine does, and for how many ticks of each contender."""
        if not self.hog:
            return {QUIET: self.ticks}
        return {QUIET: max(1, round(QUIET_SHARE * self.ticks)), HOG: self.ticks}


QUIET = "quiet"
"""The condition without other load."""

SERVED = "served"
"""While programs take the console's pictures without drawing them, on the same cores."""

WATCHED = "watched"
"""While browsers show the console, on the same cores."""

HOG = "hog"
"""The condition under which every core is kept busy."""


@dataclass(slots=True)
class Tick:
    """What became of one observation.

    Attributes:
        due: When it was to be shown [s], monotonic clock.
        waited: Time from then until its action was in hand [s], or None if there was none.
        depth: Exit of that action; 0 without.
        flops: Floating-point operations spent on it.
        reason: Why thinking stopped; None if the policy was not given it or did not answer.
        loop_late: Whether the loop itself woke up too late.
    """

    due: float
    waited: float | None = None
    depth: int = 0
    flops: int = 0
    reason: Reason | None = None
    loop_late: bool = False

    def settle(self, verdict: Verdict, now: float) -> None:
        """Record the policy's answer, received now."""
        self.reason, self.depth, self.flops = verdict.reason, verdict.depth, verdict.flops
        if verdict.chunk is not None:
            self.waited = now - self.due

    @property
    def open(self) -> bool:
        """Whether the policy has not answered yet."""
        return self.reason is None


class ControlLoop:
    """Needs an action every period.

    Args:
        policy: Decides.
        observations: Its inputs, without end.
        spec: When an action is due.
        clock: What the loop follows; must be that of ``policy``.
    """

    def __init__(
        self,
        policy: ActorProcess,
        observations: Iterator[Observation],
        spec: WallSpec,
        clock: Clock | None = None,
    ) -> None:
        self._policy = policy
        self._observations = observations
        self._spec = spec
        self._clock = clock or MonotonicClock()
        self._asked: Tick | None = None

    def run(self, count: int) -> list[Tick]:
        """Play so many ticks; none is left out, however late the loop itself may be.

        Raises:
            MagmaError: The policy refuses an observation, or its process ended.
        """
        self._policy.reset()
        began = self._clock.now() + self._spec.period
        ticks = [self._play(Tick(began + i * self._spec.period)) for i in range(count)]
        while self._policy.busy:  # so that the last answer tells how late it is, too
            self._listen(Tick(math.inf), self._clock.now() + self._spec.period)
        return ticks

    def _play(self, tick: Tick) -> Tick:
        """One tick, up to its action or its deadline."""
        answer_by = tick.due + self._spec.answer_time
        while self._listen(tick, tick.due):
            pass
        while tick.open and self._clock.now() < answer_by:
            if self._asked is not tick and not self._policy.busy:
                self._policy.offer(next(self._observations), answer_by)
                self._asked = tick
            self._listen(tick, answer_by)
        while tick.open and self._listen(tick, tick.due + self._spec.deadline):
            pass
        return tick

    def _listen(self, tick: Tick, until: float) -> bool:
        """Sleep until then or until an answer comes; whether there is time left."""
        if self._policy.busy:
            self._policy.wait(until - self._clock.now())
        else:
            self._clock.sleep_until(until)
        verdict = self._policy.take()
        now = self._clock.now()
        if verdict is not None and self._asked is not None:
            self._asked.settle(verdict, now)
            if verdict.chunk is not None:
                self._policy.acted(verdict.chunk)
        tick.loop_late |= now - until > self._spec.tolerance
        return now < until


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the figures are from.

    Attributes:
        processor: What it calls itself.
        cores: How many the bench could use.
        threads: Threads of each policy.
        load: Mean number of processes that wanted to run, in the minute before the bench.
    """

    processor: str
    cores: int
    threads: int
    load: float


@dataclass(frozen=True, slots=True)
class WallBench:
    """What came out.

    Attributes:
        spec: What was asked for.
        manifest: The policy's contract.
        checksum: SHA-256 of the manifest.
        machine: Where it ran.
        ticks: By condition, then by contender.
    """

    spec: WallSpec
    manifest: Manifest
    checksum: str
    machine: Machine
    ticks: dict[str, dict[str, list[Tick]]] = field(default_factory=dict)


def run_wall_bench(spec: WallSpec, bundle: Path, *, console: Console | None = None) -> WallBench:
    """Let all contenders take turns under every condition.

    Args:
        spec: What to measure.
        bundle: Folder of the policy's bundle.
        console: Where to draw a progress bar, or None for none.

    Raises:
        MagmaError: The bundle is damaged, or a process ended.
    """
    manifest = read_manifest(bundle)
    machine = this_machine()
    clips = [each for clip in example_clips(spec.period) for each in clip]
    loops = {
        contender.label: ControlLoop(
            ActorProcess(partial(_load, bundle, contender)), cycle(clips), spec
        )
        for contender in contenders(manifest.exits)
    }
    bench = WallBench(spec, manifest, sha256_of(bundle / MANIFEST), machine)
    total = sum(spec.conditions.values()) * len(loops)
    # Drawn between blocks only: a thread that draws would take time from the loop.
    with Progress(console=console, auto_refresh=False, disable=console is None) as progress:
        for condition, count in spec.conditions.items():
            bar = progress.add_task(condition, total=count * len(loops))
            longest = 60.0 + 2.0 * total * spec.period
            with cpu_hog(longest) if condition == HOG else nullcontext():
                bench.ticks[condition] = _take_turns(
                    loops, count, partial(progress.update, bar, refresh=True)
                )
    return bench


def contenders(exits: int) -> tuple[Contender, ...]:
    """The gate, its clock without its confidence, and two without a clock."""
    return ADAPTIVE, anytime(exits), full_depth(exits), fixed(1)


def _load(bundle: Path, contender: Contender) -> PolicyActor:
    """A policy with measured stage latencies."""
    gate = make_gate(contender.gate, bundle=bundle, **dict(contender.options))
    actor = PolicyActor.load(bundle, gate, None, THREADS, patient=contender.patient)
    actor.rehearse()
    return actor


def _take_turns(
    loops: dict[str, ControlLoop], count: int, advance: Callable[..., None]
) -> dict[str, list[Tick]]:
    """So many ticks of every loop, in blocks."""
    ticks: dict[str, list[Tick]] = {label: [] for label in loops}
    for first in range(0, count, BLOCK):
        for label, loop in loops.items():
            block = loop.run(min(BLOCK, count - first))
            ticks[label] += block
            advance(advance=len(block))
    return ticks


def example_clips(period: float) -> Iterable[list[Observation]]:
    """Observations of the first moments of every task, played by the expert."""
    for suite in SUITES:
        for task in find_suite(suite).tasks:
            with closing(find_suite(suite).make_world()) as world:
                world.reset(task, SPLIT, SEED)
                step = find_suite(suite).step_period
                yield [_observe_and_act(world, step, period) for _ in range(CLIP)]


def _observe_and_act(world: World, step_period: float, period: float) -> Observation:
    observation = world.observe()
    if isinstance(world, Demonstrates):
        action = world.expert_action()
        world.command(action[:GRIPPER] / step_period, float(action[GRIPPER]))
    world.step(period)
    return observation


def this_machine() -> Machine:
    """What this process runs on."""
    return Machine(processor_name(), usable_cores(), THREADS, os.getloadavg()[0])
