# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures a bundle before it is shipped: success at every exit, and latency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rich.console import Console

from magma_ros.evaluation.play.exits import ExitStudy, evaluate_exits
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.world import Control
from magma_ros.models.export.benchmark import Timing, benchmark

FIRST_SEED = 50_000
"""Seed of the first episode; training uses no seeds below a million."""

THREADS = 2
"""Threads of the latency figures."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured about a bundle.

    Attributes:
        study: Every exit by itself, with the honesty controls at the deepest; None if not played.
        timings: Latencies of the stages.
    """

    study: ExitStudy | None
    timings: tuple[Timing, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """Success rates for the manifest, named ``<condition>/<task>``: ``exit 6/pick``."""
        if self.study is None:
            return {}
        rates: dict[str, float] = {}
        for depth, evaluation in self.study.exits.items():
            for control, task in product(evaluation.spec.variants, evaluation.tasks):
                condition = f"exit {depth}"
                condition += "" if control is Control.NONE else f", {control.value}"
                summary = evaluation.summary(control, task=task)
                rates[f"{condition}/{task}"] = summary.success
                if control is Control.SWAPPED and summary.swapped_successes is not None:
                    served = summary.swapped_successes / summary.episodes
                    rates[f"{condition}, which is served/{task}"] = served
        return rates


NOTHING = Evidence(None, ())
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
    spec = EvaluationSpec(
        suites=tuple(tasks),
        tasks=tuple(name for names in tasks.values() for name in names),
        episodes=episodes,
        seed=FIRST_SEED,
        controls=True,
    )
    study = evaluate_exits(spec, bundle, console=Console(stderr=True))
    return Evidence(study, tuple(benchmark(checkpoint, threads=THREADS)))
