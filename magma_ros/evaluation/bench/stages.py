# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long each stage of a bundle takes against the least that is possible, and the whole step.

The least is what arithmetic and weights take at the rates that :mod:`.ceilings` measures on the
same computer, whichever is longer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import Budget, MagmaError, MonotonicClock

FORMAT = "magma-stages-bench/1"
"""Mark of the JSON."""

GATED_SHARE = 0.6
"""Deadline of the gated steps, as a share of the median of full depth."""


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
    """

    name: str
    flops: int
    weight_bytes: int
    time: Spread
    floor: float


@dataclass(frozen=True, slots=True)
class Gated:
    """Steps with the gate on top.

    Attributes:
        deadline: Time from the observation to the action [s].
        late: How many came later.
        depth: Mean depth of those that came.
        step: How long they took.
    """

    deadline: float
    late: int
    depth: float
    step: Spread


@dataclass(frozen=True, slots=True)
class StagesBench:
    """What came out.

    Attributes:
        bundle: Its name.
        processor: Of the computer.
        threads: Of the policy.
        exits: Of the bundle.
        steps: Control steps that were timed, of either kind.
        ceilings: What the computer reaches at best.
        stages: In order.
        step: From the observation to the deepest exit.
        gated: The same with the gate on top.
    """

    bundle: str
    processor: str
    threads: int
    exits: int
    steps: int
    ceilings: Ceilings
    stages: tuple[StageTime, ...]
    step: Spread
    gated: Gated

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
    times = np.array([_stage_times(policy) for _ in range(steps)])
    specs = policy.manifest.stages
    stages = tuple(
        StageTime(
            spec.name,
            spec.flops,
            spec.weight_bytes,
            Spread.of(times[:, index]),
            ceilings.floor(spec.flops, spec.weight_bytes),
        )
        for index, spec in enumerate(specs)
    )
    whole = Spread.of(times.sum(axis=1))
    gated = _gated(policy, gate, steps, deadline or GATED_SHARE * whole.p50)
    return StagesBench(
        policy.manifest.name,
        processor_name(),
        threads,
        policy.manifest.exits,
        steps,
        ceilings,
        stages,
        whole,
        gated,
    )


def stages_table(bench: StagesBench) -> Grid:
    """One line a stage, then the whole step and the gated one."""
    floor = sum(stage.floor for stage in bench.stages)
    rows = [_row(s.name, s.flops, s.weight_bytes, s.time, s.floor) for s in bench.stages]
    flops = sum(stage.flops for stage in bench.stages)
    rows.append(
        _row("whole step", flops, sum(s.weight_bytes for s in bench.stages), bench.step, floor)
    )
    gated, best = bench.gated, bench.ceilings
    name = f"gated, due in {1e3 * gated.deadline:.1f} ms"
    rows.append((name, "", "", str(gated.step), "", ""))
    return Grid(
        f"Stages of {bench.bundle}",
        ("stage", "GFLOP", "weights [MB]", "p50 / p99 [ms]", "floor [ms]", "floor / p50"),
        rows,
        f"{bench.steps} steps on {best.provider}, {bench.threads} threads of {bench.processor}; "
        f"ceilings measured here in {best.numbers}: {best.flops / 1e9:.0f} GFLOP/s, "
        f"{best.bandwidth / 1e9:.1f} GB/s. Gated: {gated.late} late, mean depth "
        f"{gated.depth:.2f} of {bench.exits}.",
    )


def _row(name: str, flops: int, weight_bytes: int, time: Spread, floor: float) -> tuple[str, ...]:
    share = f"{floor / time.p50:.0%}"
    costs = f"{flops / 1e9:.3f}", f"{weight_bytes / 1e6:.2f}"
    return name, *costs, str(time), f"{1e3 * floor:.3f}", share


def _stage_times(policy: StagedPolicy) -> list[float]:
    """Durations of all stages of one step; the first includes taking in the observation."""
    began = time.perf_counter()
    inference = policy.rehearse()
    durations = []
    for _ in policy.manifest.stages:
        inference.advance()
        now = time.perf_counter()
        durations.append(now - began)
        began = now
    return durations


def _gated(policy: StagedPolicy, gate: Gate, steps: int, deadline: float) -> Gated:
    clock, latency = MonotonicClock(), LatencyModel()
    self_test(policy.rehearse, latency, clock)
    took, depths = [], []
    for _ in range(steps):
        began = clock.now()
        verdict = think(policy.rehearse(), gate, latency, Budget(began + deadline), clock)
        took.append(clock.now() - began)
        depths.append(verdict.depth)
    late = sum(duration > deadline for duration in took)
    return Gated(deadline, late, float(np.mean(depths)), Spread.of(took))
