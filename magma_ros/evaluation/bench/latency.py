# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long each exit of a bundle takes on this machine, beside those of other bundles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from magma_ros.evaluation.computers.hog import usable_cores
from magma_ros.evaluation.report.tables import Grid
from magma_ros.machine import processor_name
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.share import find_bundle
from magma_ros.timing import RUNS, Quartiles, race
from magma_ros.types import MagmaError

FORMAT = "magma-latency-bench/1"
"""Mark of the JSON."""


@dataclass(frozen=True, slots=True)
class ExitLatency:
    """Time from an observation to the plan of an exit.

    Attributes:
        bundle: Name of the bundle as it was given.
        depth: The exit.
        flops: Operations.
        time: Of the runs.
    """

    bundle: str
    depth: int
    flops: int
    time: Quartiles


@dataclass(frozen=True, slots=True)
class LatencyBench:
    """What came out.

    Attributes:
        threads: Of each policy.
        runs: Of each exit.
        processor: Where the figures are from.
        cores: How many the policies could use.
        exits: All exits of the first bundle, then those of the next.
    """

    threads: int
    runs: int
    processor: str
    cores: int
    exits: tuple[ExitLatency, ...]

    def ratio(self, latency: ExitLatency) -> float:
        """Median as a multiple of that of the first bundle's deepest exit."""
        first = [each for each in self.exits if each.bundle == self.exits[0].bundle]
        return latency.time.median / first[-1].time.median

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"format": FORMAT, **asdict(self)}


def time_exits(bundles: Sequence[str], *, threads: int = 2, runs: int = RUNS) -> LatencyBench:
    """Time every exit of these bundles, in turns.

    Args:
        bundles: Names of shipped ones, or folders.
        threads: For each of them.
        runs: Timed runs of each exit.

    Raises:
        MagmaError: A bundle does not load, or a number is out of range.
    """
    if not bundles or threads < 1 or runs < 2:
        raise MagmaError("bench latency needs a bundle, at least 1 thread and at least 2 runs")
    policies = {name: StagedPolicy.load(find_bundle(name), threads=threads) for name in bundles}
    asked = {
        f"{name}/{depth}": (name, depth, flops)
        for name, policy in policies.items()
        for depth, flops in _exits(policy)
    }
    found = race(
        {key: partial(_think, policies[name], depth) for key, (name, depth, _) in asked.items()},
        runs,
    )
    exits = tuple(ExitLatency(*asked[key], time) for key, time in found.items())
    return LatencyBench(threads, runs, processor_name(), usable_cores(), exits)


def latency_table(bench: LatencyBench) -> Grid:
    """One line an exit."""
    rows = [
        (each.bundle, str(each.depth), f"{each.flops / 1e6:.0f}", str(each.time),
         f"{bench.ratio(each):.2f}")
        for each in bench.exits
    ]  # fmt: skip
    return Grid(
        "From an observation to the plan of each exit",
        ("bundle", "exit", "MFLOP", "median (quartiles) [ms]", "ratio"),
        rows,
        f"{bench.runs} runs in turns, {bench.threads} threads of {bench.processor} ({bench.cores} "
        "cores); ratio: to the deepest exit of the first bundle.",
    )


def _exits(policy: StagedPolicy) -> Iterator[tuple[int, int]]:
    """Every exit with all operations up to it."""
    flops = 0
    for stage in policy.manifest.stages:
        flops += stage.flops
        if stage.depth is not None:
            yield stage.depth, flops


def _think(policy: StagedPolicy, depth: int) -> None:
    inference = policy.rehearse()
    while (reading := inference.advance()) is None or reading.depth < depth:
        pass
