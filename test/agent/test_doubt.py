# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Doubt is what thinking to the end has not settled; one sure decision ends it."""

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


@pytest.fixture
def doubt():
    """Unsure since 10 s."""
    made = Doubt()
    assert made.lasts(UNSURE, TOLERANCE, 10.0) == 0.0
    assert made.lasts(UNSURE, TOLERANCE, 12.0) == 2.0
    return made


@pytest.mark.parametrize(
    "sure", [verdict(Reason.CONFIDENT), verdict(Reason.DEEPEST, disagreement=0.04)]
)
def test_one_sure_decision_ends_it(doubt, sure):
    assert doubt.lasts(sure, TOLERANCE, 13.0) == 0.0
    assert doubt.lasts(UNSURE, TOLERANCE, 14.0) == 0.0


@pytest.mark.parametrize(
    "reason", [Reason.DEADLINE, Reason.OVERRUN, Reason.CAPPED, Reason.NO_TIME, Reason.FAULT]
)
def test_a_decision_that_was_cut_short_neither_ends_nor_begins_it(doubt, reason):
    assert doubt.lasts(verdict(reason), TOLERANCE, 13.0) == 3.0
    assert Doubt().lasts(verdict(reason), TOLERANCE, 13.0) == 0.0
    fresh = Doubt()
    fresh.lasts(verdict(reason), TOLERANCE, 13.0)
    assert fresh.lasts(UNSURE, TOLERANCE, 14.0) == 0.0


def test_a_policy_with_a_single_exit_is_never_in_doubt():
    doubt = Doubt()
    alone = verdict(Reason.DEEPEST, disagreement=math.inf)
    assert [doubt.lasts(alone, TOLERANCE, now) for now in (1.0, 9.0)] == [0.0, 0.0]


def test_clearing_starts_anew(doubt):
    doubt.clear()
    assert doubt.lasts(UNSURE, TOLERANCE, 15.0) == 0.0
