# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks and traces survive the way into text and back; a malformed answer is named."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.perception.mark_text import (
    OLD_GRID,
    MarkTextError,
    Question,
    in_pixels,
    locate_question,
    parse_answer,
    parse_places,
    parse_question,
    quantise,
    render_answer,
    render_places,
)

ANSWER = (
    "Mark 3 at [10,20], Mark 1 at [0,255] should be moved, and their future positions are:\n\n"
    '"Mark 3": "[[12,20],[14,21]]"\n\n"Mark 1": "[[5,250]]"\n\n'
)
TRACES = {3: ((10, 20), (12, 20), (14, 21)), 1: ((0, 255), (5, 250))}


def places(grid):
    return st.tuples(st.integers(0, grid - 1), st.integers(0, grid - 1))


grids = st.sampled_from([256, OLD_GRID])
numbers = st.integers(1, 9999)
tasks = st.text(min_size=1, max_size=60).filter(lambda text: "\n" not in text)


@st.composite
def questions(draw):
    grid = draw(grids)
    marks = tuple(draw(st.lists(numbers, min_size=1, max_size=8, unique=True)))
    told = {n: draw(places(grid)) for n in marks} if draw(st.booleans()) else {}
    count = st.none() | st.integers(0, 99)
    actor = draw(st.sampled_from(["robot", "person"]))
    return Question(marks, draw(tasks), draw(count), draw(count), told, actor, grid)


@examples(50)
@given(questions(), st.sampled_from(["", "<image>\n", "<image_start><image><image_end>\n"]))
def test_a_question_survives_the_way_into_text_and_back(question, before):
    assert parse_question(before + question.render()) == question


@examples(50)
@given(st.data(), grids)
def test_an_answer_survives_the_way_into_text_and_back(data, grid):
    paths = st.lists(places(grid), min_size=2, max_size=17).map(tuple)
    traces = data.draw(st.dictionaries(numbers, paths, min_size=1, max_size=6))
    assert parse_answer(render_answer(traces, grid), tuple(traces), grid) == traces


@examples(50)
@given(st.data(), grids)
def test_places_survive_the_way_into_text_and_back(data, grid):
    found = data.draw(st.dictionaries(numbers, places(grid), min_size=1, max_size=8))
    assert parse_places(render_places(found, grid), grid) == found


@examples(50)
@given(st.data())
def test_an_answer_that_ends_anywhere_is_whole_or_refused(data):
    cut = ANSWER[: data.draw(st.integers(0, len(ANSWER)))]
    with suppress(MarkTextError):
        assert parse_answer(cut) == TRACES


@examples(50)
@given(st.text(max_size=200))
def test_no_text_does_more_than_being_refused(text):
    for parse in (parse_answer, parse_question, parse_places):
        with pytest.raises(MarkTextError):
            parse(text)


def test_question_and_answer_are_laid_out_as_magma_was_trained():
    question = Question((3, 1, 2), "pick the cube", speed=8, steps=16).render()
    assert question == (
        "The image is split into 256x256 grids, and labeled with numeric marks: [3, 1, 2].\n"
        "The robot is doing: pick the cube. To finish the task, how to move the numerical marks in "
        "the image with speed 8 for the next 16 steps?\n"
    )
    assert render_answer(TRACES) == ANSWER
    assert parse_answer(f"{ANSWER[:87]}<trace_start>{ANSWER[87:]}<trace_end>") == TRACES
    assert locate_question(200).startswith("The image is split into 200x200 grids, and labeled")
    assert render_places({2: (5, 6), 1: (3, 4)}) == "Mark 1 at [3,4]. Mark 2 at [5,6]\n"


def test_textual_marks_are_told_with_their_places():
    question = Question((1, 2), "push", places={1: (3, 4), 2: (250, 7)})
    assert "\nMark 1 at [3,4], Mark 2 at [250,7].\nThe robot" in question.render()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("I cannot do that.", "which marks should be moved"),
        (ANSWER[:-9], 'cut short or malformed at \'"Mark 1": "[[5\'; allow more new tokens'),
        (ANSWER.replace('"Mark 1": "[[5,250]]"', ""), "gives mark 1 no future positions"),
        (ANSWER.replace("Mark 3 at [10,20], ", ""), "gives mark 3 no position to start from"),
        (ANSWER.replace("[14,21]", "[14,256]"), "mark 3 is at [14,256], outside the grid of 256"),
        (ANSWER.replace("[14,21]", "[14,-1]"), "mark 3 is at [14,-1], outside"),
        (ANSWER.replace("[14,21]", "[14.5,21]"), "position of mark 3 is malformed"),
        (ANSWER.replace("[14,21]", "[14]"), "position of mark 3 is malformed"),
        (ANSWER.replace('"Mark 1"', '"Mark 3"'), "moves mark 3 twice"),
        (ANSWER.replace("Mark 1", "Mark 7"), "moves mark 7, which is not in the image"),
        (ANSWER.replace("Mark 1 at", "Mark 3 at"), "mark 3 is in two places"),
        (ANSWER.replace('"[[5,250]]"', '"[]"'), "gives mark 1 no future positions"),
    ],
)
def test_a_malformed_answer_is_named(answer, says):
    with pytest.raises(MarkTextError) as caught:
        parse_answer(answer, marks=(1, 2, 3))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("256x256", "256x200"), "no square grid"),
        (("marks: [1, 2]", "marks"), "lists no numeric marks"),
        (("[1, 2]", "[]"), "at least 1"),
        (("[1, 2]", f"[{'9' * 5000}]"), "lists no numeric marks"),
        (("[1, 2]", "[1, 1]"), "each once"),
        (("how to move", "where is"), "names no task"),
    ],
)
def test_a_malformed_question_is_named(change, says):
    text = Question((1, 2), "stack them").render().replace(*change)
    with pytest.raises(MarkTextError, match=says):
        parse_question(text)


@examples(50)
@given(st.integers(1, 4000), st.integers(1, 4000), st.data())
def test_a_point_lies_within_half_a_cell_of_what_is_written(width, height, data):
    size = np.array([width, height])
    point = np.array(data.draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))) * size
    back = in_pixels(quantise(point[None], (width, height)), (width, height))[0]
    assert (np.abs(back - point) <= 0.5 * size / 256 * (1 + 1e-6)).all()


def test_what_lies_outside_the_image_is_written_as_at_its_edge():
    assert quantise(np.array([[-5.0, 900.0], [640.0, 480.0]]), (640, 480)) == [(0, 255), (255, 255)]
