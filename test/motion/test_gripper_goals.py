# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A gripper's action gets few goals, the newest wins, and a stop cancels."""

import itertools

import pytest

from magma_ros.motion.gripper_goals import GoalRules, GripperGoal, GripperGoals

RULES = GoalRules(tolerance=0.005, interval=0.2, settling=0.1, timeout=0.5)
PERIOD = 0.02


@pytest.fixture
def goals():
    return GripperGoals(RULES)


def stream(goals, positions, start=0.0):
    """Feed one position a period; the goals asked for, by time."""
    asked = []
    for tick, position in enumerate(positions):
        now = start + tick * PERIOD
        assert goals.offer(GripperGoal(position, 20.0), now, now).accepted
        if (goal := goals.next_goal(now)) is not None:
            asked.append((now, goal.position))
    return asked


def closing(seconds=0.5):
    steps = round(seconds / PERIOD)
    return [0.04 * (1.0 - i / steps) for i in range(steps + 1)]


def test_a_command_that_stays_the_same_is_one_goal(goals):
    assert stream(goals, [0.04] * 200) == [(0.0, 0.04)]


def test_a_closing_gripper_gets_few_goals_and_the_last_is_exact(goals):
    asked = stream(goals, [0.04] * 20 + closing() + [0.0] * 30)
    assert 2 <= len(asked) <= 6
    assert asked[-1][1] == 0.0
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(asked)]
    assert min(gaps) >= RULES.interval - 1e-9


def test_trembling_within_the_tolerance_asks_for_nothing_new(goals):
    trembling = [0.04, 0.0399, 0.0401] * 40
    assert len(stream(goals, trembling)) == 1


def test_a_small_step_that_stays_is_followed_exactly(goals):
    stream(goals, [0.04] * 20)
    asked = stream(goals, [0.0399] * 30, start=1.0)
    assert [position for _, position in asked] == [0.0399]


def test_the_newest_position_wins(goals):
    stream(goals, [0.04])
    goals.offer(GripperGoal(0.02, 20.0), 0.05, 0.05)
    goals.offer(GripperGoal(0.01, 20.0), 0.06, 0.06)
    assert goals.next_goal(0.3).position == 0.01


def test_a_refused_goal_is_asked_for_again_but_not_at_once(goals):
    goals.offer(GripperGoal(0.04, 20.0), 0.0, 0.0)
    goal = goals.next_goal(0.0)
    goals.ended(goal, succeeded=False)
    assert goals.next_goal(0.1) is None
    assert goals.next_goal(0.3) == goal


def test_the_end_of_a_replaced_goal_changes_nothing(goals):
    goals.offer(GripperGoal(0.04, 20.0), 0.0, 0.0)
    old = goals.next_goal(0.0)
    goals.offer(GripperGoal(0.0, 20.0), 0.3, 0.3)
    assert goals.next_goal(0.3) is not None
    goals.ended(old, succeeded=False)
    assert goals.under_way
    assert goals.next_goal(0.6) is None


@pytest.mark.parametrize("position", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(goals, position):
    assert not goals.offer(GripperGoal(position, 20.0), 0.0, 0.0).accepted
    assert not goals.offer(GripperGoal(0.0, position), 0.0, 0.0).accepted
    assert goals.next_goal(0.0) is None


@pytest.mark.parametrize(("stamp", "word"), [(9.0, "1.00 s old"), (11.0, "1.00 s in the future")])
def test_commands_from_another_time_are_refused(goals, stamp, word):
    answer = goals.offer(GripperGoal(0.0, 20.0), stamp, 10.0)
    assert not answer.accepted
    assert word in answer.sentence
    assert goals.next_goal(10.0) is None


def test_silence_cancels_the_goal_under_way_once(goals):
    stream(goals, [0.0])
    assert not goals.must_cancel(0.4)
    assert goals.must_cancel(0.6)
    assert not goals.must_cancel(0.7)
    assert goals.next_goal(0.8) is None


def test_a_goal_that_was_reached_is_not_cancelled_by_silence(goals):
    goals.offer(GripperGoal(0.0, 20.0), 0.0, 0.0)
    goals.ended(goals.next_goal(0.0), succeeded=True)
    assert not goals.must_cancel(5.0)


def test_a_stop_cancels_and_only_a_new_command_moves_again(goals):
    stream(goals, [0.0])
    goals.halt(halted=True)
    assert goals.must_cancel(0.02)
    goals.offer(GripperGoal(0.0, 20.0), 0.04, 0.04)
    assert goals.next_goal(0.3) is None
    goals.halt(halted=False)
    assert goals.next_goal(0.32) is None
    goals.offer(GripperGoal(0.0, 20.0), 0.34, 0.34)
    assert goals.next_goal(0.34) is not None
