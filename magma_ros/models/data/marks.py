# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks in training: the object is pointed at, instead of named or besides.

The point lies on the object as it was when somebody marked it, at the episode's beginning, or as it
is now, for a mark that is followed; in a world that moves only the latter says what is meant.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from magma_ros.models.data.config import MarkConfig
from magma_ros.models.data.words import encode
from magma_ros.models.network.losses import Batch
from magma_ros.sim.language import base_of, marked_instructions
from magma_ros.types import FloatArray

PHRASINGS = 6
"""Ways to name its object by a mark that are drawn for every episode."""


def marked_tokens(
    task: str, seed: int, instruction: str, tokenizer: Tokenizer, length: int
) -> npt.NDArray[np.int64]:
    """(:data:`PHRASINGS`, T) ids of what an episode's instruction may be if its object is marked.

    Args:
        task: Name of the task.
        seed: Of the episode.
        instruction: What it was told, which says where the object is to be put.
        tokenizer: Turns words into ids.
        length: Words T that the network reads; longer phrasings are left out.
    """
    rng = np.random.default_rng([zlib.crc32(task.encode()), seed, 2])
    ways = marked_instructions(task, base_of(task, instruction), rng)
    short = [way for way in ways if len(way.split()) <= length]
    return encode(tokenizer, [str(way) for way in rng.choice(short, PHRASINGS)], length)


def mark(
    batch: Batch,
    marked: npt.NDArray[np.int64],
    *,
    given: FloatArray,
    places: Sequence[FloatArray],
    config: MarkConfig,
    rng: np.random.Generator,
) -> Batch:
    """Give a batch points: marked and told so, marked besides its words, or not at all.

    Args:
        batch: The batch as recorded.
        marked: (B, V, T) instructions that name the object by a mark.
        given: (B, 3) points that are kept as they are; nan where there are none.
        places: (B, 2) of the object each, column and row, 0 to 1 across the image, as it was marked
            and as it is now; which of the two is drawn.
        config: How often, and how far off the object's centre.
        rng: Draws.
    """
    count = len(marked)
    kind = rng.random(count)
    free = np.asarray(np.isnan(given).any(axis=1))
    told = (kind < config.told) & free
    pointed = kind < config.told + config.besides
    way = rng.integers(marked.shape[1], size=count)
    tokens = np.where(told[:, None], marked[np.arange(count), way], batch.inputs.tokens.numpy())
    place = np.where(rng.random((count, 1)) < 0.5, *places)
    angle = rng.uniform(0.0, 2.0 * math.pi, count)
    away = config.jitter * np.sqrt(rng.random(count))
    place = np.clip(place + (away * np.stack([np.cos(angle), np.sin(angle)])).T, 0.0, 1.0)
    point = np.column_stack([place, np.ones(count)]) * pointed[:, None]
    point = np.where(free[:, None], point, given)
    inputs = batch.inputs._replace(
        tokens=torch.from_numpy(tokens), point=torch.from_numpy(point.astype(np.float32))
    )
    return batch._replace(inputs=inputs)
