# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Doubt is what thinking to the end has not settled, and only what was seen of it counts."""

import math

import pytest

from magma_ros.agent.doubt import Doubt
from magma_ros.types import Confidence, Reason, Verdict

TOLERANCE = 0.05


def verdict(reason: Reason, disagreement: float = 0.2) -> Verdict:
    confidence = None
    if reason not in (Reason.NO_TIME, Reason.FAULT):
        confidence = Confidence(disagreement, entropy=0.5, margin=0.5)
    return Verdict(None, reason, 3, (), slack=0.0, confidence=confidence)


UNSURE = verdict(Reason.DEEPEST)
GAP = 0.4
CUT_SHORT = [Reason.DEADLINE, Reason.OVERRUN, Reason.CAPPED, Reason.NO_TIME, Reason.FAULT]


def lasts(doubt, *decisions, gap=GAP):
    """What is told after the last of some (verdict, time) pairs."""
    return [doubt.lasts(each, TOLERANCE, now, gap) for each, now in decisions][-1]


def unsure(start, count, step=0.1):
    return [(UNSURE, start + step * i) for i in range(count)]


@pytest.fixture
def doubt():
    """Unsure from 10 s to 12 s, ten times a second."""
    made = Doubt()
    assert lasts(made, *unsure(10.0, 21)) == pytest.approx(2.0)
    return made


@pytest.mark.parametrize(
    "sure", [verdict(Reason.CONFIDENT), verdict(Reason.DEEPEST, disagreement=0.04)]
)
def test_one_sure_decision_ends_it(doubt, sure):
    assert lasts(doubt, (sure, 12.1)) == 0.0
    assert lasts(doubt, (UNSURE, 12.2)) == 0.0


@pytest.mark.parametrize("reason", CUT_SHORT)
def test_one_unsure_plan_before_three_seconds_of_plans_cut_short_is_no_doubt_of_three_seconds(
    reason,
):
    doubt = Doubt()
    lasts(doubt, (UNSURE, 10.0))
    told = [lasts(doubt, (verdict(reason), 10.1 + 0.1 * i)) for i in range(30)]
    assert told == [0.0] * 30
    assert lasts(doubt, (UNSURE, 13.2)) == 0.0


@pytest.mark.parametrize("reason", CUT_SHORT)
def test_a_decision_that_was_cut_short_pauses_the_count(doubt, reason):
    assert lasts(doubt, (verdict(reason), 12.1)) == pytest.approx(2.0)
    assert lasts(doubt, (UNSURE, 12.2)) == pytest.approx(2.0)
    assert lasts(doubt, (UNSURE, 12.3)) == pytest.approx(2.1)


def test_time_in_which_nothing_was_decided_does_not_count(doubt):
    assert lasts(doubt, (UNSURE, 13.0)) == pytest.approx(2.0)
    assert lasts(doubt, (UNSURE, 13.1)) == pytest.approx(2.1)


def test_doubt_that_is_not_renewed_is_over(doubt):
    assert lasts(doubt, (verdict(Reason.DEADLINE), 14.1)) == 0.0
    assert lasts(doubt, (UNSURE, 14.2)) == 0.0


def test_a_policy_that_plans_slowly_can_be_in_doubt_too():
    assert lasts(Doubt(), *unsure(10.0, 3, step=5.0), gap=10.0) == 10.0


def test_a_policy_with_a_single_exit_is_never_in_doubt():
    alone = verdict(Reason.DEEPEST, disagreement=math.inf)
    assert lasts(Doubt(), *((alone, 1.0 + 0.1 * i) for i in range(50))) == 0.0


def test_clearing_starts_anew(doubt):
    doubt.clear()
    assert lasts(doubt, (UNSURE, 12.1)) == 0.0
