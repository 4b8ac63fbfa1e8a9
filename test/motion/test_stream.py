# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks are spliced by what was played, without a step, and end at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.motion import (
    ChunkError,
    ChunkStream,
    StreamConfig,
    StreamConfigError,
    StreamState,
)
from magma_ros.spaces import MAGMA, ActionSpace, Dimension, SpaceKind
from magma_ros.types import ActionChunk, Pose

STEP = 0.1
TICK = 0.02


def chunk(stamp, velocity=0.2, steps=8, gripper=1.0, axis=0):
    rows = np.zeros((steps, 7))
    rows[:, axis] = velocity * STEP
    rows[:, 6] = gripper
    return ActionChunk(stamp, STEP, rows, 1, MAGMA)


class Player:
    """Samples a stream tick by tick and integrates what it says, as an ideal arm would."""

    def __init__(self, stream=None):
        self.stream = stream or ChunkStream()
        self.now = 0.0
        self.position = np.zeros(6)
        self.twists = []
        self.states = []

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            sample = self.stream.sample(self.now)
            self.twists.append(sample.twist)
            self.states.append(sample.state)
            self.position += TICK * sample.twist
            self.now += TICK
        return sample

    @property
    def greatest_change(self):
        return np.linalg.norm(np.diff(np.array(self.twists)[:, :3], axis=0), axis=1).max()


def test_idle_stream_is_at_rest_and_commands_no_gripper():
    sample = ChunkStream().sample(5.0)
    assert not sample.twist.any()
    assert sample.gripper is None
    assert sample.state is StreamState.IDLE


def test_chunk_moves_the_arm_as_far_as_it_says():
    player = Player()
    player.stream.push(chunk(0.0), 0.0)
    player.run(0.8)
    player.stream.push(chunk(0.4), player.now)  # the same motion goes on
    player.run(0.3)
    assert player.position[0] == pytest.approx(0.2 * 1.1, rel=0.02)


def test_late_chunk_is_entered_at_the_step_that_was_reached():
    player = Player()
    player.stream.push(chunk(0.0), 0.0)
    player.run(0.5)
    rows = np.zeros((8, 7))
    rows[:, 0] = 0.02
    rows[3:, 6] = 1.0  # the gripper opens at the fourth step
    player.stream.push(
        ActionChunk(0.2, STEP, rows, 1, MAGMA), player.now
    )  # 0.3 s were played since
    assert player.run(TICK).gripper == 1.0


def test_waiting_is_not_playing():
    player = Player()
    player.run(3.0)  # observed at 0.5, answered at 3.0: nothing was played in between
    answer = player.stream.push(chunk(0.5, gripper=0.25, steps=1), player.now)
    assert answer.accepted
    assert player.run(TICK).gripper == 0.25


def test_only_played_time_counts_when_a_chunk_ran_out_meanwhile():
    player = Player()
    player.stream.push(chunk(0.0, steps=4), 0.0)
    player.run(5.0)  # 0.4 s of plan, the rest is waiting
    answer = player.stream.push(chunk(0.2, steps=4), player.now)  # observed halfway through
    assert answer.accepted
    assert "Entered 0.20 s" in answer.sentence


def test_chunk_that_was_wholly_played_is_ignored():
    player = Player()
    player.stream.push(chunk(0.0, steps=20), 0.0)
    player.run(1.0)
    before = player.stream.sample(player.now).twist
    answer = player.stream.push(chunk(0.1, velocity=-0.3, steps=5), player.now)
    assert not answer.accepted
    assert "0.90 s have been played" in answer.sentence
    np.testing.assert_allclose(player.run(TICK).twist, before, atol=1e-6)


@pytest.mark.parametrize("stamp", [0.3, 0.5])
def test_older_or_repeated_chunk_does_not_replace_a_newer_one(stamp):
    player = Player()
    player.run(0.6)
    player.stream.push(chunk(0.5, velocity=0.2), player.now)
    player.run(0.2)
    answer = player.stream.push(chunk(stamp, velocity=-0.2), player.now)
    assert not answer.accepted
    assert player.run(0.2).twist[0] > 0.15


def deeper(stamp, velocity):
    return replace(chunk(stamp, velocity), depth=2)


@pytest.mark.parametrize("stamp", [0.3, 0.5])
def test_a_deeper_plan_for_an_earlier_observation_is_entered_at_the_step_that_is_now(stamp):
    """What comes late from elsewhere goes on where it would be, had it been followed since."""
    player = Player()
    player.run(0.2)
    player.stream.push(chunk(0.2), player.now)
    player.run(0.3)
    player.stream.push(chunk(0.5), player.now)
    player.run(0.2)
    answer = player.stream.push(deeper(stamp, 0.1), player.now)
    assert answer.accepted
    assert answer.sentence == f"Entered {0.7 - stamp:.2f} s into the chunk."
    player.run(stamp + 0.8 - player.now)
    made = 0.2 * (stamp - 0.2) + 0.1 * 0.8
    assert player.position[0] == pytest.approx(made, abs=0.005)


def test_of_two_deeper_plans_the_newer_replaces_the_older_and_not_the_other_way_round():
    player = Player()
    player.run(0.5)
    for stamp in (0.2, 0.3, 0.4):
        player.stream.push(chunk(stamp), player.now)
    assert player.stream.push(deeper(0.2, 0.1), player.now).accepted
    assert player.stream.push(deeper(0.3, 0.1), player.now).accepted
    assert not player.stream.push(deeper(0.2, 0.1), player.now).accepted
    assert player.stream.push(chunk(0.5), player.now).accepted


def test_no_deeper_plan_brings_back_what_was_cleared_away_or_is_long_past():
    player = Player()
    player.stream.push(chunk(0.0), player.now)
    player.run(0.3)
    player.stream.clear()
    assert not player.stream.push(deeper(0.2, 0.1), player.now).accepted
    player.run(1.5)
    player.stream.push(chunk(1.7), player.now)
    late = replace(deeper(0.4, 0.1), step_period=1.0)
    assert "1.40 s old" in player.stream.push(late, player.now).sentence


def test_chunk_from_the_future_is_ignored():
    answer = ChunkStream().push(chunk(9.0), 5.0)
    assert not answer.accepted
    assert "4.00 s ahead" in answer.sentence


def test_malformed_chunk_leaves_the_stream_playing():
    disturbed, calm = Player(), Player()
    for player in (disturbed, calm):
        player.stream.push(chunk(0.0), 0.0)
        player.run(0.3)
    with pytest.raises(ChunkError):
        disturbed.stream.push(chunk(0.2, velocity=np.nan), disturbed.now)
    np.testing.assert_array_equal(disturbed.run(0.3).twist, calm.run(0.3).twist)


def test_arrival_offset_fades_without_a_velocity_step():
    player = Player()
    player.stream.push(chunk(0.0, velocity=0.10, steps=20), 0.0)
    player.run(1.2)
    observed = player.position[0]
    player.run(0.3)
    del player.twists[:-1]
    # Faster by 0.02 m/s and observed 0.3 s ago: the arm is 6 mm behind what it would have done.
    player.stream.push(chunk(1.2, velocity=0.12, steps=20), player.now)
    player.run(1.2)
    assert player.position[0] - observed == pytest.approx(1.5 * 0.12, abs=5e-4)
    assert player.twists[-1][0] == pytest.approx(0.12, abs=1e-3)
    # At the seam the plans differ by 0.02 m/s; making up 6 mm in one tick would add 0.3 m/s.
    assert player.greatest_change < 0.02


def test_offset_fades_along_every_axis_and_for_rotation():
    for axis in range(6):
        player = Player()
        player.stream.push(chunk(0.0, velocity=0.1, axis=axis), 0.0)
        player.run(0.6)
        player.stream.push(chunk(0.4, velocity=0.1, steps=20, axis=(axis + 1) % 6), player.now)
        player.run(1.2)
        expected = np.zeros(6)
        expected[axis], expected[(axis + 1) % 6] = 0.04, 0.14
        np.testing.assert_allclose(player.position, expected, atol=2e-3)


def test_end_without_successor_comes_smoothly_to_rest_and_keeps_the_gripper():
    player = Player()
    player.stream.push(chunk(0.0, velocity=0.3, gripper=0.0), 0.0)
    player.run(0.8)
    sample = player.run(0.1)
    assert sample.state is StreamState.DECELERATING
    assert 0.0 < sample.twist[0] < 0.3
    sample = player.run(0.3)
    assert sample.state is StreamState.IDLE
    assert not sample.twist.any()
    assert sample.gripper == 0.0
    stopping = np.array(player.twists[40:])[:, 0]
    assert (np.diff(stopping) <= 1e-9).all()
    assert player.greatest_change <= 4.0 * TICK + 1e-9


def test_cleared_stream_is_at_rest_and_forgets_older_observations():
    player = Player()
    player.stream.push(chunk(0.0), 0.0)
    player.run(0.4)
    player.stream.clear()
    sample = player.run(TICK)
    assert not sample.twist.any()
    assert sample.gripper is None
    assert not player.stream.push(chunk(0.2), player.now).accepted
    player.run(0.1)
    assert player.stream.push(chunk(player.now), player.now).accepted


def test_clock_that_jumps_back_starts_the_stream_over():
    player = Player()
    player.run(1.0)
    player.stream.push(chunk(0.9), player.now)
    player.run(0.2)
    player.now = 0.0
    assert not player.run(TICK).twist.any()
    assert player.stream.push(chunk(0.01), player.now).accepted


def test_asking_twice_for_one_moment_changes_nothing():
    stream = ChunkStream()
    stream.push(chunk(0.0), 0.0)
    stream.sample(0.02)
    first, second = stream.sample(0.04), stream.sample(0.04)
    np.testing.assert_array_equal(first.twist, second.twist)


def test_uneven_sampling_loses_no_displacement():
    stream, rng = ChunkStream(), np.random.default_rng(1)
    now, position, twist = 0.0, 0.0, np.zeros(6)
    stream.push(chunk(0.0, velocity=0.2, steps=40), 0.0)
    while now < 3.0:
        twist = stream.sample(now).twist
        wait = rng.uniform(0.005, 0.04)
        position += wait * twist[0]
        now += wait
    assert position == pytest.approx(0.2 * now, rel=0.01)


def test_memory_does_not_grow_while_chunks_keep_coming():
    player = Player()
    for _ in range(50):
        player.stream.push(chunk(player.now - TICK), player.now)
        player.run(0.4)
    player.run(20.0)
    assert len(player.stream._history) < 120  # a second and a chunk at 50 Hz, and the feedback


def test_setting_that_makes_no_sense_is_refused():
    with pytest.raises(StreamConfigError, match="stop_time must be a positive number, not -1"):
        StreamConfig(stop_time=-1.0)


def test_poses_lead_from_where_the_arm_was_to_each_of_them():
    places = ActionSpace(SpaceKind.EE_POSE, tuple(Dimension(axis, "m") for axis in "xyz"))
    start = Pose(0.0, np.array([0.4, 0.1, 0.2]))
    rows = start.position + np.outer(np.arange(1, 9), [0.01, 0.0, -0.005])
    player = Player()
    player.stream.sample(0.0)
    poses = ActionChunk(0.0, STEP, rows, 1, places)
    with pytest.raises(ChunkError, match="is its pose published"):
        player.stream.push(poses, 0.0)
    assert player.stream.push(poses, 0.0, start).accepted
    sample = player.run(0.8)
    np.testing.assert_allclose(start.position + player.position[:3], rows[-1], atol=0.004)
    assert sample.gripper is None
