# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations as Magma reads them: one picture, a prompt, and the action as seven tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from magma_ros.models.data.config import DataConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.shards import find_shards, read_columns
from magma_ros.models.data.words import make_tokenizer as make_words
from magma_ros.models.magma.words import Words
from magma_ros.models.network.config import CameraConfig, PolicyConfig
from magma_ros.sim.language import vocabulary
from magma_ros.sim.simulation import PROPRIOCEPTION

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """The prompts of many samples, around the image's placeholder.

    Attributes:
        prefix: (P,) ids before it, the same for every sample.
        suffixes: (N, Q) ids after it, filled up with zeros at the end.
        lengths: (N,) ids of each suffix.
    """

    prefix: Ids
    suffixes: Ids
    lengths: Ids

    @classmethod
    def of(cls, instructions: Sequence[str], words: Words) -> Prompts:
        """The prompts of these instructions."""
        known = {text: words.suffix(text) for text in dict.fromkeys(instructions)}
        longest = max(len(suffix) for suffix in known.values())
        suffixes = np.zeros((len(instructions), longest), np.int64)
        lengths = np.array([len(known[text]) for text in instructions])
        for row, text in zip(suffixes, instructions, strict=True):
            row[: len(known[text])] = known[text]
        return cls(np.array(words.prefix()), suffixes, lengths)

    @property
    def used(self) -> set[int]:
        """All ids that occur, and zero."""
        return {int(token) for token in np.unique(self.suffixes)} | {int(t) for t in self.prefix}


def read_demonstrations(
    data: DataConfig, camera: CameraConfig, words: Words
) -> tuple[Demonstrations, Prompts]:
    """All that a recipe learns from.

    Raises:
        DataError: There is no shard, one is damaged, or the camera was not recorded.
    """
    config = PolicyConfig(
        kind="magma-8b",
        cameras=(camera,),
        proprioception=PROPRIOCEPTION,
        max_tokens=16,
        chunk_length=1,
    )
    demonstrations = Demonstrations.of(data, config, make_words(vocabulary()))
    folders = (data.folder, *data.more)
    told = [
        text for folder in folders for text in _instructions(folder, skip_damaged=data.skip_damaged)
    ]
    return demonstrations, Prompts.of(told, words)


def _instructions(folder: Path, *, skip_damaged: bool) -> list[str]:
    """What the robot was told, in the order of the demonstrations."""
    shards = find_shards(folder, skip_damaged=skip_damaged)
    columns = [read_columns(path, ["instruction"]).column(0).to_pylist() for path in shards]
    return [str(text) for column in columns for text in column]
