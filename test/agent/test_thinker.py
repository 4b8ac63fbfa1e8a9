# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thinking never queues; an answer is acted on once, when the deadline strikes at the latest."""

import threading
import time

import pytest

from magma_ros.agent.thinker import Thinker
from magma_ros.types import Budget, Reason, Verdict

LEAD = 0.002
FAR = Budget(deadline=time.monotonic() + 1000.0)


def verdict(depth: int, reason: Reason, slack: float = 1.0) -> Verdict:
    return Verdict(chunk=None, reason=reason, depth=depth, stage_times=(), slack=slack)


class Thought:
    """Holds out the first exit, then thinks on until it is let go."""

    def __init__(self, slack: float = 1.0) -> None:
        self.held, self.go_on, self.told = (threading.Event() for _ in range(3))
        self.slack = slack
        self.thinker = Thinker(self.think, self.told.set, LEAD)

    def think(self, observation, budget, hold) -> Verdict:
        hold(verdict(1, Reason.OVERRUN, self.slack))
        self.held.set()
        assert self.go_on.wait(30.0)
        return verdict(2, Reason.DEEPEST)

    def finish(self) -> None:
        self.go_on.set()
        assert self.told.wait(30.0)


@pytest.fixture
def thought():
    made = Thought()
    yield made
    made.go_on.set()
    made.thinker.close()


def test_the_last_word_is_announced_and_taken_once_with_its_observation(thought):
    assert thought.thinker.offer("seen", FAR)
    thought.finish()
    observation, answer = thought.thinker.take(time.monotonic())
    assert (observation, answer.reason) == ("seen", Reason.DEEPEST)
    assert thought.thinker.take(time.monotonic()) is None


def test_an_observation_is_refused_instead_of_queued(thought):
    assert thought.thinker.offer("first", FAR)
    assert not thought.thinker.offer("second", FAR)
    thought.finish()
    assert not thought.thinker.offer("second", FAR), "the answer to the first must not get lost"
    assert thought.thinker.take(time.monotonic())[0] == "first"
    assert thought.thinker.offer("third", FAR)


def test_when_the_deadline_strikes_the_answer_in_hand_is_taken_and_the_last_word_dropped(thought):
    assert thought.thinker.offer("seen", FAR)
    assert thought.held.wait(30.0)
    assert not thought.told.is_set(), "whoever acts looks at the deadline without being told"
    assert thought.thinker.take(FAR.deadline - 2 * LEAD) is None
    observation, answer = thought.thinker.take(FAR.deadline - LEAD / 2)
    assert (observation, answer.reason, answer.depth) == ("seen", Reason.OVERRUN, 1)
    assert not thought.thinker.idle, "the stage that overran is still running"
    thought.finish()
    assert thought.thinker.take(FAR.deadline) is None
    assert thought.thinker.idle


def test_an_answer_that_comes_to_hand_after_the_last_look_is_announced():
    thought = Thought(slack=LEAD / 2)
    assert thought.thinker.offer("seen", FAR)
    assert thought.told.wait(30.0)
    assert thought.thinker.take(FAR.deadline - LEAD / 2)[1].reason is Reason.OVERRUN
    thought.go_on.set()
    thought.thinker.close()


def test_close_ends_the_thread():
    before = threading.active_count()
    Thinker(lambda *_: None, lambda: None, LEAD).close()
    assert threading.active_count() == before
