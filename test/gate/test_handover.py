# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever acts has an answer when the deadline strikes, and never two for one observation."""

import pytest

from magma_ros.gate.handover import Handover
from magma_ros.types import Reason, Verdict


def verdict(depth: int, reason: Reason = Reason.OVERRUN) -> Verdict:
    return Verdict(chunk=None, reason=reason, depth=depth, stage_times=(), slack=0.5)


@pytest.fixture
def handover() -> Handover:
    """An observation is being thought about that must be acted on at 10 s."""
    made = Handover(lead=0.01)
    made.begin(10.0)
    return made


def test_before_the_deadline_there_is_nothing_to_act_on(handover):
    handover.provide(verdict(1))
    assert handover.take(9.98) is None


def test_the_last_word_is_given_out_at_once_and_as_it_is(handover):
    last = verdict(3, Reason.DEEPEST)
    handover.finish(last)
    assert handover.take(9.5) is last


def test_when_the_deadline_strikes_the_answer_in_hand_is_given_out(handover):
    handover.provide(verdict(1))
    handover.provide(verdict(2))
    taken = handover.take(9.995)
    assert (taken.depth, taken.reason) == (2, Reason.OVERRUN)
    assert taken.slack == pytest.approx(0.005)


def test_what_comes_after_the_answer_was_taken_is_dropped(handover):
    handover.provide(verdict(1))
    assert handover.take(10.0) is not None
    assert handover.busy
    handover.provide(verdict(2))
    handover.finish(verdict(3, Reason.DEEPEST))
    assert not handover.busy
    assert handover.take(11.0) is None


def test_without_any_exit_in_time_the_last_word_is_given_out_late(handover):
    assert handover.take(10.5) is None
    handover.finish(verdict(1, Reason.NO_TIME))
    assert handover.take(10.6).reason is Reason.NO_TIME


def test_the_answer_to_one_observation_is_not_given_out_for_the_next(handover):
    handover.provide(verdict(2))
    handover.finish(verdict(3, Reason.DEEPEST))
    handover.begin(20.0)
    assert handover.take(20.0) is None
    handover.provide(verdict(1))
    assert handover.take(20.0).depth == 1


def test_an_answer_that_comes_after_a_look_in_vain_must_be_told(handover):
    assert not handover.provide(verdict(1)), "the look at the deadline is still to come"
    handover.begin(10.0)
    assert handover.take(9.98) is None
    assert not handover.provide(verdict(1)), "a look before the answer is due counts for nothing"
    handover.begin(10.0)
    assert handover.take(9.99) is None
    assert handover.provide(verdict(1))
    assert handover.take(9.991).depth == 1
    assert not handover.provide(verdict(2)), "nothing more is due for this observation"


def test_a_look_in_vain_is_not_held_against_the_next_observation(handover):
    assert handover.take(10.0) is None
    handover.finish(verdict(1, Reason.NO_TIME))
    assert handover.take(10.1) is not None
    handover.begin(20.0)
    assert not handover.provide(verdict(1))
    assert handover.due == pytest.approx(19.99)
