# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One loop of improvement: a policy weakened on purpose, take-overs, training, success again.

The weakened policy's hand drifts: the bins of one dimension are moved by some, as a miscalibrated
arm would. A scripted stand-in for the operator, the simulator's expert, takes over where the policy
makes no progress. What follows is the road of every correction: episodes on disk, training, a new
bundle, and the same scenes played by both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from magma_ros.episodes.episode import HUMAN, POLICY, Episode
from magma_ros.episodes.events import Outcome
from magma_ros.episodes.lerobot.export import export as write_episodes
from magma_ros.evaluation.figures.statistics import PairedCounts
from magma_ros.evaluation.play.workers import processes
from magma_ros.models.data.config import CorrectionConfig
from magma_ros.models.export.corrections import improve
from magma_ros.models.export.export import Origin, export
from magma_ros.models.export.marked import deepest, loaded
from magma_ros.models.network.actions import BINS
from magma_ros.models.network.network import ThinkStage
from magma_ros.models.training.checkpoint import TrainingState, save_checkpoint
from magma_ros.models.training.corrections import Tuning, recipe_for, write_recipe
from magma_ros.models.training.restore import recipe_of, restore_bundle
from magma_ros.models.training.steps import make_optimiser
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP, PROPRIOCEPTION, Simulation
from magma_ros.sim.suite import load_suite
from magma_ros.spaces import ACTION_DIMS, GRIPPER
from magma_ros.types import FloatArray, ImageArray

SHOWN_SEED = 1_900_000
"""Seed of the first scene with take-overs; training owns the seeds from a million on."""

JUDGED_SEED = 70_000
"""Seed of the first scene that both policies are judged by."""

PATIENCE = 0.5
"""Share of the time for a task after which the stand-in takes over, if it is not done."""


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """What is weakened, shown and judged.

    Attributes:
        task: The task.
        suite: Its suite.
        dimension: Column of the action whose bins are moved.
        shift: By how many bins, of 255 across the range.
        takeovers: Episodes in which the stand-in takes over.
        episodes: Scenes that both policies are judged by.
        tuning: Of the training on the episodes.
    """

    task: str = "place"
    suite: str = "tabletop"
    dimension: str = "dy"
    shift: int = 18
    takeovers: int = 20
    episodes: int = 50
    tuning: Tuning = field(default_factory=Tuning)


@dataclass(frozen=True, slots=True)
class LoopResult:
    """What the loop came to.

    Attributes:
        counts: Success of the weakened policy, then of the one that learned, scene by scene.
        takeovers: Episodes in which the stand-in took over.
        rows: Steps that it drove.
    """

    counts: PairedCounts
    takeovers: int
    rows: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        counts, (low, high) = self.counts, self.counts.difference_interval()
        return {
            "pairs": counts.pairs,
            "before": (counts.both + counts.only_first) / counts.pairs,
            "after": (counts.both + counts.only_second) / counts.pairs,
            "difference": counts.difference,
            "interval": [low, high],
            "p_value": counts.p_value(),
            "takeovers": self.takeovers,
            "human_rows": self.rows,
        }


Show = Callable[[LoopSpec, Path, Path], tuple[Path, ...]]
"""Plays the weak bundle until it was taken over often enough: what, bundle, folder to record into.

It returns where the episodes are.
"""


def weaken(bundle: Path, out: Path, dimension: str, shift: int) -> Path:
    """A bundle whose actions are off by some bins in one dimension; the same on every machine.

    Args:
        bundle: The healthy bundle.
        out: Folder of the weak one.
        dimension: Name of the dimension, as in :data:`magma_ros.spaces.ACTION_DIMS`.
        shift: By how many of the 255 bins.
    """
    base = recipe_for(bundle)
    recipe = recipe_of(bundle, base)
    torch.manual_seed(base.seed)
    network = recipe.network()
    restore_bundle(network, bundle)
    column = ACTION_DIMS.index(dimension)
    rows = slice(column * BINS, (column + 1) * BINS)
    with torch.no_grad():
        for stage in cast("nn.ModuleList", network.stages):
            if isinstance(stage, ThinkStage) and stage.exit is not None:
                for weights in (stage.exit.bins.weight, stage.exit.bins.bias):
                    weights[rows] = weights[rows].roll(shift, dims=0)
    run = out.with_name(f"{out.name}-checkpoint")
    state = TrainingState(1, network, network, make_optimiser(network, base.optimiser))
    checkpoint = save_checkpoint(run, recipe, state)
    parent = read_manifest(bundle)
    data = f"nothing: bundle {parent.name} with {dimension} off by {shift} bins, on purpose"
    export(checkpoint, out, origin=Origin(data, "magma bench corrections"))
    write_recipe(out, base)
    return out


def run_loop(
    spec: LoopSpec,
    bundle: Path,
    out: Path,
    *,
    show: Show | None = None,
    workers: int = 1,
    tell: Callable[[str], object] = lambda _: None,
) -> LoopResult:
    """Weaken, show, train, and judge.

    Args:
        spec: What.
        bundle: The healthy bundle.
        out: Folder for both bundles and the episodes; what is there is made anew.
        show: Lets somebody take over from the weak bundle; without it, the stand-in does in the
            simulator itself.
        workers: Processes that play.
        tell: Takes what is being done, a sentence at a time.
    """
    tell("weakening the policy")
    weak = weaken(bundle, out / "weak", spec.dimension, spec.shift)
    tell("taking over from it")
    shown = (show or show_in_simulator)(spec, weak, out / "episodes")
    tell("training on the take-overs")
    corrections = CorrectionConfig(episodes=shown)
    learned = improve(weak, out / "better", corrections, spec.tuning)
    tell("judging both")
    before, after = (judge(spec, path, workers) for path in (weak, out / "better"))
    pairs = list(zip(before, after, strict=True))
    counts = PairedCounts(
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )
    return LoopResult(counts, learned.episodes, learned.human)


def show_in_simulator(spec: LoopSpec, bundle: Path, folder: Path) -> tuple[Path, ...]:
    """Let the stand-in take over in the simulator itself; the episodes are a LeRobot data set."""
    write_episodes(list(take_overs(spec, bundle)), folder, codec="h264")
    return (folder,)


def judge(spec: LoopSpec, bundle: Path, workers: int) -> list[bool]:
    """Whether the policy does the task, scene by scene."""
    seeds = range(JUDGED_SEED, JUDGED_SEED + spec.episodes)
    with processes(workers) as pool:
        return list(pool.map(partial(_does, spec, bundle), seeds))


def _does(spec: LoopSpec, bundle: Path, seed: int) -> bool:
    return _Drive(spec, bundle, seed, patience=1.0).play().outcome.task == "SUCCEEDED"


def take_overs(spec: LoopSpec, bundle: Path) -> Iterator[Episode]:
    """Episodes in which the stand-in had to take over, until there are enough."""
    played = (_Drive(spec, bundle, seed, patience=PATIENCE).play() for seed in scenes(spec))
    yield from islice((e for e in played if e.interventions.any()), spec.takeovers)


def scenes(spec: LoopSpec) -> range:
    """Seeds of the scenes that may be shown; in some, nobody has to take over."""
    return range(SHOWN_SEED, SHOWN_SEED + 20 * spec.takeovers)


class _Drive:
    """One episode: the policy drives at full depth, the stand-in after its patience is over."""

    def __init__(self, spec: LoopSpec, bundle: Path, seed: int, *, patience: float) -> None:
        self._spec, self._policy, self._seed, self._patience = spec, loaded(bundle), seed, patience
        self._seen: list[tuple[dict[str, ImageArray], FloatArray, FloatArray, bool]] = []

    def play(self) -> Episode:
        """Play it and return what was seen and done."""
        spec = self._spec
        with closing(Simulation(spec.task, suite=spec.suite, seed=self._seed)) as simulation:
            plan: list[FloatArray] = []
            expert, limit = Expert(), simulation.task.step_limit
            for step in range(limit):
                human = step >= self._patience * limit
                if not human and not plan:
                    chunk = deepest(self._policy, simulation.observation())
                    plan = list(chunk.actions[: load_suite(spec.suite).execute])
                action = expert.act(simulation) if human else plan.pop(0)
                images = {name: simulation.image(name) for name in simulation.cameras}
                self._seen.append((images, simulation.proprioception(), action, human))
                simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
                simulation.step(ENV_STEP)
                if simulation.succeeded():
                    break
            return self._episode(simulation.instruction, done=simulation.succeeded())

    def _episode(self, instruction: str, *, done: bool) -> Episode:
        count = len(self._seen)
        images, measured, actions, human = zip(*self._seen, strict=True)

        def look(camera: str, rows: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
            return ((row, images[row][camera]) for row in rows)

        return Episode(
            name=f"{self._spec.task} {self._seed}",
            period=ENV_STEP,
            times=ENV_STEP * np.arange(count),
            cameras=tuple(images[0]),
            look=look,
            picture_ages={name: np.zeros(count) for name in images[0]},
            fields=PROPRIOCEPTION,
            proprioception=np.array(measured, np.float32),
            instructions=(instruction,) * count,
            points=np.full((count, 2), np.nan),
            point_camera="",
            actions=np.array(actions, np.float32),
            sources=tuple(HUMAN if each else POLICY for each in human),
            interventions=np.array(human, bool),
            modes=tuple("TELEOP" if each else "AUTO" for each in human),
            depths=np.array([0 if each else 1 for each in human]),
            # What the policy did before it was helped is no example, though the task was done.
            outcome=Outcome("SUCCEEDED" if done else "TIMED_OUT", "bad" if any(human) else ""),
            events=(),
            methods={},
            warnings=(),
        )
