# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks of joints are spliced by what was played, without a step, and end at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from properties import examples

from magma_ros.motion import ChunkError, JointStream, StreamState
from magma_ros.spaces import ActionSpace, Dimension, SpaceKind, gripper
from magma_ros.types import ActionChunk

STEP = 0.1
TICK = 0.01
ARM = (Dimension("a", "rad", -1.0, 1.0), Dimension("b", "m"), gripper())
PLACES = ActionSpace(SpaceKind.JOINT_POSITION, ARM)
STEPS = ActionSpace(SpaceKind.JOINT_DELTA, ARM)
HERE = np.zeros(2)


def chunk(stamp, targets, space=PLACES):
    rows = np.column_stack([targets, np.ones(len(targets))])
    return ActionChunk(stamp, STEP, rows, 1, space)


def ramp(start, speed, steps=8):
    """Targets that move the first joint at ``speed`` [rad/s] from ``start``."""
    first = start + speed * STEP * np.arange(1, steps + 1)
    return np.column_stack([first, np.zeros(steps)])


def play(stream, start, end):
    return [stream.sample(now) for now in np.arange(start, end - 1e-9, TICK)]


def test_nothing_is_commanded_before_a_chunk_leads_somewhere():
    sample = JointStream().sample(0.0)
    assert sample.positions is sample.velocities is sample.openings is None
    assert sample.state is StreamState.IDLE


def test_a_target_is_reached_at_the_end_of_its_step_once_the_start_has_faded():
    stream = JointStream(fade_steps=0.5)
    assert stream.push(chunk(0.0, ramp(0.0, 0.5)), 0.0, HERE).accepted
    for step in (5, 6, 7):
        sample = stream.sample(step * STEP)
        np.testing.assert_allclose(sample.positions, [0.5 * step * STEP, 0.0], atol=1e-3)
        np.testing.assert_allclose(sample.velocities, [0.5, 0.0], atol=1e-2)
    np.testing.assert_array_equal(sample.openings, [1.0])


def test_deltas_accumulate_from_where_the_joints_were():
    stream = JointStream(fade_steps=0.1)
    here = np.array([0.2, -0.3])
    stream.push(chunk(0.0, [[0.1, 0.0], [0.1, -0.1]], STEPS), 0.0, here)
    np.testing.assert_allclose(stream.sample(0.2).positions, [0.4, -0.4], atol=1e-3)


def test_a_late_chunk_is_entered_at_the_step_that_is_now():
    stream = JointStream()
    stream.push(chunk(0.0, ramp(0.0, 0.5)), 0.0, HERE)
    play(stream, 0.0, 0.5)
    answer = stream.push(chunk(0.2, ramp(0.1, 0.5)), 0.5, np.array([0.1, 0.0]))
    assert answer.sentence == "Entered 0.30 s into the chunk."
    later = stream.push(chunk(0.1, ramp(0.1, 0.5)), 0.5, HERE)
    assert not later.accepted
    assert "at least as new" in later.sentence


def test_waiting_does_not_use_up_a_plan():
    stream = JointStream()
    assert "Entered 0.00 s" in stream.push(chunk(0.0, ramp(0.0, 0.5)), 0.6, HERE).sentence
    play(stream, 0.6, 3.0)
    assert "Entered 0.00 s" in stream.push(chunk(2.0, ramp(0.0, 0.5)), 3.0, HERE).sentence


@examples(25)
@given(arrays(np.float64, (3, 4, 2), elements=st.floats(-0.9, 0.9)))
def test_neither_place_nor_speed_jumps_where_one_way_turns_into_another(targets):
    stream, here = JointStream(), HERE
    stream.push(chunk(0.0, targets[0]), 0.0, here)
    for begin, rows in zip((0.25, 0.5), targets[1:], strict=True):
        before = stream.sample(begin)
        assert stream.push(chunk(begin - 0.05, rows), begin, before.positions).accepted
        assert_same_motion(before, stream.sample(begin), 1e-9)
    end = 0.5 + 4 * STEP - 0.05
    for turn in (end, end + 0.3):  # where it begins to slow down, and where it rests
        moment = 1e-8  # at 1e5 rad/s^2 the speed changes by 1e-3 in it
        assert_same_motion(stream.sample(turn - moment), stream.sample(turn + moment), 5e-3)
    rest = stream.sample(end + 0.31)
    assert not rest.velocities.any()
    assert rest.state is StreamState.IDLE


def assert_same_motion(one, other, tolerance):
    """At the limit of its first joint a motion stops at once; the second joint has none."""
    np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=tolerance)
    free = np.abs(one.positions) < (1.0 - tolerance, np.inf)
    np.testing.assert_allclose(one.velocities[free], other.velocities[free], atol=tolerance)


@examples(25)
@given(arrays(np.float64, (3, 4, 2), elements=st.floats(-0.9, 0.9)))
def test_speeds_are_those_of_the_places_and_none_leads_over_a_limit(targets):
    stream, now, aside = JointStream(), 0.0, 1e-7
    for rows in targets:
        here = stream.sample(now).positions if now else HERE
        stream.push(chunk(now, rows), now, here)
        for moment in now + np.linspace(0.001, 0.249, 25):
            early, mid, late = (stream.sample(moment + part * aside) for part in (-1, 0, 1))
            assert (np.abs(mid.positions[0]) < 1.0) or not mid.velocities[0]
            slopes = (late.positions - early.positions) / (2 * aside)
            free = np.abs(mid.positions) < (0.999, np.inf)
            # Where two cubics meet the acceleration jumps: by 1e5 rad/s^2 it is 5e-3 rad/s here.
            np.testing.assert_allclose(slopes[free], mid.velocities[free], rtol=1e-6, atol=2e-2)
            assert np.abs(mid.positions[0]) <= 1.0
        now += 0.25


def test_a_chunk_without_a_successor_ends_at_rest_and_near():
    stream = JointStream(stop_time=0.3)
    stream.push(chunk(0.0, ramp(0.0, 0.5, steps=4)), 0.0, HERE)
    at_end = stream.sample(0.4).positions
    assert stream.sample(0.5).state is StreamState.DECELERATING
    rest = stream.sample(0.8)
    assert rest.state is StreamState.IDLE
    assert not rest.velocities.any()
    assert 0.0 < rest.positions[0] - at_end[0] < 0.5 * 0.3
    np.testing.assert_array_equal(stream.sample(9.0).positions, rest.positions)


def test_after_a_stop_only_what_was_seen_since_counts():
    stream = JointStream()
    stream.push(chunk(0.0, ramp(0.0, 0.5)), 0.0, HERE)
    play(stream, 0.0, 0.3)
    stream.clear()
    assert stream.sample(0.3).positions is None
    assert not stream.push(chunk(0.25, ramp(0.0, 0.5)), 0.31, HERE).accepted
    assert stream.push(chunk(0.32, ramp(0.0, 0.5)), 0.33, HERE).accepted
    assert not stream.sample(0.33).velocities.any()


def test_a_clock_that_jumped_back_starts_the_stream_over():
    stream = JointStream()
    stream.push(chunk(5.0, ramp(0.0, 0.5)), 5.0, HERE)
    assert stream.sample(1.0).positions is None
    assert stream.push(chunk(1.0, ramp(0.0, 0.5)), 1.0, HERE).accepted


@pytest.mark.parametrize("anchor", [None, np.array([0.0, np.nan]), np.zeros(3)])
def test_joints_that_nobody_measured_lead_nowhere(anchor):
    with pytest.raises(ChunkError, match=r"is not (known|finite)"):
        JointStream().push(chunk(0.0, ramp(0.0, 0.5)), 0.0, anchor)


def test_a_deeper_plan_for_an_earlier_observation_is_entered_at_the_step_that_is_now():
    stream = JointStream()
    stream.push(chunk(0.0, ramp(0.0, 0.5)), 0.0, HERE)
    stream.push(chunk(0.1, ramp(0.05, 0.5)), 0.15, np.array([0.05, 0.0]))
    late = replace(chunk(0.0, ramp(0.0, 0.5)), depth=2)
    assert stream.push(late, 0.3, HERE).sentence == "Entered 0.30 s into the chunk."
    assert not stream.push(late, 0.3, HERE).accepted
