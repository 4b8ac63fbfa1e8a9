# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs Magma's network in the simulator, in PyTorch, one action a look."""

from __future__ import annotations

import numpy as np
import torch

from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.words import Words
from magma_ros.models.network.normalisation import denormalise
from magma_ros.sim.simulation import Simulation
from magma_ros.types import ACTION_DIMS, FloatArray


class MagmaDriver:
    """Plans from one camera with the last layer.

    Args:
        network: In evaluation mode, on the CPU.
        words: Of its checkpoint.
        q01: (7,) 1st percentile of the actions it learned.
        q99: (7,) 99th percentile.
        camera: Whose pictures it sees.
    """

    def __init__(
        self,
        network: MagmaNetwork,
        words: Words,
        q01: FloatArray,
        q99: FloatArray,
        camera: str = "front",
    ) -> None:
        self._network, self._words, self._camera = network, words, camera
        self._q01, self._q99 = q01, q99
        self._rows = torch.arange(words.codec.ids.start, words.codec.ids.stop)

    def plan(self, simulation: Simulation) -> FloatArray:
        """(1, 7) the next action in SI units."""
        observation = simulation.observation()
        image = torch.from_numpy(observation.images[self._camera])[None]
        prompt, tokenizer = self._words.prompt, self._words.tokenizer
        prefix = torch.tensor([prompt.prefix(tokenizer)])
        suffix = torch.tensor([prompt.suffix(tokenizer, observation.instruction)])
        with torch.inference_mode():
            tiles = pixels_of(image, self._network.shape)
            read = self._network.prompt(tiles, prefix, suffix)
            ids = self._network.choose(read, self._rows, len(ACTION_DIMS))
        values = self._words.codec.decode(ids.numpy())
        values[:, -1] = np.clip(values[:, -1], 0.0, 1.0)
        return denormalise(values, self._q01, self._q99)
