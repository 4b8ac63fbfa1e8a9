# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy elsewhere may improve a decision, and never delays one past its deadline."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.gate.far import FarPlan, FarRules, think_far, think_near_and_far
from magma_ros.gate.gates import AdaptiveGate, FixedDepth
from magma_ros.gate.latency import LatencyModel
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, Observation, Origin, Reason

PERIOD = 0.1
NEVER = AdaptiveGate(tolerance=0.01)
ELSEWHERE = 4


def seen(stamp):
    return Observation(stamp, {}, np.zeros(0), (), "push")


def plan(stamp, steps=8, exit_there=None):
    chunk = ActionChunk(stamp, 0.1, np.full((steps, 7), 9.0), ELSEWHERE, MAGMA)
    sure = Confidence(math.inf, math.nan, math.nan)
    return FarPlan(chunk, sure, np.array([stamp]), exit_there)


@dataclass
class ScriptedLine:
    """Answers after given delays [s], None for never; one question at a time."""

    clock: object
    delays: list
    tail: float = math.inf
    asked: tuple | None = None
    coming: list = field(default_factory=list)
    plans: dict = field(default_factory=dict)
    exit: int | None = None

    def ask(self, observation, now, deadline):
        self.look()
        if self.coming or not self.delays:
            return
        delay = self.delays.pop(0)
        self.asked = observation.stamp, now
        if delay is not None:
            self.coming = [(now + delay, observation.stamp)]

    def look(self):
        while self.coming and self.coming[0][0] <= self.clock.now():
            self.newest_plan = plan(self.coming.pop(0)[1], exit_there=self.exit)

    newest_plan: FarPlan | None = None

    @property
    def newest(self):
        self.look()
        return self.newest_plan

    def hope(self, stamp):
        asked = self.asked
        return asked[1] + self.tail if asked and asked[0] == stamp else -math.inf

    def wait(self, stamp, until):
        if self.coming and self.coming[0][1] == stamp:
            until = min(until, self.coming[0][0])
        self.clock.sleep_until(until)

    def forget(self):
        self.newest_plan, self.coming = None, []


def decide(make, line, clock, stamp=0.0, allowance=0.08, gate=NEVER, rules=None, provisional=None):
    budget = Budget(deadline=clock.now() + allowance)
    return think_near_and_far(
        seen(stamp),
        budget,
        clock,
        line,
        rules or FarRules(),
        start=lambda _: make(),
        gate=gate,
        latency=LatencyModel(margin=1.0),
        provisional=provisional,
    )


def test_an_answer_in_time_is_taken_as_that_of_the_deepest_exit(scripted, clock):
    verdict = decide(scripted, ScriptedLine(clock, [0.07]), clock)
    assert (verdict.origin, verdict.reason) == (Origin.FAR, Reason.DEEPEST)
    assert verdict.depth == verdict.chunk.depth == ELSEWHERE
    assert verdict.slack == pytest.approx(0.01)
    assert verdict.anchor is None


def test_the_question_goes_out_before_anything_runs_here(scripted, clock):
    line = ScriptedLine(clock, [0.05])
    began = clock.now()
    decide(scripted, line, clock)
    assert line.asked == (0.0, began)


def test_thinking_here_ends_at_the_next_exit_once_the_answer_is_there(scripted, clock):
    inference = scripted()
    verdict = decide(lambda: inference, ScriptedLine(clock, [0.005]), clock)
    assert verdict.origin is Origin.FAR
    assert [name for _, name in inference.started] == ["look", "think_1"]


def test_a_line_that_is_cut_leaves_the_decision_made_here_within_the_same_tick(scripted, clock):
    verdict = decide(scripted, ScriptedLine(clock, []), clock)
    assert verdict.origin is Origin.HERE
    assert verdict.depth == 3
    assert verdict.slack == pytest.approx(0.03), "nothing was waited for"


def test_an_answer_that_never_comes_is_waited_for_no_longer_than_forecast(scripted, clock):
    verdict = decide(scripted, ScriptedLine(clock, [None], tail=0.06), clock)
    assert verdict.origin is Origin.HERE
    assert verdict.slack == pytest.approx(0.02)


def test_what_is_in_hand_is_handed_over_before_the_answer_is_waited_for(scripted, clock):
    handed = []
    decide(
        scripted,
        ScriptedLine(clock, [None]),
        clock,
        provisional=lambda v: handed.append((clock.now(), v.depth, v.reason)),
    )
    assert [entry[1:] for entry in handed][-1] == (3, Reason.DEEPEST)
    assert handed[-1][0] == pytest.approx(100.05)


def test_a_late_answer_is_taken_for_the_next_observation(scripted, clock):
    line = ScriptedLine(clock, [0.12])
    assert decide(scripted, line, clock).origin is Origin.HERE
    clock.sleep_until(100.0 + PERIOD)
    verdict = decide(scripted, line, clock, stamp=PERIOD)
    assert verdict.origin is Origin.FAR_LATE
    assert verdict.chunk.stamp == 0.0
    np.testing.assert_array_equal(verdict.anchor, [0.0])


@pytest.mark.parametrize(("age", "steps", "origin"), [(0.31, 8, "HERE"), (0.29, 4, "HERE")])
def test_a_plan_that_is_too_old_or_nearly_over_is_not_taken(scripted, clock, age, steps, origin):
    line = ScriptedLine(clock, [])
    line.newest_plan = plan(0.0, steps)
    assert decide(scripted, line, clock, stamp=age).origin.name == origin


def test_a_plan_about_a_later_observation_is_not_taken(scripted, clock):
    line = ScriptedLine(clock, [])
    line.newest_plan = plan(5.0)
    assert decide(scripted, line, clock, stamp=1.0).origin is Origin.HERE


def test_confidence_here_says_nothing_about_a_policy_elsewhere(scripted, clock):
    verdict = decide(scripted, ScriptedLine(clock, [0.06]), clock, gate=FixedDepth(depth=1))
    assert verdict.origin is Origin.FAR


def test_by_the_other_rule_a_confident_exit_is_acted_on_at_once(scripted, clock):
    line = ScriptedLine(clock, [0.06])
    rules = FarRules(always=False)
    verdict = decide(scripted, line, clock, gate=FixedDepth(depth=1), rules=rules)
    assert (verdict.origin, verdict.reason) == (Origin.HERE, Reason.CONFIDENT)
    assert verdict.slack == pytest.approx(0.06)


def test_a_policy_that_fails_here_is_a_fault_whatever_comes_from_elsewhere(scripted, clock):
    line = ScriptedLine(clock, [0.001])
    verdict = decide(lambda: scripted(broken="think_1"), line, clock)
    assert verdict.reason is Reason.FAULT
    assert verdict.chunk is None


def test_without_a_policy_here_and_an_answer_there_is_no_plan_and_a_reason(clock):
    budget = Budget(deadline=clock.now() + 0.08)
    verdict = think_far(seen(0.0), budget, clock, ScriptedLine(clock, [None]), FarRules())
    assert (verdict.chunk, verdict.reason) == (None, Reason.UNANSWERED)
    assert verdict.slack == pytest.approx(0.0)


def test_without_a_policy_here_the_answer_in_time_is_the_plan(clock):
    budget = Budget(deadline=clock.now() + 0.08)
    verdict = think_far(seen(0.0), budget, clock, ScriptedLine(clock, [0.05]), FarRules())
    assert (verdict.origin, verdict.slack) == (Origin.FAR, pytest.approx(0.03))


@pytest.mark.parametrize(("there", "origin"), [(1, "HERE"), (3, "HERE"), (4, "FAR"), (None, "FAR")])
def test_the_same_policy_elsewhere_is_followed_only_where_it_thought_deeper(
    scripted, clock, there, origin
):
    """A server under load answers by its first exit; what is in hand here may be better."""
    verdict = decide(scripted, ScriptedLine(clock, [0.06], exit=there), clock)
    assert verdict.origin.name == origin
    assert verdict.depth == (3 if origin == "HERE" else ELSEWHERE)


def test_thinking_here_goes_on_although_a_shallower_plan_of_the_same_policy_is_there(
    scripted, clock
):
    inference = scripted()
    verdict = decide(lambda: inference, ScriptedLine(clock, [0.005], exit=2), clock)
    assert (verdict.origin, verdict.depth) == (Origin.HERE, 3)
    verdict = decide(
        scripted, ScriptedLine(clock, [0.005], exit=2), clock, gate=FixedDepth(depth=1)
    )
    assert verdict.origin is Origin.FAR, "deeper than the exit that the gate chose here"


def test_a_late_plan_of_the_same_policy_gives_way_to_a_newer_one_as_deep(scripted, clock):
    line = ScriptedLine(clock, [])
    line.newest_plan = plan(0.0, exit_there=2)
    assert decide(scripted, line, clock, stamp=PERIOD).origin is Origin.HERE


DELAYS = st.lists(st.one_of(st.none(), st.floats(0.0, 0.6)), max_size=12)


@given(DELAYS, st.floats(0.0, 1.0), st.floats(0.06, 0.1), st.booleans())
def test_no_decision_is_late_whatever_the_line_does(make_scripted, delays, tail, allowance, always):
    scripted, clock = make_scripted()
    line = ScriptedLine(clock, list(delays), tail)
    for tick in range(12):
        clock.sleep_until(100.0 + PERIOD * tick)
        stamp, handed = PERIOD * tick, []
        verdict = decide(
            scripted,
            line,
            clock,
            stamp,
            allowance,
            rules=FarRules(always=always),
            provisional=lambda v, handed=handed: handed.append(clock.now()),
        )
        assert verdict.chunk is not None
        assert verdict.slack >= -1e-9
        assert handed, "an answer from here was in hand before anything was waited for"
        assert handed[0] <= clock.now()
        if verdict.origin is Origin.FAR:
            assert verdict.chunk.stamp == stamp
        if verdict.origin is Origin.FAR_LATE:
            assert 0.0 < stamp - verdict.chunk.stamp <= FarRules().longest_age
