# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A place is acted on only if it is that of the mark which this instruction names."""

import math

import pytest

from magma_ros.agent.pointing import MarkedPoint, Pointing

FRAME = "front_camera_optical"


def point(number=3, stamp=10.0, column=20.0, row=30.0, frame_id=FRAME):
    return MarkedPoint(stamp, frame_id, number, column, row)


@pytest.fixture
def pointing():
    made = Pointing("front")
    made.tell("push the red cube", 5.0)
    return made


def test_an_instruction_without_marks_needs_no_point_and_gets_none(pointing):
    assert (pointing.problem(FRAME), pointing.place) == ("", None)
    pointing.see(point())
    assert (pointing.problem(FRAME), pointing.place) == ("", None)


def test_an_instruction_that_names_a_mark_waits_for_its_place(pointing):
    pointing.tell("pick the one marked 3", 10.0)
    assert pointing.problem(FRAME).startswith("waiting for the place of mark 3")
    pointing.see(point(number=2))
    assert pointing.problem(FRAME).startswith("waiting for the place of mark 3")
    assert pointing.place is None
    pointing.see(point())
    assert (pointing.problem(FRAME), pointing.place) == ("", (20.0, 30.0))


def test_point_and_instruction_may_come_in_either_order(pointing):
    pointing.see(point(stamp=9.8))
    pointing.tell("pick the one marked 3", 10.0)
    assert (pointing.problem(FRAME), pointing.place) == ("", (20.0, 30.0))
    pointing.tell("push the red cube", 10.01)  # an older relay of the instruction before
    pointing.tell("pick the one marked 3", 10.02)
    assert pointing.place == (20.0, 30.0)


def test_a_new_instruction_about_the_same_number_needs_a_new_point(pointing):
    pointing.tell("pick the one marked 3", 10.0)
    pointing.see(point())
    pointing.tell("push mark 3 to the zone", 60.0)
    assert pointing.problem(FRAME).startswith("waiting for the place of mark 3")
    assert pointing.place is None
    pointing.see(point(stamp=60.1, column=99.0))
    assert pointing.place == (99.0, 30.0)


def test_who_comes_late_takes_instruction_and_point_as_they_are():
    pointing = Pointing("front")
    pointing.see(point(stamp=10.0))
    pointing.tell("pick the one marked 3", 600.0)
    assert pointing.place == (20.0, 30.0)


def test_a_clock_that_jumped_leaves_no_point(pointing):
    pointing.tell("pick the one marked 3", 10.0)
    pointing.see(point())
    pointing.clear()
    assert pointing.place is None
    assert pointing.problem(FRAME).startswith("waiting")


@pytest.mark.parametrize(
    ("told", "seen", "sentence"),
    [
        ("pick mark 3", point(column=math.nan, row=math.nan), "there is no mark 3 in the picture"),
        ("pick mark 3", point(frame_id="wrist"), "found in the frame 'wrist'"),
        ("pick mark 3", point(column=300.0), "does not lie on the 256 x 256 grid"),
        ("pick mark 3", point(row=math.inf), "does not lie on the 256 x 256 grid"),
        ("put mark 3 on mark 4", point(), "takes one mark, but is told of 3 and 4"),
    ],
)
def test_what_keeps_a_mark_from_being_acted_on_is_named(pointing, told, seen, sentence):
    pointing.tell(told, 10.0)
    pointing.see(seen)
    assert sentence in pointing.problem(FRAME)


def test_a_policy_without_points_says_that_it_takes_no_marks():
    pointing = Pointing(None)
    pointing.tell("pick the one marked 3", 10.0)
    pointing.see(point())
    assert "takes no marks: name the object instead of mark 3" in pointing.problem("")


def test_a_mark_without_a_number_is_asked_for_where_the_policy_takes_marks(pointing):
    pointing.tell("pick the marked one", 10.0)
    pointing.see(point())
    assert pointing.problem(FRAME).startswith("waiting to be told which mark")
    blind = Pointing(None)
    blind.tell("follow the marks on the floor", 10.0)
    assert blind.problem("") == ""
