# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Words: the held-out phrasings are new sentences of known words."""

import numpy as np
import pytest

from magma_ros.sim.language import Sentence, choose_sentence, phrasebook, vocabulary
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import load_suite, suite_names

TASKS = sorted(phrasebook().phrasings)


def words(phrasings):
    return {w for p in phrasings for w in p.format(target="", base="", colour="").split()}


def test_every_task_has_phrasings():
    for suite in map(load_suite, suite_names()):
        for task in suite.tasks:
            assert {"seen", "shift"} <= set(phrasebook().phrasings[task])


@pytest.mark.parametrize("task", TASKS)
def test_held_out_phrasings_are_new_but_use_only_seen_words(task):
    by_split = phrasebook().phrasings[task]
    assert not set(by_split["seen"]) & set(by_split["shift"])
    seen_anywhere = set().union(*(words(p["seen"]) for p in phrasebook().phrasings.values()))
    assert words(by_split["shift"]) <= seen_anywhere


@pytest.mark.parametrize("split", ["seen", "shift"])
@pytest.mark.parametrize("task", TASKS)
def test_the_vocabulary_covers_every_instruction(task, split):
    known = set(vocabulary())
    colours = load_suite("tabletop").colours
    for phrasing in phrasebook().phrasings[task][split]:
        for noun in phrasebook().nouns:
            for colour in colours:
                instruction = Sentence(phrasing, noun).about(colour, "red")
                assert set(instruction.split()) <= known
                assert instruction == instruction.lower()
                assert len(instruction.split()) <= 12


def test_two_instructions_differ_only_in_the_colour():
    sentence = choose_sentence("pick", "seen", np.random.default_rng(0))
    red, blue = sentence.about("red", "green"), sentence.about("blue", "green")
    assert red != blue
    assert red.replace("red", "blue") == blue


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(SimulationError, match=r"no task with phrasings 'juggle'; known: .*pick"):
        choose_sentence("juggle", "seen", np.random.default_rng(0))
