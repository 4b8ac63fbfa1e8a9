# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fault is judged by what the arm does and by what people are told, not by good intentions."""

import math

import pytest

from magma_ros.evaluation.bench.faults import (
    FAULTS,
    LIMIT,
    Outcome,
    Trial,
    faults_grid,
    faults_json,
    find_faults,
)
from magma_ros.nodes.fault_injection import INJECTIONS

GOOD = Trial("policy-killed", 0.1, 0.15, 0.1, "HOLD The policy is silent.")


def test_every_fault_can_be_made():
    assert set(INJECTIONS) == {fault.name for fault in FAULTS}


@pytest.mark.parametrize(
    ("trial", "outcome", "says"),
    [
        (GOOD, Outcome.STILL, ""),
        (Trial("policy-killed", 0.1, LIMIT + 0.01, 0.1, "HOLD"), Outcome.STILL, "moved for 0.31 s"),
        (Trial("policy-killed", 0.1, math.inf, 0.1, "HOLD"), Outcome.STILL, "moved for inf s"),
        (Trial("policy-killed", 0.1, 0.1), Outcome.STILL, "nobody was told"),
        (Trial("flood", sentence="WARN"), Outcome.GOES_ON, ""),
        (Trial("flood", 0.1, 0.1, 0.1, "HOLD"), Outcome.GOES_ON, "the arm stopped"),
        (Trial("flood", problem="no guard answers"), Outcome.GOES_ON, "no guard answers"),
    ],
)
def test_an_arm_that_moves_on_or_a_silent_state_is_a_failure(trial, outcome, says):
    assert (says in trial.failure(outcome)) if says else trial.failure(outcome) == ""


def test_table_and_json_hold_every_trial():
    trials = [GOOD, Trial("flood", sentence="camera_front sends 250 pictures a second")]
    assert [row[2] for row in faults_grid(trials).rows] == ["ok", "ok"]
    content = faults_json(trials)
    assert content["trials"][1]["arm_still"] is None


def test_what_is_tried_again_and_again_shows_the_worst_and_the_median():
    late = Trial("policy-killed", 0.2, 0.4, math.inf, "HOLD The arm moved on.")
    grid = faults_grid([GOOD, late, GOOD])
    ((_, told, verdict, *times),) = grid.rows
    assert told == "HOLD The arm moved on."
    assert verdict == "1 of 3: the arm moved for 0.40 s"
    assert times == ["0.200 (0.100)", "0.400 (0.150)", "never (0.100)"]
    assert "tried 3 times" in grid.caption
    assert faults_grid([GOOD, GOOD]).rows[0][2] == "ok, 2"


def test_unknown_fault_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="there is no fault 'earthquake'; known: policy-killed"):
        find_faults(("earthquake",))
    assert find_faults(()) == FAULTS
