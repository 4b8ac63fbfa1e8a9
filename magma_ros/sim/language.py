# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Instructions: phrasings per task, and the vocabulary of all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from pydantic import PositiveInt

from magma_ros.files import read_yaml
from magma_ros.share import share_file
from magma_ros.sim.schema import Data, SimulationError, choose
from magma_ros.sim.suite import load_suite, suite_names


class MarkedNames(Data):
    """How what a mark in the picture points at is named.

    Attributes:
        numbers: Highest number of a mark that is a word of its own.
        objects: Names of an object, with ``{number}`` in the place of the mark's.
        drawers: Names of a drawer.
    """

    numbers: PositiveInt
    objects: tuple[str, ...]
    drawers: tuple[str, ...]


class Phrasebook(Data):
    """Nouns and phrasings, as in ``sim/language.yaml``.

    Attributes:
        nouns: By shape.
        generic: Nouns for any shape.
        phrasings: By task and by split.
        marked: Names of what a mark points at.
    """

    nouns: dict[str, tuple[str, ...]]
    generic: tuple[str, ...]
    phrasings: dict[str, dict[str, tuple[str, ...]]]
    marked: MarkedNames


@dataclass(frozen=True, slots=True)
class Sentence:
    """A phrasing of a task whose object is not chosen yet.

    Attributes:
        phrasing: Words with ``{target}`` in the place of the object, and where another is built
            upon ``{base}`` in the place of that one. ``{colour}`` is the target's colour alone.
        nouns: Word for each object of the scene, by its colour.
    """

    phrasing: str
    nouns: Mapping[str, str]

    def about(self, target: str, base: str) -> str:
        """The instruction for things of those colours; phrasings without ``{base}`` ignore it."""
        return self.phrasing.format(target=self._name(target), base=self._name(base), colour=target)

    def _name(self, colour: str) -> str:
        return f"{colour} {self.nouns[colour]}" if colour in self.nouns else colour


@cache
def phrasebook() -> Phrasebook:
    """Read ``sim/language.yaml``."""
    return read_yaml(share_file("sim", "language.yaml"), Phrasebook, error=SimulationError)


def choose_sentence(
    task: str, split: str, shapes: Mapping[str, str], rng: np.random.Generator
) -> Sentence:
    """Draw one phrasing, and a noun for every object.

    Args:
        task: Name of a task, for example ``push``.
        split: Which phrasings: ``seen`` or ``shift``.
        shapes: Of the scene's objects, by colour.
        rng: Source of randomness.

    Raises:
        SimulationError: There are no phrasings for that task or split.
    """
    book = phrasebook()
    phrasings = choose("split", split, choose("task with phrasings", task, book.phrasings))
    phrasing = str(rng.choice(phrasings))
    nouns = {
        colour: str(rng.choice([*book.nouns[shape], *book.generic]))
        for colour, shape in shapes.items()
    }
    return Sentence(phrasing, nouns)


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that any instruction of any suite and split can contain, lower case, sorted."""
    book = phrasebook()
    words = {*book.generic}.union(*book.nouns.values())
    words.update(*(load_suite(name).colours for name in suite_names()))
    for by_split in book.phrasings.values():
        for phrasings in by_split.values():
            words.update(*(p.format(target="", base="", colour="").split() for p in phrasings))
    return tuple(sorted(words))


TARGET, DRAWER = "the {target}", "the {colour} drawer"
"""What a mark's name takes the place of in a phrasing."""


def marked_instructions(task: str, base: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Ways to ask for a task in which the object is named by a mark, each with a number drawn.

    Args:
        task: Name of a task, for example ``push``.
        base: What the object is to be put on, as in ``red cube``; empty where that is nothing.
        rng: Draws the numbers.

    Raises:
        SimulationError: There are no phrasings for that task.
    """
    book = phrasebook()
    top = book.marked.numbers
    splits = choose("task with phrasings", task, book.phrasings).values()
    phrasings = dict.fromkeys(phrasing for split in splits for phrasing in split)
    places = ((TARGET, book.marked.objects), (DRAWER, book.marked.drawers))
    return tuple(
        phrasing.replace(place, name).format(number=rng.integers(1, top + 1), base=base)
        for phrasing in phrasings
        for place, names in places
        for name in names
        if place in phrasing
    )


def base_of(task: str, instruction: str) -> str:
    """What an instruction wants the object put on, as in ``red cube``; empty if on nothing."""
    thing = r"(?:\w+ \w+)"
    for phrasings in phrasebook().phrasings[task].values():
        for phrasing in phrasings:
            pattern = phrasing.format(target=thing, base=f"(?P<base>{thing})", colour=r"\w+")
            if (found := re.fullmatch(pattern, instruction)) and "base" in found.groupdict():
                return found["base"]
    return ""


@cache
def marked_vocabulary() -> tuple[str, ...]:
    """:func:`vocabulary`, and then the words that only marks are named by."""
    book = phrasebook().marked
    words = {str(number + 1) for number in range(book.numbers)}
    words.update(*(name.format(number="").split() for name in (*book.objects, *book.drawers)))
    return (*vocabulary(), *sorted(words.difference(vocabulary())))
