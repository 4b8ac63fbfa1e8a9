# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle can do, measured before it is shipped: success at every exit, and latency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rich.console import Console

from magma_ros.models.benchmark import Timing, benchmark
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.eval_episode import Control
from magma_ros.sim.evaluation import Evaluation, EvaluationSpec, evaluate

FIRST_SEED = 1000
"""Seed of the first episode; training never sees seeds below a million."""

THREADS = 2
"""Threads of the latency figures."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured about a bundle.

    Attributes:
        metrics: Success rates, named ``<condition>/<task>``, for example ``exit 6/pick``.
        episodes: Episodes behind each of them.
        timings: Latencies of the stages.
    """

    metrics: Mapping[str, float]
    episodes: int
    timings: tuple[Timing, ...]


NOTHING = Evidence({}, 0, ())
"""For a bundle that was not measured."""


def measure(
    bundle: Path, checkpoint: Path, tasks: Mapping[str, Iterable[str]], episodes: int
) -> Evidence:
    """Measure a bundle under the ideal clock, each exit by itself.

    Args:
        bundle: The bundle.
        checkpoint: What it was made from, for the latency of PyTorch.
        tasks: Names of the tasks by suite.
        episodes: Episodes per task and exit, seeds from :data:`FIRST_SEED` on.
    """
    deepest = read_manifest(bundle).exits
    metrics: dict[str, float] = {}
    for depth, (suite, names) in product(range(1, deepest + 1), tasks.items()):
        spec = EvaluationSpec(
            tasks=tuple(names),
            suite=suite,
            episodes=episodes,
            seed=FIRST_SEED,
            gate="fixed",
            gate_options=(("depth", depth),),
            controls=depth == deepest,
        )
        metrics |= _success(evaluate(spec, bundle, console=Console(stderr=True)), f"exit {depth}")
    return Evidence(metrics, episodes, tuple(benchmark(checkpoint, threads=THREADS)))


def _success(evaluation: Evaluation, exit_name: str) -> dict[str, float]:
    """The rates of one exit on one suite, by condition and task."""
    metrics: dict[str, float] = {}
    for control, task in product(evaluation.spec.variants, evaluation.spec.tasks):
        condition = exit_name if control is Control.NONE else f"{exit_name}, {control.value}"
        summary = evaluation.summary(control, task)
        metrics[f"{condition}/{task}"] = summary.success
        if control is Control.SWAPPED:
            served = summary.swapped_successes / summary.episodes
            metrics[f"{condition}, which is served/{task}"] = served
    return metrics
