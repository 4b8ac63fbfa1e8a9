# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy elsewhere is asked when its answer can be of use, and no oftener than it answers."""

import math

import numpy as np
import pytest

from magma_ros.gate.far import FarPlan
from magma_ros.remote.forecast import RoundTrips, Told
from magma_ros.remote.ledger import TRIAL, Ledger, LineRules, LineState
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Confidence, Observation


def seen(stamp):
    return Observation(stamp, {}, np.zeros(0), (), "push")


def plan(stamp):
    chunk = ActionChunk(stamp, 0.1, np.zeros((8, 7)), 9, MAGMA)
    return FarPlan(chunk, Confidence(math.inf, math.nan, math.nan))


@pytest.fixture
def ledger():
    made = Ledger(LineRules(longest_age=0.3, patience=1.0))
    made.opened()
    return made


def answer(ledger, stamp, now, seconds, allowance=0.08):
    assert ledger.ask(seen(stamp), now, now + allowance) is not None
    ledger.answered(plan(stamp), now + seconds, size=10_000)


def test_one_question_is_on_its_way_at_a_time(ledger):
    assert ledger.ask(seen(0.0), 0.0, 0.08) is not None
    assert ledger.ask(seen(0.1), 0.1, 0.18) is None
    ledger.answered(plan(0.0), 0.15, size=1)
    assert ledger.ask(seen(0.2), 0.2, 0.28) is not None
    assert ledger.newest.chunk.stamp == 0.0


def test_nothing_is_asked_of_a_line_that_is_not_open(ledger):
    ledger.lost("the server has gone")
    assert ledger.ask(seen(0.0), 0.0, 0.08) is None
    assert ledger.hope(0.0) == -math.inf
    assert ledger.state is LineState.CUT
    assert "the server has gone" in ledger.sentence


def test_answers_of_use_to_no_observation_are_asked_for_only_on_trial(ledger):
    answer(ledger, 0.0, 0.0, seconds=0.6)
    asked = [ledger.ask(seen(t), t, t + 0.08) for t in np.arange(5.0, 9.0, 0.1)]
    assert all(question is None for question in asked[:TRIAL])
    assert asked[TRIAL] is not None


def test_an_answer_that_mostly_comes_late_is_asked_for_and_not_waited_for(ledger):
    for tick in range(20):
        answer(ledger, float(tick), float(tick), seconds=0.15)
    assert ledger.ask(seen(30.0), 30.0, 30.08) is not None
    assert ledger.hope(30.0) == -math.inf


def test_an_answer_that_may_come_in_time_is_waited_for_as_long_as_is_plausible(ledger):
    for tick in range(20):
        answer(ledger, float(tick), float(tick), seconds=0.04 + 0.001 * tick)
    ledger.ask(seen(30.0), 30.0, 30.08)
    assert ledger.hope(30.0) == pytest.approx(30.059)
    assert ledger.hope(29.0) == -math.inf


def test_what_was_asked_before_something_else_was_wanted_is_not_used(ledger):
    answer(ledger, 0.0, 0.0, 0.05)
    ledger.ask(seen(0.1), 0.1, 0.18)
    ledger.forget()
    assert ledger.hope(0.1) == -math.inf
    ledger.answered(plan(0.1), 0.15, size=1)
    assert ledger.newest is None
    answer(ledger, 0.2, 0.2, 0.05)
    assert ledger.newest.chunk.stamp == 0.2


def test_silence_is_noticed_and_ends_with_an_answer(ledger):
    ledger.ask(seen(0.0), 0.0, 0.08)
    assert not ledger.silent(1.0)
    assert ledger.silent(1.01)
    ledger.lost("nothing for 1.0 s", silent=True)
    ledger.opened()
    assert ledger.state is LineState.SILENT
    answer(ledger, 2.0, 2.0, 0.05)
    assert ledger.state is LineState.OPEN
    assert (ledger.counts.lost, ledger.counts.cuts) == (1, 1)


def test_a_refused_answer_stays_named_until_a_usable_one_comes(ledger):
    ledger.ask(seen(0.0), 0.0, 0.08)
    ledger.refused("its plan is not finite", 0.05, size=1)
    assert "not finite" in ledger.sentence
    assert ledger.newest is None
    answer(ledger, 0.1, 0.1, 0.05)
    assert (ledger.state, ledger.detail) == (LineState.OPEN, "")


def test_a_server_without_time_is_no_server_that_cannot_be_used(ledger):
    answer(ledger, 0.0, 0.0, 0.05)
    ledger.ask(seen(0.1), 0.1, 0.18)
    ledger.declined("no answer would be ready in time")
    assert ledger.state is LineState.BUSY
    assert "no time for this robot: no answer would be ready in time." in ledger.sentence
    assert (ledger.counts.busy, ledger.counts.refused, ledger.pending) == (1, 0, None)
    assert ledger.trips.tail() == pytest.approx(0.05), "how long a plan takes was not measured"
    ledger.lost("the line broke")
    assert ledger.state is LineState.CUT
    ledger.opened()
    assert ledger.state is LineState.OPEN


def test_the_queue_that_the_server_tells_of_is_forecast_from_its_latest_waits():
    trips = RoundTrips()
    for _ in range(30):
        trips.observe(0.05, 1000, Told(queue=0.0, compute=0.02))
    assert trips.tail() == pytest.approx(0.05)
    trips.observe(0.15, 1000, Told(queue=0.1, compute=0.02))
    assert trips.tail() == pytest.approx(0.15)
    for _ in range(3):
        trips.observe(0.05, 1000, Told(queue=0.0, compute=0.02))
    assert trips.tail() == pytest.approx(0.05)


def test_what_a_larger_picture_costs_on_the_way_is_learnt_from_the_sizes_sent():
    trips = RoundTrips()
    for _ in range(30):
        trips.observe(0.05, 1000, Told(compute=0.03))
    assert trips.tail(5000) == pytest.approx(0.05), "nothing is known of other sizes"
    for _ in range(30):
        trips.observe(0.06, 2000, Told(compute=0.03))
    assert trips.tail(3000) == pytest.approx(0.07)
    assert trips.tail(1000) == pytest.approx(0.05)


@pytest.mark.parametrize("told", [Told(-1.0, math.inf), Told(9.0, 9.0), Told(0.0, 1e9)])
def test_whatever_a_server_tells_the_forecast_is_about_what_was_measured(told):
    trips = RoundTrips()
    for _ in range(10):
        trips.observe(0.05, 1000, told)
    assert trips.tail() == pytest.approx(0.05)


def trips_of(ways, compute=0.02, **told):
    trips = RoundTrips()
    for way in ways:
        trips.observe(way + compute, 1000, Told(compute=compute, **told))
    return trips


def test_the_server_is_given_what_the_line_leaves_of_the_deadline():
    assert RoundTrips().grant(0.1, 0.3) == (0.1, 0.3), "of a line that nothing is known of"
    time_left, useful = trips_of(np.linspace(0.02, 0.06, 41)).grant(0.1, 0.3)
    assert time_left == pytest.approx(0.1 - 0.056)
    assert useful == pytest.approx(0.3 - 0.056)


def test_packets_lost_now_and_then_do_not_take_all_time_from_the_server():
    lossy = trips_of([0.03, 0.04, 0.05, 0.25, 2.0] * 20)
    assert lossy.grant(0.1, 0.3).time_left == pytest.approx(0.05)


def test_where_the_deadline_mostly_cannot_be_kept_the_server_has_as_long_as_is_of_use():
    late = trips_of([0.09, 0.12, 0.15] * 10)
    assert late.grant(0.1, 0.3) == (pytest.approx(0.15), pytest.approx(0.15))
    hopeless = trips_of([1.0] * 10).grant(0.1, 0.3)
    assert hopeless.time_left == hopeless.useful < 0.0


def test_a_server_that_has_thought_long_is_given_what_its_first_exit_needs():
    deep = trips_of([0.04] * 20, compute=0.08, shallowest=0.01)
    assert deep.grant(0.1, 0.3).time_left == pytest.approx(0.06)
    assert trips_of([0.04] * 20, compute=0.08).grant(0.1, 0.3).time_left == pytest.approx(0.26)


@pytest.mark.parametrize(
    "answer",
    [{}, {"queue": 3}, {"queue": {"exits_ms": []}}, {"queue": {"exits_ms": ["x", 2.0]}}],
)
def test_a_stranger_that_tells_nothing_has_one_answer(answer):
    assert Told.by(answer) == Told()
    assert Told.by({"queue": {"exits_ms": [4.0, 9.0], "wait_ms": 1}}) == Told(0.0, 0.0, 1e-3, 4e-3)
