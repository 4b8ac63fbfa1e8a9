# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Words: the held-out phrasings are new sentences of known words."""

import numpy as np
import pytest

from magma_ros.sim.language import Sentence, choose_sentence, phrasebook, vocabulary
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import load_suite, suite_names

TASKS = sorted(phrasebook().phrasings)
NOUNS = {*phrasebook().generic}.union(*phrasebook().nouns.values())


def words(phrasings):
    return {w for p in phrasings for w in p.format(target="", base="", colour="").split()}


def test_every_task_has_phrasings():
    for suite in map(load_suite, suite_names()):
        for name, task in suite.tasks.items():
            assert {"seen", "shift"} <= set(phrasebook().phrasings[task.of or name])


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
        for noun in NOUNS:
            for colour in colours:
                nouns = {"red": "object"} | {colour: noun}
                instruction = Sentence(phrasing, nouns).about(colour, "red")
                assert set(instruction.split()) <= known
                assert instruction == instruction.lower()
                assert len(instruction.split()) <= 12


def test_two_instructions_differ_only_in_what_they_name():
    shapes = {"red": "brick", "blue": "hexagon", "green": "cube"}
    sentence = choose_sentence("pick", "seen", shapes, np.random.default_rng(0))
    red, blue = sentence.about("red", "green"), sentence.about("blue", "green")
    assert red != blue
    names = [f"{colour} {sentence.nouns[colour]}" for colour in ("red", "blue")]
    assert red.replace(*names) == blue


def test_an_object_is_called_by_a_noun_of_its_shape_or_a_generic_one():
    book, rng = phrasebook(), np.random.default_rng(0)
    for shape, own in book.nouns.items():
        called = {
            choose_sentence("pick", "seen", {"red": shape}, rng).nouns["red"] for _ in range(60)
        }
        assert called == {*own, *book.generic}


def test_every_shape_of_every_suite_has_nouns():
    for suite in map(load_suite, suite_names()):
        assert set(suite.shapes) <= set(phrasebook().nouns)


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(SimulationError, match=r"no task with phrasings 'juggle'; known: .*pick"):
        choose_sentence("juggle", "seen", {}, np.random.default_rng(0))
