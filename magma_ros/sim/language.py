# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Instructions in words: phrasings per task, and the vocabulary they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from magma_ros.share import share_file
from magma_ros.sim.schema import Data, choose, read_yaml
from magma_ros.sim.suite import load_suite, suite_names


class Phrasebook(Data):
    """What people say: nouns for a cube, and phrasings by task and by split."""

    nouns: tuple[str, ...]
    phrasings: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One way to ask for a task, the colours still open.

    Attributes:
        phrasing: Words with ``{target}`` in the place of the cube, and where another is built upon
            ``{base}`` in the place of that one. ``{colour}`` is the target's without the noun.
        noun: Word for a cube.
    """

    phrasing: str
    noun: str

    def about(self, target: str, base: str) -> str:
        """The instruction for things of those colours; phrasings without ``{base}`` ignore it."""
        return self.phrasing.format(
            target=f"{target} {self.noun}", base=f"{base} {self.noun}", colour=target
        )


@cache
def phrasebook() -> Phrasebook:
    """Read ``sim/language.yaml``."""
    return read_yaml(share_file("sim", "language.yaml"), Phrasebook)


def choose_sentence(task: str, split: str, rng: np.random.Generator) -> Sentence:
    """Draw one phrasing and one noun.

    Args:
        task: Name of a task, for example ``push``.
        split: Which phrasings: ``seen`` or ``shift``.
        rng: Source of randomness.

    Raises:
        SimulationError: There are no phrasings for that task or split.
    """
    book = phrasebook()
    phrasings = choose("split", split, choose("task with phrasings", task, book.phrasings))
    return Sentence(str(rng.choice(phrasings)), str(rng.choice(book.nouns)))


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that any instruction of any suite and split can contain, lower case, sorted."""
    book = phrasebook()
    words = {*book.nouns}
    words.update(*(load_suite(name).colours for name in suite_names()))
    for by_split in book.phrasings.values():
        for phrasings in by_split.values():
            words.update(*(p.format(target="", base="", colour="").split() for p in phrasings))
    return tuple(sorted(words))
