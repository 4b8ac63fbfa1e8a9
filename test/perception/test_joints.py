# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints are where they were when a picture was taken."""

import math

import pytest

from magma_ros.perception.error import BodyError
from magma_ros.perception.joints import JointHistory


@pytest.fixture
def history():
    made = JointHistory(("a", "b"))
    made.add(1.0, {"a": 0.0, "other": 9.0})
    made.add(1.1, {"b": 5.0})
    made.add(1.2, {"a": 1.0})
    return made


def test_positions_lie_between_the_readings(history):
    assert history.at(1.05) == pytest.approx({"a": 0.25, "b": 5.0})
    assert history.at(0.5) == {"a": 0.0, "b": 5.0}
    assert history.at(1.2) == {"a": 1.0, "b": 5.0}
    assert history.newest == 1.1


def test_a_joint_goes_on_as_fast_as_it_went():
    history = JointHistory(("a",))
    for stamp in (0.99, 1.0, 1.01, 1.02):
        history.add(stamp, {"a": 2.0 * stamp})
    assert history.at(1.07)["a"] == pytest.approx(2.14)


def test_what_was_long_ago_tells_no_speed(history):
    assert history.at(1.3)["a"] == pytest.approx(1.5)
    history.add(1.9, {"a": 1.1})
    assert history.at(2.0)["a"] == 1.1


def test_a_joint_that_was_never_told_of_is_named():
    history = JointHistory(("a", "b"))
    history.add(1.0, {"a": 0.0})
    assert history.newest == -math.inf
    with pytest.raises(BodyError, match="b"):
        history.at(1.0)


def test_a_position_that_is_none_is_not_taken(history):
    with pytest.raises(BodyError, match="b"):
        history.add(1.3, {"a": 2.0, "b": math.nan})
    assert history.at(1.2)["a"] == 1.0


def test_late_readings_and_old_ones_do_not_count(history):
    history.add(1.15, {"a": 7.0})
    assert history.at(1.15)["a"] == pytest.approx(0.75)
    history.add(3.0, {"a": 2.0})
    assert history.at(0.0)["a"] == 2.0


def test_a_clock_that_is_set_back_begins_anew(history):
    history.add(0.1, {"a": 3.0})
    assert history.at(1.2)["a"] == 3.0
