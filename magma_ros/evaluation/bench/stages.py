# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long each stage of a bundle takes against the least that is possible, and the whole step.

The least is what arithmetic and weights take at the rates that :mod:`.ceilings` measures on the
same computer, whichever is longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from magma_ros.evaluation.bench.ceilings import Ceilings, Numbers, measure_ceilings
from magma_ros.evaluation.report.tables import Grid
from magma_ros.gate.gates import Gate
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.gate.selftest import self_test
from magma_ros.machine import processor_name
from magma_ros.policy.runtime import Inference, StagedPolicy
from magma_ros.types import Budget, MagmaError, MonotonicClock

FORMAT = "magma-stages-bench/3"
"""Mark of the JSON."""

GATED_SHARE = 0.6
"""Deadline of the gated steps, as a share of the median of full depth."""

Begin = Callable[[], Inference]
"""Begins an inference."""

Watch = Callable[[range, str], Iterable[int]]
"""Shows how far the steps of a measurement are; gives what it is given."""


def unwatched(steps: range, task: str) -> Iterable[int]:
    """Shows nothing."""
    del task
    return steps


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 99th percentile of some durations [s]."""

    p50: float
    p99: float

    @classmethod
    def of(cls, durations: Sequence[float] | npt.NDArray[np.floating]) -> Spread:
        """That of measured ones."""
        p50, p99 = np.percentile(durations, (50, 99)).tolist()
        return cls(p50, p99)

    def __str__(self) -> str:
        return f"{1e3 * self.p50:.2f} / {1e3 * self.p99:.2f}"


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage.

    Attributes:
        name: Of the stage.
        flops: Its operations.
        weight_bytes: Bytes of weights that it reads.
        time: How long it took.
        floor: The least that is possible at the measured rates [s].
        passes: Passes that it made on average, which the others are of; 1 unless it decodes.
    """

    name: str
    flops: int
    weight_bytes: int
    time: Spread
    floor: float
    passes: float = 1.0


@dataclass(frozen=True, slots=True)
class Gated:
    """Steps with the gate on top.

    Attributes:
        deadline: Time from the observation to the action [s].
        late: How many came later.
        late_in_full: How many of the steps at full depth did.
        depth: Mean depth.
        step: How long they took.
        steps: How many were made.
    """

    deadline: float
    late: int
    late_in_full: int
    depth: float
    step: Spread
    steps: int


@dataclass(frozen=True, slots=True)
class StagesBench:
    """What came out.

    Attributes:
        bundle: Its name.
        processor: Of the computer.
        threads: Of the policy.
        exits: Of the bundle.
        steps: Control steps at full depth that were timed.
        ceilings: What the computer reaches at best.
        stages: In order.
        step: From the observation to the deepest exit.
        gated: The same with the gate on top, for each deadline.
    """

    bundle: str
    processor: str
    threads: int
    exits: int
    steps: int
    ceilings: Ceilings
    stages: tuple[StageTime, ...]
    step: Spread
    gated: tuple[Gated, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"format": FORMAT, **asdict(self)}


def time_stages(
    folder: Path,
    gate: Gate,
    *,
    providers: Sequence[str],
    threads: int = 2,
    steps: int = 200,
    deadline: float | None = None,
    numbers: Numbers = "float32",
    ceilings: Ceilings | None = None,
) -> StagesBench:
    """Time a bundle stage by stage, and whole control steps without and with a gate.

    Where actions are decoded, as many passes are made as may be needed at most.

    Args:
        folder: The bundle.
        gate: Decides how deep to think in the gated steps.
        providers: Execution providers, best first.
        threads: Of the policy.
        steps: Control steps of either kind.
        deadline: Of the gated steps [s]; by default :data:`GATED_SHARE` of full depth.
        numbers: Type of numbers in which the computer's ceilings are measured.
        ceilings: Them, if they are known already.

    Raises:
        MagmaError: The bundle does not load or a number is out of range.
    """
    if steps < 2 or threads < 1 or (deadline is not None and deadline <= 0.0):
        raise MagmaError("bench stages needs 2 steps, 1 thread and a deadline above 0, or more")
    ceilings = ceilings or measure_ceilings(providers, threads, numbers=numbers)
    policy = StagedPolicy.load(folder, providers=providers, threads=threads)
    policy.warm_up()

    def deadlines(full_depth: Spread) -> tuple[float, ...]:
        return (deadline or GATED_SHARE * full_depth.p50,)

    return time_policy(policy, gate, ceilings, deadlines, threads=threads, steps=steps)


def time_policy(
    policy: StagedPolicy,
    gate: Gate,
    ceilings: Ceilings,
    deadlines: Callable[[Spread], Sequence[float]],
    *,
    threads: int,
    steps: int,
    gated_steps: int | None = None,
    begin: Begin | None = None,
    watch: Watch = unwatched,
) -> StagesBench:
    """Time a policy that is loaded and warm.

    Args:
        policy: The policy.
        gate: Decides how deep to think in the gated steps.
        ceilings: Of the computer.
        deadlines: Those of the gated steps [s], given how long full depth takes.
        threads: Of the policy.
        steps: Control steps at full depth.
        gated_steps: Control steps for each deadline; by default as many.
        begin: Begins a step; by default on a blank observation, with as many passes as decoding
            takes at most.
        watch: Shows how far it is.

    Raises:
        MagmaError: The policy fails.
    """
    begin = begin or policy.rehearse
    timed = [_stage_times(policy, begin) for _ in watch(range(steps), "full depth")]
    times = np.array([durations for durations, _ in timed])
    passes = np.mean([made for _, made in timed], axis=0)
    stages = tuple(_stages(policy, ceilings, times, passes))
    whole = Spread.of(times.sum(axis=1))
    gated = tuple(
        _gated(
            policy,
            gate,
            begin,
            deadline,
            steps=gated_steps or steps,
            full_depth=times.sum(axis=1),
            watch=watch,
        )
        for deadline in deadlines(whole)
    )
    manifest = policy.manifest
    return StagesBench(
        manifest.name,
        processor_name(),
        threads,
        manifest.exits,
        steps,
        ceilings,
        stages,
        whole,
        gated,
    )


def _stages(
    policy: StagedPolicy,
    ceilings: Ceilings,
    times: npt.NDArray[np.floating],
    passes: npt.NDArray[np.floating],
) -> Iterator[StageTime]:
    """The stages with what they took (steps, stages), and their costs in the passes made."""
    for spec, durations, made in zip(policy.manifest.stages, times.T, passes.tolist(), strict=True):
        share = made / spec.passes
        flops, weight_bytes = round(share * spec.flops), round(share * spec.weight_bytes)
        floor = ceilings.floor(flops, weight_bytes)
        yield StageTime(spec.name, flops, weight_bytes, Spread.of(durations), floor, made)


def stages_table(bench: StagesBench) -> Grid:
    """One line a stage, then the whole step and the gated one."""
    floor = sum(stage.floor for stage in bench.stages)
    rows = [_row(s.name, s.flops, s.weight_bytes, s.time, s.floor) for s in bench.stages]
    flops = sum(stage.flops for stage in bench.stages)
    rows.append(
        _row("whole step", flops, sum(s.weight_bytes for s in bench.stages), bench.step, floor)
    )
    rows += [
        (f"gated, due in {1e3 * gated.deadline:.1f} ms", "", "", str(gated.step), "", "")
        for gated in bench.gated
    ]
    best = bench.ceilings
    late = " ".join(
        f"Due in {1e3 * gated.deadline:.1f} ms: gated {gated.late} late, mean depth "
        f"{gated.depth:.2f} of {bench.exits}; full depth {gated.late_in_full} late."
        for gated in bench.gated
    )
    return Grid(
        f"Stages of {bench.bundle}",
        ("stage", "GFLOP", "weights [MB]", "p50 / p99 [ms]", "floor [ms]", "floor / p50"),
        rows,
        f"{bench.steps} steps on {best.provider}, {bench.threads} threads of {bench.processor}; "
        f"ceilings measured here in {best.numbers}: {best.flops / 1e9:.0f} GFLOP/s, "
        f"{best.bandwidth / 1e9:.1f} GB/s. {late}".rstrip(),
    )


def _row(name: str, flops: int, weight_bytes: int, time: Spread, floor: float) -> tuple[str, ...]:
    share = f"{floor / time.p50:.0%}"
    costs = f"{flops / 1e9:.3f}", f"{weight_bytes / 1e6:.2f}"
    return name, *costs, str(time), f"{1e3 * floor:.3f}", share


def _stage_times(policy: StagedPolicy, begin: Begin) -> tuple[list[float], list[int]]:
    """Durations and passes of all stages of a step; the first takes in the observation."""
    began = time.perf_counter()
    inference = begin()
    durations, passes = [], []
    for _ in policy.manifest.stages:
        reading = inference.advance()
        now = time.perf_counter()
        durations.append(now - began)
        passes.append(1 if reading is None else reading.passes)
        began = now
    return durations, passes


def _gated(
    policy: StagedPolicy,
    gate: Gate,
    begin: Begin,
    deadline: float,
    *,
    steps: int,
    full_depth: npt.NDArray[np.floating],
    watch: Watch,
) -> Gated:
    """Steps that are due at a deadline [s], beside those at full depth (any number,) [s]."""
    clock, latency = MonotonicClock(), LatencyModel()
    self_test(policy.rehearse, latency, clock)
    took, depths = [], []
    for _ in watch(range(steps), f"gated, due in {1e3 * deadline:.1f} ms"):
        began = clock.now()
        verdict = think(begin(), gate, latency, Budget(began + deadline), clock)
        took.append(clock.now() - began)
        depths.append(verdict.depth)
    late = sum(duration > deadline for duration in took)
    late_in_full = int((full_depth > deadline).sum())
    return Gated(deadline, late, late_in_full, float(np.mean(depths)), Spread.of(took), steps)
