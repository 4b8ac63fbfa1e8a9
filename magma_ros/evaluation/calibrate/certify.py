# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrates the gate of a bundle in closed loop, and checks on fresh episodes what it promised.

First, episodes at full depth and at random exits, to fit the models of agreement and to choose
which thresholds to test. Then one fresh set of episodes per threshold, driven by the gate with
that threshold. See :mod:`magma_ros.evaluation.calibrate.learn_then_test` for what this guarantees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from magma_ros.evaluation.calibrate.budget import consistency_thresholds, entropy_threshold
from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.fitting import (
    Reliability,
    fit_agreement,
    probabilities,
    reliability,
)
from magma_ros.evaluation.calibrate.learn_then_test import (
    TRIALS,
    CalibrationError,
    Evidence,
    choose_sequence,
    require_certified,
    require_possible,
    risk_interval,
    run_sequence,
)
from magma_ros.evaluation.calibrate.readings import (
    TaskSet,
    collect,
    explorer,
    yardstick_for,
)
from magma_ros.evaluation.figures.exit_costs import exit_costs, exit_prices
from magma_ros.evaluation.figures.statistics import wilson_interval
from magma_ros.evaluation.play.evaluate import require_match
from magma_ros.evaluation.world import Scene
from magma_ros.gate.adaptive import AdaptiveGate
from magma_ros.gate.confidence import AgreementModel
from magma_ros.gate.gate_file import (
    ExitEntry,
    GateFile,
    Guarantee,
    ReliabilityBin,
    Solution,
    Trial,
    find_gate_file,
    manifest_checksum,
)
from magma_ros.gate.interface import Gate
from magma_ros.policy.manifest import Manifest, read_manifest

BUDGETS = 6
"""Compute budgets for which thresholds of the baselines are solved."""


@dataclass(frozen=True, slots=True)
class CalibrationSpec:
    """What to promise, and what to play for it.

    Attributes:
        task_set: Kind of episode that the promise is about.
        epsilon: Deviation accepted, in shares of the action range.
        delta: Share of an episode's decisions that may deviate further.
        alpha: Probability that the promise is wrong.
        episodes: Episodes that each threshold is tested on.
        fit_episodes: Episodes that the models are fitted on.
        seed: Seed of the first episode; every further one has the next.
        workers: Processes; no result depends on their number.

    Raises:
        CalibrationError: No outcome could justify the promise.
    """

    task_set: TaskSet
    epsilon: float
    delta: float
    alpha: float
    episodes: int
    fit_episodes: int
    seed: int
    workers: int

    def __post_init__(self) -> None:
        require_possible(
            epsilon=self.epsilon, delta=self.delta, alpha=self.alpha, episodes=self.episodes
        )
        if self.fit_episodes < 1 or self.workers < 1:
            raise CalibrationError("fit-episodes and workers must be at least 1")
        self.task_set.scenes(self.last_seed - self.seed + 1, self.seed)  # seeds must be in range

    @property
    def last_seed(self) -> int:
        """Last seed that may be played."""
        return self.seed + self.fit_episodes + TRIALS * self.episodes - 1


def calibrate(spec: CalibrationSpec, bundle: Path, console: Console | None = None) -> GateFile:
    """Find the most liberal threshold that keeps the promise.

    Args:
        spec: What to promise.
        bundle: Folder of the policy's bundle.
        console: Where to draw progress bars, or None for none.

    Returns:
        The content of ``gate.yaml``; nothing is written.

    Raises:
        CalibrationError: No threshold could be certified.
        MagmaError: The bundle does not load, or a worker died.
    """
    manifest = read_manifest(bundle)
    require_match(spec.task_set.spec(1, spec.seed), manifest)
    yardstick = yardstick_for(manifest.action, spec.task_set.suites)
    play = partial(collect, bundle, yardstick=yardstick, workers=spec.workers, console=console)
    recorded = play(
        spec.task_set.scenes(spec.fit_episodes, spec.seed),
        partial(explorer, manifest.exits),
        description="recording exits",
    )
    model = fit_agreement(recorded, spec.epsilon, yardstick, exit_prices(manifest))
    turns = count(spec.seed + spec.fit_episodes, spec.episodes)

    def drive(threshold: float) -> tuple[EpisodeReadings, ...]:
        scenes = spec.task_set.scenes(spec.episodes, next(turns))
        gate = partial(_adaptive, model, threshold)
        return play(scenes, gate, description=f"testing threshold {threshold:.3f}")

    tested = run_sequence(
        choose_sequence(model, recorded, spec.epsilon, spec.delta),
        drive,
        epsilon=spec.epsilon,
        delta=spec.delta,
        alpha=spec.alpha,
    )
    chosen = require_certified(tested, epsilon=spec.epsilon, delta=spec.delta, alpha=spec.alpha)
    return GateFile(
        manifest_sha256=manifest_checksum(bundle),
        guarantee=_guarantee(spec),
        threshold=chosen.threshold,
        trials=tuple(_trial(trial, manifest) for trial in tested),
        ranges=yardstick.ranges,
        steps=yardstick.steps,
        exits=_exit_entries(model, chosen.episodes, spec.epsilon),
        baselines=_solve_baselines(recorded, manifest),
    )


@dataclass(frozen=True, slots=True)
class Check:
    """What the gate of a bundle did on fresh episodes.

    Attributes:
        task_set: Where.
        guarantee: What was promised.
        seed: Seed of the first episode.
        episodes: How many were played.
        violations: Mean over them of the share of decisions that deviated too far.
        interval: 95 % interval of its expectation.
        depth: Mean exit acted on.
        flops: Mean operations of a decision, as a share of full depth.
        successes: Episodes whose task was done.
        success_interval: 95 % Wilson interval of the success rate.
        calibration_errors: Expected calibration error of each exit's probabilities.
    """

    task_set: TaskSet
    guarantee: Guarantee
    seed: int
    episodes: int
    violations: float
    interval: tuple[float, float]
    depth: float
    flops: float
    successes: int
    success_interval: tuple[float, float]
    calibration_errors: tuple[float, ...]

    @property
    def exchangeable(self) -> bool:
        """Whether these episodes are of the kind that the promise is about."""
        there, here = self.guarantee, self.task_set
        played = {(scene.suite, scene.task) for scene in here.scenes(self.episodes, self.seed)}
        promised = {(suite, task) for suite in there.suites for task in there.tasks}
        return here.split == there.split and played <= promised

    @property
    def kept(self) -> bool:
        """Whether the measured rate is at most delta."""
        return self.violations <= self.guarantee.delta

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        content = asdict(self) | {"exchangeable": self.exchangeable, "kept": self.kept}
        return content | {"guarantee": self.guarantee.model_dump(mode="json")}


def check(
    bundle: Path,
    *,
    split: str | None,
    episodes: int,
    seed: int,
    workers: int,
    console: Console | None = None,
) -> Check:
    """Measure on fresh episodes how often the calibrated gate of a bundle deviates too far.

    Args:
        bundle: Folder of the policy's bundle.
        split: Variation of scenes and instructions, or None for the one it was calibrated on.
        episodes: How many to play.
        seed: Seed of the first one.
        workers: Processes; no result depends on their number.
        console: Where to draw a progress bar, or None for none.

    Raises:
        CalibrationError: The bundle was never calibrated, or the episodes are not fresh.
        MagmaError: The bundle does not load, its ``gate.yaml`` is not usable, or a worker died.
    """
    manifest = read_manifest(bundle)
    file = find_gate_file(bundle)
    if file is None:
        raise CalibrationError(f"{bundle} has no gate.yaml to check; run magma calibrate first")
    promise = file.guarantee
    task_set = TaskSet(promise.suites, promise.tasks, split or promise.split)
    first, last = promise.seeds
    if task_set.split == promise.split and seed <= last and seed + episodes > first:
        raise CalibrationError(
            f"seeds {first} to {last} were calibrated on; choose others to check with"
        )
    model = file.agreement_model()
    played = collect(
        bundle,
        task_set.scenes(episodes, seed),
        partial(_adaptive, model, file.threshold),
        model.yardstick,
        workers=workers,
        console=console,
        description=f"checking {manifest.name} on {task_set.split}",
    )
    losses = np.array([episode.violations(promise.epsilon) for episode in played])
    successes = sum(episode.success for episode in played)
    diagrams = _reliabilities(model, played, promise.epsilon)
    return Check(
        task_set=task_set,
        guarantee=promise,
        seed=seed,
        episodes=episodes,
        violations=float(losses.mean()),
        interval=risk_interval(losses),
        depth=_mean_depth(played),
        flops=_mean_cost(played, manifest),
        successes=successes,
        success_interval=wilson_interval(successes, episodes),
        calibration_errors=tuple(diagram.error for diagram in diagrams),
    )


def _adaptive(model: AgreementModel, threshold: float, scene: Scene) -> Gate:
    del scene
    return AdaptiveGate(model=model, threshold=threshold)


def _guarantee(spec: CalibrationSpec) -> Guarantee:
    kinds = {(scene.suite, scene.task) for scene in spec.task_set.scenes(spec.episodes, spec.seed)}
    return Guarantee(
        epsilon=spec.epsilon,
        delta=spec.delta,
        alpha=spec.alpha,
        episodes=spec.episodes,
        suites=spec.task_set.suites,
        tasks=tuple(sorted(task for _, task in kinds)),
        split=spec.task_set.split,
        seeds=(spec.seed, spec.last_seed),
    )


def _trial(tested: Evidence, manifest: Manifest) -> Trial:
    return Trial(
        threshold=tested.threshold,
        violations=float(tested.losses.mean()),
        p_value=tested.p_value,
        depth=_mean_depth(tested.episodes),
        flops=_mean_cost(tested.episodes, manifest),
    )


def _mean_depth(episodes: Sequence[EpisodeReadings]) -> float:
    return float(np.concatenate([episode.depths for episode in episodes]).mean())


def _mean_cost(episodes: Sequence[EpisodeReadings], manifest: Manifest) -> float:
    costs = np.array(exit_costs(manifest))
    return float(costs[np.concatenate([episode.depths for episode in episodes]) - 1].mean())


def _reliabilities(
    model: AgreementModel, episodes: Sequence[EpisodeReadings], epsilon: float
) -> list[Reliability]:
    given = np.concatenate([probabilities(model, episode) for episode in episodes])
    agrees = np.concatenate([episode.deviations for episode in episodes]) <= epsilon
    return [reliability(given[:, exit_], agrees[:, exit_]) for exit_ in range(given.shape[1])]


def _exit_entries(
    model: AgreementModel, episodes: Sequence[EpisodeReadings], epsilon: float
) -> tuple[ExitEntry, ...]:
    diagrams = _reliabilities(model, episodes, epsilon)
    return tuple(
        ExitEntry(
            bias=exit_model.bias,
            weights=exit_model.weights,
            price=exit_model.price,
            calibration_error=diagram.error,
            reliability=tuple(
                ReliabilityBin(count=int(n), predicted=float(p), observed=float(o))
                for n, p, o in zip(diagram.counts, diagram.predicted, diagram.observed, strict=True)
            ),
        )
        for exit_model, diagram in zip(model.exits, diagrams, strict=True)
    )


def _solve_baselines(
    episodes: Sequence[EpisodeReadings], manifest: Manifest
) -> tuple[Solution, ...]:
    """For budgets spread evenly between always the second exit and always the deepest."""
    costs = exit_costs(manifest)
    if len(costs) < 3:  # two exits leave nothing to choose between
        return ()
    budgets = np.linspace(costs[1], costs[-1], BUDGETS + 2)[1:-1]
    return tuple(
        Solution(
            flops=float(budget),
            consistency=consistency_thresholds(episodes, costs, float(budget)),
            entropy=entropy_threshold(episodes, costs, float(budget)),
        )
        for budget in budgets
    )
