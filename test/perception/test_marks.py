# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers stay with the things that they were given to."""

import numpy as np
import pytest

from magma_ros.perception.marks import MarkTracker, TrackConfig
from magma_ros.perception.proposals import Proposal

RED, GREEN, BLUE = (0.8, 0.1), (0.1, 0.8), (0.1, 0.1)


def thing(x, y=0.0, colour=RED):
    """Something at x, y [m], that is seen farther right the greater its x."""
    point = (128.0 + 100.0 * x, 128.0 + 100.0 * y)
    return Proposal(point, np.zeros((3, 2)), np.array([x, y, 0.03]), np.array(colour))


class Watch:
    """A tracker that is shown something five times a second."""

    def __init__(self, **config):
        self.tracker, self.now = MarkTracker(TrackConfig(**config)), 0.0

    def show(self, *things, times=1):
        for _ in range(times):
            self.now += 0.2
            marks = self.tracker.update(things, self.now)
        return {mark.number: round((mark.point[0] - 128.0) / 100.0, 3) for mark in marks}


@pytest.fixture
def watch():
    return Watch()


def test_things_are_numbered_from_left_to_right_once_they_were_seen_twice(watch):
    things = thing(0.3), thing(-0.2, colour=GREEN), thing(0.1)
    assert watch.show(*things) == {}
    assert watch.show(*things) == {1: -0.2, 2: 0.1, 3: 0.3}


def test_what_flickers_up_gets_no_number(watch):
    watch.show(thing(0.0), times=2)
    assert watch.show(thing(0.0), thing(0.5)) == {1: 0.0}
    assert watch.show(thing(0.0), times=3) == {1: 0.0}


def test_a_number_follows_what_moves_past_others(watch):
    watch.show(thing(-0.2), thing(0.0, 0.15), times=2)
    for x in np.arange(-0.15, 0.3, 0.05):
        shown = watch.show(thing(x), thing(0.0, 0.15))
        assert shown == {1: round(x, 3), 2: 0.0}


def test_a_number_outlasts_being_hidden_for_a_moment(watch):
    watch.show(thing(-0.2), thing(0.2, colour=GREEN), times=2)
    assert watch.show(thing(0.2, colour=GREEN), times=20) == {2: 0.2}
    assert watch.show(thing(-0.2), thing(0.2, colour=GREEN)) == {1: -0.2, 2: 0.2}


def test_what_was_carried_while_hidden_is_known_by_its_colour(watch):
    watch.show(thing(-0.2), thing(0.2, colour=GREEN), times=2)
    watch.show(thing(0.2, colour=GREEN), times=5)
    assert watch.show(thing(0.5), thing(0.2, colour=GREEN)) == {1: 0.5, 2: 0.2}


def test_what_could_be_either_of_two_is_known_as_neither(watch):
    watch.show(thing(-0.4), thing(0.4), times=2)
    watch.show(times=5)
    assert watch.show(thing(0.0), times=2) == {3: 0.0}


def test_two_things_that_change_places_at_once_keep_their_numbers_by_colour():
    watch = Watch(gate=0.3)
    watch.show(thing(-0.1), thing(0.1, colour=GREEN), times=2)
    assert watch.show(thing(-0.1, colour=GREEN), thing(0.1)) == {1: 0.1, 2: -0.1}


def test_a_number_is_free_again_when_its_thing_has_been_gone_for_long(watch):
    watch.show(thing(-0.2), thing(0.2, colour=GREEN), times=2)
    watch.show(thing(0.2, colour=GREEN), times=60)
    shown = watch.show(thing(0.2, colour=GREEN), thing(0.5, colour=BLUE), times=2)
    assert shown == {1: 0.5, 2: 0.2}


def test_when_time_jumps_back_everything_is_numbered_anew(watch):
    watch.show(thing(-0.2), thing(0.2), times=2)
    watch.show(thing(0.2), times=2)
    watch.now = 0.0
    assert watch.show(thing(0.2), times=2) == {1: 0.2}
