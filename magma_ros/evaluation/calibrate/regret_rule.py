# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gives a calibrated bundle the rule of the gate that judges by regret, for a budget of operations.

First, episodes with random exits, to fit the models of regret and to find the price that meets the
budget. Then fresh ones that the gate drives with them: what it does, and an upper bound on how
often it deviates from full depth. That bound is measured, where the guarantee's delta is demanded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError, risk_bound
from magma_ros.evaluation.calibrate.need import learn_need, told_by_words
from magma_ros.evaluation.calibrate.readings import TaskSet, collect
from magma_ros.evaluation.calibrate.regret import fit_regret, price_for, randomised
from magma_ros.evaluation.figures.exit_costs import exit_costs
from magma_ros.evaluation.world import Scene
from magma_ros.gate.gate_file import GateFile, RegretEntry, RegretRule, require_gate_file
from magma_ros.gate.interface import Gate
from magma_ros.gate.regret import RegretGate, RegretModel
from magma_ros.policy.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class RegretSpec:
    """What the rule may spend, and what to play for it.

    Attributes:
        budget: Mean operations of a decision, as a share of full depth.
        episodes: Fresh episodes to measure the rule on.
        fit_episodes: Episodes that the models are fitted on.
        seed: Seed of the first episode; every further one has the next.
        workers: Processes; no result depends on their number.
        by_exit: Evaluations at fixed exits, from which to learn which words stand for tasks that
            need depth; none to leave words out.

    Raises:
        CalibrationError: A number is out of range.
    """

    budget: float
    episodes: int
    fit_episodes: int
    seed: int
    workers: int
    by_exit: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.budget < 1.0:
            raise CalibrationError(f"the budget must lie between 0 and 1, not {self.budget:g}")
        if min(self.episodes, self.fit_episodes, self.workers) < 1:
            raise CalibrationError("episodes, fit-episodes and workers must be at least 1")


def find_rule(spec: RegretSpec, bundle: Path, console: Console | None = None) -> GateFile:
    """Fit the rule in episodes of the kind that the bundle's guarantee is about.

    Args:
        spec: The budget, and what to play.
        bundle: Folder of the policy's bundle, which is calibrated already.
        console: Where to draw progress bars, or None for none.

    Returns:
        The bundle's ``gate.yaml`` with the rule in it; nothing is written.

    Raises:
        CalibrationError: The budget cannot be met, or the episodes tell nothing.
        MagmaError: The bundle does not load or is not calibrated, or a worker died.
    """
    manifest = read_manifest(bundle)
    file = require_gate_file(bundle, manifest.exits)
    promise = file.guarantee
    task_set = TaskSet(promise.suites, promise.tasks, promise.split)
    yardstick = file.agreement_model().yardstick
    costs = exit_costs(manifest)
    need = learn_need(spec.by_exit, file.manifest_sha256, costs) if spec.by_exit else None
    play = partial(collect, bundle, yardstick=yardstick, workers=spec.workers, console=console)
    scenes = task_set.scenes(spec.fit_episodes, spec.seed)
    recorded = play(
        scenes, partial(randomised, manifest.exits), description="drawing exits at random"
    )
    model = fit_regret(scenes, recorded, yardstick, costs)
    if need is not None:
        model = told_by_words(model, need, recorded)
    price = price_for(model, recorded, costs, spec.budget)
    first = spec.seed + spec.fit_episodes
    played = play(
        task_set.scenes(spec.episodes, first),
        partial(_regret, model, price),
        description=f"measuring price {price:.3g}",
    )
    losses = np.array([episode.violations(promise.epsilon) for episode in played])
    depths = np.concatenate([episode.depths for episode in played])
    rule = RegretRule(
        price=price,
        exits=tuple(
            RegretEntry(bias=e.bias, weights=e.weights, saving=e.saving, loss=e.loss)
            for e in model.exits
        ),
        words=dict(model.words),
        paired_episodes=0 if need is None else need.episodes,
        fit_episodes=spec.fit_episodes,
        budget=spec.budget,
        episodes=spec.episodes,
        seeds=(spec.seed, first + spec.episodes - 1),
        successes=sum(episode.success for episode in played),
        flops=float(np.asarray(costs)[depths - 1].mean()),
        violations=float(losses.mean()),
        violations_at_most=risk_bound(losses, promise.alpha),
    )
    return file.model_copy(update={"regret": rule})


def _regret(model: RegretModel, price: float, scene: Scene) -> Gate:
    del scene
    return RegretGate(model, price)
