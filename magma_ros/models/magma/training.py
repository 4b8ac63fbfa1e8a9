# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains a small checkpoint of Magma's layout; continues where it stopped.

Everything random in a step is drawn from (seed, step), as when a policy is trained.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from magma_ros.files import make_folder, whole, write_json
from magma_ros.models.data.augment import augment
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.generate import generate
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.device import training_device, transfer
from magma_ros.models.magma.examples import Prompts, read_demonstrations
from magma_ros.models.magma.imitation import Imitation, Sample, Vocabulary
from magma_ros.models.magma.layout import EMBEDDING, HEAD, is_unused
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.recipe import CheckpointRecipe, RestConfig, read_recipe
from magma_ros.models.magma.synthetic import write_checkpoint
from magma_ros.models.magma.synthetic_tokenizer import make_tokenizer
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import checkpoint_name
from magma_ros.models.magma.words import Words
from magma_ros.models.network.losses import Losses
from magma_ros.models.training.checkpoint import DAMAGE
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
from magma_ros.policy.action_statistics import OWN, ActionStatistics
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.policy.prompt import END_OF_TURN, ActionPrompt
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.spaces import GRIPPER
from magma_ros.types import FloatArray, MagmaError

STATE = "state.pt"
"""Name of the file to resume from."""

CHECKPOINT = "checkpoint"
"""Folder of a run that holds the trained weights in Magma's layout."""

FALL = 4.0
"""In units of all steps, how steeply the learning rate falls to the end."""


class CheckpointTrainer:
    """Trains the network of one run.

    Args:
        recipe: What is trained.
        run: Folder of the run; its state is continued.
        data: The demonstrations.
        prompts: Their prompts.
    """

    def __init__(
        self, recipe: CheckpointRecipe, run: Path, data: Demonstrations, prompts: Prompts
    ) -> None:
        self.recipe, self.run, self.data, self.prompts = recipe, run, data, prompts
        self.statistics = Statistics.of(data.actions, data.proprioception)
        self.vocabulary = Vocabulary(prompts.used, fresh_words(), recipe.shape.text.vocabulary)
        self.device = training_device()
        torch.manual_seed(recipe.seed)
        network = _network(recipe, self.vocabulary)
        if self.device.type == "cuda":
            network.language_model.set_attn_implementation("sdpa")  # keeps no attention maps
        self.imitation = Imitation(network, self.vocabulary).to(self.device)
        self.average = copy.deepcopy(self.imitation).requires_grad_(requires_grad=False)
        self.optimiser = make_optimiser(self.imitation, recipe.optimiser)
        self.step = 0
        self._prefix = self.vocabulary.shortened(prompts.prefix).to(self.device)
        self._std = torch.tensor(self.statistics.std, device=self.device)
        self._suffixes = self.vocabulary.shortened(prompts.suffixes)
        if (run / STATE).exists():
            self._restore()

    def train(self) -> None:
        """Take all steps that are left."""
        log = RunLog(self.run, self.step, self.recipe.optimiser.batch)
        last = self.recipe.optimiser.steps
        with training_progress() as progress:
            bar = progress.add_task(self.recipe.name, total=last, completed=self.step, note="")
            while self.step < last:
                losses = self.learn()
                progress.update(bar, advance=1, note=log.add(self.step, losses))
                if self.step % self.recipe.checkpoint_every == 0 or self.step == last:
                    self.save()
                    log.draw()

    @property
    def sigma(self) -> float:
        """Standard deviation of the labels at the coming step [bins]."""
        loss = self.recipe.loss
        level = self.step < _level(self.recipe.optimiser.steps)
        return loss.sigma if level or loss.last_sigma is None else loss.last_sigma

    def learn(self) -> Losses:
        """One optimiser step."""
        config, weights = self.recipe.optimiser, self.recipe.loss
        sample = self.next_sample()
        reduced = config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            losses = self.imitation.losses(sample, self.sigma, weights.heat, weights.positions)
        rate = config.learning_rate * _pace(self.step, config.warm_up, config.steps)
        losses = descend(self.optimiser, self.imitation.parameters(), losses, rate, config.clip)
        self.step += 1
        follow(self.average, self.imitation, self.step, config.ema)
        return losses

    def next_sample(self) -> Sample:
        """The batch of the coming step, varied."""
        seed = step_seed(self.recipe.seed, self.step)
        learned = self._learned()
        size = self.recipe.optimiser.batch
        chosen = learned[batch_rows(self.recipe.seed, self.step, size, len(learned))]
        generator = torch.Generator().manual_seed(seed)
        batch = self.data.batch(chosen, self.statistics)
        bins = self.vocabulary.bins(batch.labels.actions[:, 0])
        batch = to_device(batch, self.device)
        inputs, labels = augment(batch, self.recipe.augmentation, self._std, generator)
        camera = self.recipe.camera.name
        return Sample(
            tiles=pixels_of(inputs.images[camera], self.recipe.shape),
            prefix=self._prefix,
            suffixes=transfer(self._suffixes[chosen], self.device),
            lengths=transfer(torch.from_numpy(self.prompts.lengths[chosen]), self.device),
            actions=labels.actions[:, 0],
            bins=transfer(bins, self.device),
            positions=labels.positions,
            places=labels.pixels[camera],
        )

    def _continues(self, known: CheckpointRecipe) -> bool:
        """Whether all steps so far were this recipe's.

        How long it is and what its end is like are open until the learning rate falls.
        """
        steps, last = self.recipe.optimiser.steps, self.recipe.loss.last_sigma
        optimiser = known.optimiser.model_copy(update={"steps": steps})
        loss = known.loss.model_copy(update={"last_sigma": last})
        level = _level(min(steps, known.optimiser.steps))
        alike = known.model_copy(update={"optimiser": optimiser, "loss": loss}) == self.recipe
        return known == self.recipe or (alike and self.step <= level)

    def _learned(self) -> npt.NDArray[np.int64]:
        """The frames that are learned at this step."""
        rest = self.recipe.rest
        if rest is None or self.step < rest.after:
            return np.arange(len(self.data))
        return self._moving

    @cached_property
    def _moving(self) -> npt.NDArray[np.int64]:
        assert self.recipe.rest is not None
        return moving_rows(self.data.actions, self.recipe.rest, self.recipe.seed)

    def save(self) -> None:
        """Write the state to resume from, whole.

        Raises:
            MagmaError: It cannot be written.
        """
        make_folder(self.run)
        state = {
            "recipe": self.recipe.model_dump_json(),
            "step": self.step,
            "network": self.imitation.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with whole(self.run / STATE) as draft:
            torch.save(state, draft)

    def _restore(self) -> None:
        try:
            state = torch.load(self.run / STATE, map_location="cpu", weights_only=True)
            self.step = int(state["step"])
            known = CheckpointRecipe.model_validate_json(state["recipe"])
            if not self._continues(known):
                raise MagmaError(
                    f"{self.run} was trained with another recipe; restore it or choose another "
                    "folder"
                )
            self.imitation.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
        except DAMAGE as error:
            raise MagmaError(
                f"{self.run / STATE} is damaged ({' '.join(str(error).split())[:200]}); "
                "delete it to begin anew"
            ) from error


def train(config: Path, *, out: Path | None = None, resume: bool = False, workers: int = 0) -> Path:
    """Train the checkpoint of a recipe, after making the demonstrations that are missing.

    Args:
        config: The recipe.
        out: Folder of the run; ``checkpoints/<name>`` if not given.
        resume: Continue the run in that folder if there is one.
        workers: Processes that make demonstrations; 0 for one a core.

    Returns:
        The folder of the checkpoint, inside that of the run.

    Raises:
        MagmaError: The recipe, the demonstrations or the run cannot be used.
    """
    recipe = read_recipe(config)
    run = out or Path("checkpoints") / recipe.name
    if (run / STATE).exists() and not resume:
        raise MagmaError(f"{run} already holds a run; resume it or choose another folder")
    generate(recipe.data, workers=workers)
    data, prompts = read_demonstrations(recipe.data, recipe.camera, fresh_words())
    trainer = CheckpointTrainer(recipe, run, data, prompts)
    trainer.train()
    write_trained(run / CHECKPOINT, trainer.average, recipe, trainer.statistics)
    return run / CHECKPOINT


def write_trained(
    folder: Path, imitation: Imitation, recipe: CheckpointRecipe, statistics: Statistics
) -> None:
    """Write trained weights in the layout of microsoft/Magma-8B, and the actions' statistics.

    Raises:
        MagmaError: The folder cannot be written.
    """
    network = imitation.network
    weights = {checkpoint_name(n): p.detach().cpu() for n, p in network.named_parameters()}

    def weight(name: str, size: tuple[int, ...]) -> Tensor:
        if is_unused(name):
            return torch.zeros(size)
        if name in (EMBEDDING, HEAD):
            return imitation.vocabulary.whole(weights[name], head=name == HEAD)
        return weights[name]

    write_checkpoint(folder, recipe.shape, dtype="float16", weight=weight)
    action = ActionStatistics(q01=statistics.q01, q99=statistics.q99, step_period=ENV_STEP)
    write_json({recipe.name: {"action": action.model_dump(mode="json")}}, folder / OWN)


def moving_rows(actions: FloatArray, rest: RestConfig, seed: int) -> npt.NDArray[np.int64]:
    """Rows in which the expert moves or closes the gripper, and some of the others."""
    stays = np.linalg.norm(actions[:, :3], axis=1) <= rest.distance
    stays &= np.abs(actions[:, 3:GRIPPER]).max(axis=1) <= rest.turn
    stays &= actions[:, GRIPPER] > 0.5
    kept = np.random.default_rng(seed).random(len(actions)) < rest.share
    return np.flatnonzero(~stays | kept)


def fresh_words() -> Words:
    """The words of a checkpoint that is to be written."""
    tokenizer = make_tokenizer()
    end = tokenizer.encode(END_OF_TURN, add_special_tokens=False).ids[0]
    return Words(tokenizer, ActionPrompt(), ActionCodec.of(tokenizer), end)


def _network(recipe: CheckpointRecipe, vocabulary: Vocabulary) -> MagmaNetwork:
    """Fresh weights, with the shorter vocabulary."""
    shape = recipe.shape
    network = MagmaNetwork(replace(shape, text=replace(shape.text, vocabulary=len(vocabulary.ids))))
    for name, parameter in network.named_parameters():
        if name.endswith("layer_scale_parameter"):
            nn.init.constant_(parameter, recipe.vision.layer_scale)
    return network


def _level(steps: int) -> float:
    """Up to which of all steps the learning rate is level."""
    return (1.0 - 1.0 / FALL) * steps


def _pace(step: int, warm_up: int, steps: int) -> float:
    """Learning rate in units of its peak: up, level, and down in the last quarter of the steps.

    So a run can be made longer up to where its fall begins (arXiv 2405.18392).
    """
    rising = (step + 1) / warm_up
    falling = FALL * (1.0 - step / steps)
    return min(1.0, rising, max(LAST_RATE, falling))
