# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thinking never queues; an answer is acted on once, when the deadline strikes at the latest."""

import threading
import time

import pytest

from magma_ros.agent.thinker import Thinker
from magma_ros.types import Budget, MagmaError, Reason, Verdict

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
    """Even if it was weighed before that look: what counts is when it was left."""
    weighed, looked, told, go_on = (threading.Event() for _ in range(4))

    def think(observation, budget, hold):
        answer = verdict(1, Reason.OVERRUN, slack=1.0)
        weighed.set()
        assert looked.wait(30.0)
        hold(answer)
        assert go_on.wait(30.0)
        return verdict(2, Reason.DEEPEST)

    thinker = Thinker(think, told.set, LEAD)
    assert thinker.offer("seen", FAR)
    assert weighed.wait(30.0)
    assert thinker.take(FAR.deadline) is None
    looked.set()
    assert told.wait(30.0)
    assert thinker.take(FAR.deadline)[1].reason is Reason.OVERRUN
    go_on.set()
    thinker.close()


class Faulty:
    """Raises what it is given, and thinks about everything else."""

    def __init__(self, notify=None) -> None:
        self.told, self.log = threading.Event(), []
        self.thinker = Thinker(self.think, notify or self.told.set, LEAD, self.log.append)

    def think(self, observation, budget, hold) -> Verdict:
        if isinstance(observation, BaseException):
            raise observation
        return verdict(2, Reason.DEEPEST)

    def answer(self, observation) -> Verdict:
        self.told.clear()
        assert self.thinker.offer(observation, FAR)
        assert self.told.wait(30.0)
        return self.thinker.take(time.monotonic())[1]


@pytest.fixture
def faulty():
    made = Faulty()
    yield made
    made.thinker.close()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes (3,) and (4,)\nare not aligned"),
        MemoryError(),
        KeyError("front"),
        SystemExit(1),
        KeyboardInterrupt(),
        type("Fail", (Exception,), {})("[ONNXRuntimeError] : 1 : FAIL"),
    ],
)
def test_whatever_thinking_raises_is_a_verdict_and_the_next_observation_is_thought_about(
    faulty, error
):
    answer = faulty.answer(error)
    assert (answer.reason, answer.chunk, answer.depth) == (Reason.FAULT, None, 0)
    assert answer.detail.startswith(f"Thinking failed with {type(error).__name__}")
    assert "\n" not in answer.detail
    assert "Traceback" in faulty.log[0]
    assert faulty.answer("seen").reason is Reason.DEEPEST
    assert faulty.thinker.alive


def test_a_foreseen_error_is_told_as_it_is_and_without_a_traceback(faulty):
    assert faulty.answer(MagmaError("the camera 'front' is missing")).detail == (
        "the camera 'front' is missing"
    )
    assert not faulty.log


def test_neither_a_log_nor_a_wake_up_that_fails_ends_thinking():
    def broken(*_):
        raise OSError("no space left on device")

    faulty = Faulty(notify=broken)
    faulty.thinker._log = broken
    for observation in (ValueError(), "seen"):
        assert faulty.thinker.offer(observation, FAR)
        while (taken := faulty.thinker.take(time.monotonic())) is None:
            time.sleep(0.001)
        assert taken[0] is observation
    faulty.thinker.close()


def test_how_long_it_has_been_thinking_can_be_told(thought):
    clock = thought.thinker._clock = SteppedClock()
    assert thought.thinker.busy_for() == 0.0
    assert thought.thinker.offer("seen", FAR)
    clock.now_is += 3.2
    assert thought.thinker.busy_for() == pytest.approx(3.2)
    thought.finish()
    assert thought.thinker.busy_for() == 0.0


class SteppedClock:
    now_is = 100.0

    def now(self) -> float:
        return self.now_is


def test_a_stage_that_hangs_is_not_waited_for_for_ever(thought):
    assert thought.thinker.offer("seen", FAR)
    assert thought.held.wait(30.0)
    assert not thought.thinker.close(patience=0.01)
    assert thought.thinker.alive


def test_close_ends_the_thread():
    before = threading.active_count()
    assert Thinker(lambda *_: None, lambda: None, LEAD).close()
    assert threading.active_count() == before
