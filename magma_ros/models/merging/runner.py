# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of both layouts, run on observations with any member's weights in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.reader import DTYPES
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import checkpoint_name, empty_network, fill
from magma_ros.models.magma.words import read_words
from magma_ros.models.merging.weights import LayoutWeights, PolicyWeights, Weights
from magma_ros.models.network.actions import decode
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.network.network import Inputs
from magma_ros.models.network.policy import Policy
from magma_ros.models.training.rollout import inputs_of, observation_contract
from magma_ros.policy.preprocess import Preprocessor
from magma_ros.types import Observation

Given = TypeVar("Given")
"""What a network takes."""

PRODUCTS = (nn.Linear, nn.Conv2d, nn.Embedding)
"""Modules that are calibrated: they are linear in their weights."""


class Runner(ABC, Generic[Given]):
    """A network and what it answers.

    Attributes:
        network: The network.
    """

    network: nn.Module

    @abstractmethod
    def load(self, weights: Weights) -> None:
        """Put a checkpoint's weights into the network."""

    @abstractmethod
    def prepare(self, observations: Sequence[Observation]) -> list[Given]:
        """What the network takes of observations, in as few batches as it can."""

    @abstractmethod
    def answer(self, given: Given) -> Tensor:
        """What the network says, as numbers (B, ...) that can be compared."""

    def tensor_name(self, parameter: str) -> str:
        """The name in a checkpoint of a parameter of the network."""
        return parameter

    def products(self) -> dict[str, nn.Module]:
        """The modules that are calibrated, by name."""
        return {
            name: one for name, one in self.network.named_modules() if isinstance(one, PRODUCTS)
        }


class PolicyRunner(Runner[Inputs]):
    """The network of a trainer's checkpoint; it answers with the plans of all exits."""

    network: Policy

    def __init__(self, base: PolicyWeights) -> None:
        self.network = base.recipe.network().eval().requires_grad_(requires_grad=False)
        contract = observation_contract(base.recipe.config.network)
        self._cameras = tuple(camera.name for camera in contract.cameras)
        self._preprocess = Preprocessor(contract, base.recipe.tokenizer())

    def load(self, weights: Weights) -> None:
        """See :meth:`Runner.load`."""
        state = {name: weights.tensor(name) for name in self.network.state_dict()}
        self.network.load_state_dict(state)

    def prepare(self, observations: Sequence[Observation]) -> list[Inputs]:
        """All of them as one batch."""
        each = [self._preprocess(observation) for observation in observations]
        names = each[0]
        batch = {name: torch.cat([torch.from_numpy(one[name]) for one in each]) for name in names}
        return [inputs_of(batch)]

    def answer(self, given: Inputs) -> Tensor:
        """See :meth:`Runner.answer`."""
        if not isinstance(self.network, MagmaPolicy):
            return self.network.plan(given)
        floor = self.network.config.action.floor
        exits = self.network(given).exits
        return torch.stack([decode(one.logits, floor).action for one in exits], dim=1)


class LayoutRunner(Runner[tuple[Tensor, Tensor, Tensor]]):
    """The network of Magma's layout; it answers with the chances of the first action token."""

    network: MagmaNetwork

    def __init__(self, base: LayoutWeights, camera: str) -> None:
        shape = base.checkpoint.shape
        self.network = empty_network(shape)
        self._words = read_words(base.folder, shape)
        self._rows = torch.tensor(list(self._words.codec.ids))
        self._camera = camera
        self._dtype = DTYPES[next(iter(base.stored.values())).dtype]

    def load(self, weights: Weights) -> None:
        """See :meth:`Runner.load`; weights stay views of their files."""
        fill(self.network, weights, dtype=self._dtype)

    def prepare(self, observations: Sequence[Observation]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """One after the other, as their prompts differ in length."""
        found = []
        for seen in observations:
            image = torch.from_numpy(seen.images[self._camera])[None]
            ids = (self._words.prefix(), self._words.suffix(seen.instruction))
            prefix, suffix = (torch.tensor([part]) for part in ids)
            found.append((pixels_of(image, self.network.shape), prefix, suffix))
        return found

    def answer(self, given: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """See :meth:`Runner.answer`."""
        network = self.network
        hidden, _ = network.think(network.prompt(*given), network.layers)
        model: Any = network.language_model
        logits = model.lm_head(model.model.norm(hidden[:, -1:]))  # as a module, for its hook
        return torch.softmax(logits[..., self._rows].float(), dim=-1)

    def tensor_name(self, parameter: str) -> str:
        """See :meth:`Runner.tensor_name`."""
        return checkpoint_name(parameter)


def runner_of(base: Weights, camera: str) -> Runner[Any]:
    """What runs the networks of a base and of its parents."""
    if isinstance(base, LayoutWeights):
        return LayoutRunner(base, camera)
    assert isinstance(base, PolicyWeights)
    return PolicyRunner(base)
