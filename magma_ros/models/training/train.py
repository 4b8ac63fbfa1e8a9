# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains a policy by imitation; continues where it stopped, bit for bit on the same machine.

Everything random in a step is drawn from (seed, step), so a resumed run has the same batches with
the same augmentation as an uninterrupted one, and no random state needs to be stored.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from magma_ros.models.data.augment import augment
from magma_ros.models.data.config import AggregationConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.generate import generate
from magma_ros.models.data.marks import mark
from magma_ros.models.data.resident import Resident
from magma_ros.models.data.sets import make_set, read_set, spaced, words_of
from magma_ros.models.data.shards import CARD
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.data.words import make_tokenizer
from magma_ros.models.device import training_device
from magma_ros.models.network.losses import Batch, Losses
from magma_ros.models.network.policy import Policy
from magma_ros.models.training.aggregate import aggregate
from magma_ros.models.training.checkpoint import (
    Recipe,
    TrainingState,
    checkpoints,
    restore,
    save_checkpoint,
)
from magma_ros.models.training.config import TrainingConfig, load_config
from magma_ros.models.training.graft import Part, graft, train_only
from magma_ros.models.training.restore import restore_start, started_recipe
from magma_ros.models.training.rollout import TorchPolicy, success_rate
from magma_ros.models.training.runlog import RunLog
from magma_ros.models.training.steps import (
    LAST_RATE,
    batch_rows,
    descend,
    follow,
    make_optimiser,
    step_seed,
    to_device,
    training_progress,
)
from magma_ros.sim.language import marked_vocabulary, vocabulary
from magma_ros.types import MagmaError

AGGREGATED = "aggregated"
"""Folder of a run that holds the demonstrations of its rounds of DAgger."""

_log = logging.getLogger(__name__)


def train(
    config_path: Path,
    *,
    out: Path | None = None,
    resume: bool = False,
    workers: int = 0,
    bundle: Path | None = None,
) -> Path:
    """Train the policy of a recipe, after making the demonstrations that are missing.

    Args:
        config_path: The recipe, for example ``models/magma-nano.train.yaml``.
        out: Folder of the run; ``checkpoints/<name>`` if not given.
        resume: Continue the run in that folder if there is one.
        workers: Processes that make demonstrations; 0 for one per core.
        bundle: A bundle to start from, instead of what the recipe says.

    Returns:
        The last checkpoint.

    Raises:
        MagmaError: The recipe, the demonstrations or the checkpoint cannot be used.
    """
    config = load_config(config_path, bundle)
    run = out or Path("checkpoints") / config.name
    if checkpoints(run) and not resume:
        raise MagmaError(f"{run} already holds a run; resume it or choose another folder")
    if not checkpoints(run):
        # Demonstrations that the policy of an abandoned run drove are not this policy's.
        shutil.rmtree(run / AGGREGATED, ignore_errors=True)
    if config.data.lerobot:
        return _train_on_set(config, run, workers)
    words = vocabulary() if config.network.point is None else marked_vocabulary()
    generate(config.data, workers=workers)
    if config.start is not None:
        recipe = started_recipe(config.start, config, words)
        data = Demonstrations.of(config.data, config.network, recipe.tokenizer())
        return Trainer(recipe, data, run, workers=workers).train()
    data = Demonstrations.of(config.data, config.network, make_tokenizer(words))
    statistics = Statistics.of(data.actions, data.proprioception)
    return Trainer(Recipe(config, words, statistics), data, run, workers=workers).train()


def _train_on_set(config: TrainingConfig, run: Path, workers: int) -> Path:
    """Train on LeRobot data sets; words and statistics of a new policy are taken from them."""
    if config.aggregation or config.check.every:
        raise MagmaError(
            "a recipe of a LeRobot data set has no aggregation and no check.every: these need the "
            "simulator's own demonstrations; remove them"
        )
    folder = make_set(config.data, workers=workers or os.cpu_count() or 1)
    config = config.model_copy(update={"network": spaced(config.network, folder)})
    words = words_of(folder, *config.data.more, skip_damaged=config.data.skip_damaged)
    if config.start is not None:
        recipe = started_recipe(config.start, config, words)
        data = read_set(config.data, config.network, recipe.tokenizer())
        return Trainer(recipe, data, run, workers=workers).train()
    data = read_set(config.data, config.network, make_tokenizer(words))
    space = config.network.action
    statistics = Statistics.of(data.actions, data.proprioception, space.mask)
    if still := [space.dims[column].name for column in statistics.still]:
        _log.warning("never moved in %s, and so held by the policy: %s", folder, ", ".join(still))
    return Trainer(Recipe(config, words, statistics), data, run, workers=workers).train()


class Trainer:
    """Trains the network of one run.

    Args:
        recipe: What is trained.
        data: The demonstrations.
        run: Folder of the run; its newest checkpoint is continued.
        workers: Processes for aggregation; 0 for one per core.
    """

    def __init__(
        self, recipe: Recipe, data: Demonstrations, run: Path, *, workers: int = 0
    ) -> None:
        self.recipe, self.config, self.data, self.run = recipe, recipe.config, data, run
        self._workers = workers
        self.device = training_device()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True  # every batch has the same shape
        torch.manual_seed(self.config.seed)
        network = recipe.network()
        if self.config.graft is not None and not checkpoints(run):
            graft(network, recipe, self.config.graft)
        if self.config.start is not None and not checkpoints(run):
            restore_start(network, self.config.start)
        network = network.to(self.device)
        self.state = TrainingState(
            step=0,
            network=network,
            average=copy.deepcopy(network).requires_grad_(requires_grad=False),
            optimiser=make_optimiser(network, self.config.optimiser, self.config.start),
        )
        if found := checkpoints(run):
            restore(found[-1], recipe, self.state)
        if self.config.optimiser.compile:
            _compile(network)
        self._std = torch.tensor(recipe.statistics.std, device=self.device)
        self._resident = self._on_device()

    def train(self) -> Path:
        """Take all steps that are left; return the last checkpoint."""
        log = RunLog(self.run, self.state.step, self.config.optimiser.batch)
        if grafted := self.config.graft:
            train_only(self.state.network, frozenset({Part.JOINT}))
            self._train_until(grafted.steps, log)
            train_only(self.state.network, frozenset(Part))
        for number, aggregation in enumerate(self.config.aggregation, start=1):
            self._train_until(aggregation.after, log)
            self._aggregate(aggregation, self.run / AGGREGATED / f"round-{number}")
        self._train_until(self.config.optimiser.steps, log)
        return checkpoints(self.run)[-1]

    def steps(self, last: int) -> Iterator[Losses]:
        """Take the steps that are left up to ``last``, one per item."""
        while self.state.step < last:
            yield self.step(self.next_batch())

    def _train_until(self, last: int, log: RunLog) -> None:
        """Take the steps up to ``last``, with all that is due in between."""
        with training_progress() as progress:
            total, done = self.config.optimiser.steps, self.state.step
            bar = progress.add_task(self.config.name, total=total, completed=done, note="")
            for losses in self.steps(last):
                progress.update(bar, advance=1, note=log.add(self.state.step, losses))
                if self._due(self.config.check.every):
                    log.add_check(self.state.step, self.check())
                if self._due(self.config.checkpoint_every):
                    save_checkpoint(self.run, self.recipe, self.state)
                    log.draw()

    def _aggregate(self, aggregation: AggregationConfig, folder: Path) -> None:
        """Run a round of DAgger, and add its demonstrations to the data."""
        if not (folder / CARD).exists():
            checkpoint = save_checkpoint(self.run, self.recipe, self.state)
            aggregate(checkpoint, self.config.data, aggregation, folder, workers=self._workers)
        more = Demonstrations.read(folder, self.config.network, self.recipe.tokenizer())
        self.data = Demonstrations.joined([self.data, more])
        self._resident = self._on_device()

    def _on_device(self) -> Resident | None:
        """The demonstrations on the GPU if they fit; marks are drawn where they were read."""
        if self.config.network.point is not None or not Resident.fits(self.data, self.device):
            return None
        return Resident(self.data, self.recipe.statistics, self.device)

    def next_batch(self) -> Batch:
        """The batch of the coming step, varied, on the device."""
        learned = self.data.repeated()
        chosen = batch_rows(
            self.config.seed, self.state.step, self.config.optimiser.batch, len(learned)
        )
        rows = learned[chosen]
        if self._resident is not None:
            batch = self._resident.batch(rows)
        else:
            batch = self.data.batch(rows, self.recipe.statistics)
        trace, point = self.config.network.trace, self.config.network.point
        if point is not None:
            batch = self._mark(batch, rows, point.camera)
        generator = torch.Generator().manual_seed(self._step_seed())
        return augment(
            to_device(batch, self.device),
            self.config.augmentation,
            self._std,
            generator,
            trace_camera=trace.camera if trace else None,
            point_camera=point.camera if point else None,
        )

    def _mark(self, batch: Batch, rows: npt.NDArray[np.int64], camera: str) -> Batch:
        """Give the batch marks."""
        config = self.config.augmentation.marks
        rng = np.random.default_rng([self._step_seed(), 1])
        places = self.data.places(rows, camera, rng.integers(config.lag + 1, size=len(rows)))
        given = self.data.points[rows]
        marked = self.data.marked[rows]
        return mark(batch, marked, given=given, places=places, config=config, rng=rng)

    def step(self, batch: Batch) -> Losses:
        """One optimiser step on this batch."""
        state, config = self.state, self.config.optimiser
        torch.manual_seed(self._step_seed())
        rate = learning_rate(self.config, state.step)
        parameters = state.network.parameters()
        losses = descend(state.optimiser, parameters, self._losses(batch), rate, config.clip)
        state.step += 1
        follow(state.average, state.network, state.step, config.ema)
        return losses

    def check(self) -> dict[str, float]:
        """Success per task of the averaged weights on a few validation scenes."""
        average = copy.deepcopy(self.state.average).to("cpu").eval()
        policy = TorchPolicy(average, self.recipe)
        episodes = self.config.check.episodes
        return {
            task: success_rate(policy, suite, task, episodes)
            for suite, task in self.config.data.tasks
        }

    def _losses(self, batch: Batch) -> Losses:
        reduced = self.config.optimiser.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            return self.state.network.losses(batch, self.config.loss)

    def _step_seed(self) -> int:
        return step_seed(self.config.seed, self.state.step)

    def _due(self, every: int) -> bool:
        ends = [phase.last for phase in self.config.phases]
        return bool(every) and (self.state.step in ends or self.state.step % every == 0)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine; once in every phase."""
    first, last, peak = next(phase for phase in config.phases if step < phase.last)
    warm_up = config.optimiser.warm_up
    if step - first < warm_up:
        return peak * (step - first + 1) / warm_up
    progress = (step - first - warm_up) / max(1, last - first - warm_up)
    falling = 0.5 * (1.0 + math.cos(math.pi * progress))
    return peak * (LAST_RATE + (1.0 - LAST_RATE) * falling)


def _compile(network: Policy) -> None:
    """Fuse the network's operations by TorchInductor where a C++ compiler is installed."""
    if any(shutil.which(name) for name in ("g++", "clang++")):
        network.compile()
    else:
        _log.warning("there is no C++ compiler, so training runs uncompiled and a third slower")
