# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever arrives, and whenever: the stream stays within its limits and comes to rest."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from properties import examples

from magma_ros.motion import ChunkError, ChunkStream, StreamConfig, StreamState
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk

CONFIG = StreamConfig()
STEP = 0.1

arrivals = st.lists(
    st.tuples(
        st.floats(0.0, 0.4),  # time since the last arrival [s]
        st.floats(-0.05, 1.5),  # latency: early, late, and so out of order [s]
        st.integers(1, 8),  # steps
        st.integers(1, 2),  # how often it is delivered
        st.integers(0, 2**32 - 1),  # what it asks for
    ),
    max_size=12,
)
gaps = st.lists(st.floats(0.001, 0.06), min_size=1, max_size=7)


def random_chunk(stamp: float, steps: int, seed: int) -> ActionChunk:
    rng = np.random.default_rng(seed)
    limits = np.array([0.06, 0.06, 0.06, 0.6, 0.6, 0.6])  # up to twice what the stream allows
    rows = np.concatenate(
        [rng.uniform(-limits, limits, (steps, 6)), rng.uniform(0, 1, (steps, 1))], axis=1
    )
    return ActionChunk(stamp, STEP, rows, 1, MAGMA)


def play(stream: ChunkStream, plan, waits):
    """Yields (wait since the last sample, sample) while the chunks of ``plan`` arrive."""
    due, when = [], 0.0
    for wait, latency, steps, copies, seed in plan:
        when += wait
        due += [(when, random_chunk(when - latency, steps, seed))] * copies
    now, turn = 0.0, 0
    while due or now < when + 1.6:
        while due and due[0][0] <= now:
            stream.push(due.pop(0)[1], now)
        yield waits[turn % len(waits)], stream.sample(now)
        turn += 1
        now += waits[turn % len(waits)]


@examples(40)
@given(arrivals, gaps)
def test_speed_and_acceleration_limits_hold_whatever_arrives(plan, waits):
    last = np.zeros(6)
    for wait, sample in play(ChunkStream(CONFIG), plan, waits):
        twist, change = sample.twist, sample.twist - last
        assert np.linalg.norm(twist[:3]) <= CONFIG.linear_speed + 1e-9
        assert np.linalg.norm(twist[3:]) <= CONFIG.angular_speed + 1e-9
        assert np.linalg.norm(change[:3]) <= CONFIG.linear_acceleration * wait + 1e-9
        assert np.linalg.norm(change[3:]) <= CONFIG.angular_acceleration * wait + 1e-9
        assert sample.gripper is None or 0.0 <= sample.gripper <= 1.0
        last = twist


@examples(25)
@given(arrivals, gaps)
def test_stream_always_comes_to_rest_once_chunks_stop(plan, waits):
    *_, (_, sample) = play(ChunkStream(CONFIG), plan, waits)
    assert sample.state is StreamState.IDLE
    assert not sample.twist.any()


@examples(15)
@given(arrivals, gaps)
def test_same_arrivals_give_the_same_commands(plan, waits):
    runs = [[s.twist for _, s in play(ChunkStream(CONFIG), plan, waits)] for _ in range(2)]
    np.testing.assert_array_equal(*runs)


@examples(20)
@given(st.floats(0.0, 0.3), st.floats(0.04, 0.3), st.integers(0, 2**32 - 1))
def test_replanning_the_same_smooth_path_is_followed(latency, every, seed):
    """Chunks cut from one smooth path, at any rate and delay, move the arm along that path."""
    rng = np.random.default_rng(seed)
    size, rate, phase = rng.uniform(0.02, 0.1, 3), rng.uniform(0.5, 2.0, 3), rng.uniform(0, 6, 3)

    def path(when):
        return size * np.sin(rate * when + phase)

    def observed(stamp):
        times = stamp + STEP * np.arange(9)
        rows = np.zeros((8, 7))
        rows[:, :3] = np.diff([path(t) for t in times], axis=0)
        return ActionChunk(stamp, STEP, rows, 1, MAGMA)

    # The first chunk was there in time: what follows tests the seams, not the start.
    stream, now, position, due = ChunkStream(CONFIG), 0.0, np.zeros(3), []
    stream.push(observed(0.0), 0.0)
    length, next_look = 0.0, every
    for turn in range(250):
        now = turn * CONFIG.period
        if now >= next_look:
            due.append((now + latency, observed(now)))
            next_look += every
        while due and due[0][0] <= now:
            stream.push(due.pop(0)[1], now)
        position += CONFIG.period * stream.sample(now).twist[:3]
        length += float(np.linalg.norm(path(now + CONFIG.period) - path(now)))
    error = np.linalg.norm(position - (path(now + CONFIG.period) - path(0.0)))
    assert error <= 0.02 * length + 0.002


class Traffic(RuleBasedStateMachine):
    """Chunks that come late, early, twice, damaged or not at all, in any order.

    Every command is checked against the one before it, whatever happened in between.
    """

    def __init__(self):
        super().__init__()
        self.stream = ChunkStream(CONFIG)
        self.now = 0.0
        self.last = np.zeros(6)
        self.state = StreamState.IDLE
        self.chunks = []
        self.pushed = False

    @rule(
        latency=st.floats(-0.3, 2.0),
        steps=st.integers(1, 8),
        period=st.floats(0.02, 0.3),
        reach=st.floats(0.0, 30.0),
        seed=st.integers(0, 2**32 - 1),
        lost=st.booleans(),
    )
    def observe(self, latency, steps, period, reach, seed, lost):
        """A chunk is made, of steps up to ``reach`` times what is usual; it may get lost."""
        rows = random_chunk(0.0, steps, seed).actions
        rows[:, :6] *= reach
        self.chunks.append(ActionChunk(self.now - latency, period, rows, 1, MAGMA))
        if not lost:
            self.deliver(self.chunks[-1])

    @precondition(lambda self: self.chunks)
    @rule(which=st.integers(0, 100))
    def repeat(self, which):
        """One of those made so far comes, again or at last."""
        self.deliver(self.chunks[which % len(self.chunks)])

    @precondition(lambda self: self.chunks)
    @rule()
    def damage(self):
        rows = self.chunks[-1].actions.copy()
        rows[-1, 2] = np.inf
        with pytest.raises(ChunkError):
            self.stream.push(ActionChunk(self.now, STEP, rows, 1, MAGMA), self.now)

    @rule(waits=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=10))
    def go_on(self, waits):
        for wait in waits:
            self.now += wait
            self.check(wait, self.stream.sample(self.now))

    @rule(ticks=st.integers(1, 60))
    def run_regularly(self, ticks):
        self.go_on([CONFIG.period] * ticks)

    def deliver(self, chunk):
        self.pushed |= self.stream.push(chunk, self.now).accepted

    def check(self, wait, sample):
        twist, change = sample.twist, sample.twist - self.last
        held = min(wait, 2.0 * CONFIG.period)  # a gap in sampling earns no larger step
        assert np.linalg.norm(twist[:3]) <= CONFIG.linear_speed + 1e-9
        assert np.linalg.norm(twist[3:]) <= CONFIG.angular_speed + 1e-9
        assert np.linalg.norm(change[:3]) <= CONFIG.linear_acceleration * held + 1e-9
        assert np.linalg.norm(change[3:]) <= CONFIG.angular_acceleration * held + 1e-9
        if self.state is not StreamState.PLAYING and not self.pushed:
            # Nothing has come since the last chunk ended: it only ever gets slower.
            for part in (slice(0, 3), slice(3, 6)):
                assert np.linalg.norm(twist[part]) <= np.linalg.norm(self.last[part]) + 1e-9
        self.last, self.state, self.pushed = twist, sample.state, False


TestTraffic = Traffic.TestCase
TestTraffic.settings = examples(40, stateful_step_count=25)

TICKS = round(STEP / CONFIG.period)


@examples(40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 40),  # ticks since the last arrival
            st.integers(0, 50),  # ticks since its observation
            st.integers(1, 8),  # steps
            st.booleans(),  # whether it gets lost
        ),
        min_size=1,
        max_size=10,
    )
)
def test_a_chunk_is_entered_at_the_step_reached_by_what_was_really_played(plan):
    """The gripper tells which step is played; the states tell how much was played since."""
    stream, tick, states = ChunkStream(CONFIG), 0, []
    for pause, latency, steps, lost in plan:
        for _ in range(pause):
            states.append(stream.sample(tick * CONFIG.period).state)
            tick += 1
        seen = max(tick - latency, 0)
        if lost:
            continue
        rows = np.zeros((steps, 7))
        rows[:, 6] = np.arange(steps) / 10.0
        chunk = ActionChunk(seen * CONFIG.period, STEP, rows, 1, MAGMA)
        answer = stream.push(chunk, tick * CONFIG.period)
        if not answer.accepted:
            continue
        since = states[seen:tick]
        played = since.count(StreamState.PLAYING)
        ends = sum(a is StreamState.PLAYING is not b for a, b in pairwise(since))
        sample = stream.sample(tick * CONFIG.period)
        states.append(sample.state)
        tick += 1
        # Rounding may add a tick at every end of a chunk, and decides on the border of two steps.
        reached = {min(max(played + slip, 0) // TICKS, steps - 1) for slip in range(-ends - 1, 2)}
        assert round(10.0 * sample.gripper) in reached
