# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Within the limits that the guard has, too, and told what was sent, the stream does not overshoot.

An ideal arm does what the guard's ramp makes of the stream; a policy that knows no limits plans ten
times a second from where the arm was a while ago.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.guard.limits import Limits, Motion, Ramp
from magma_ros.motion import ChunkStream, StreamConfig
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk

FRANKA = Limits(
    linear_speed=0.2,
    angular_speed=1.0,
    linear_acceleration=1.0,
    angular_acceleration=5.0,
    linear_jerk=20.0,
    angular_jerk=100.0,
    linear_braking=2.0,
    angular_braking=10.0,
    gripper_speed=2.0,
)
SIMULATOR = Limits(
    linear_speed=0.35,
    angular_speed=3.5,
    linear_acceleration=4.0,
    angular_acceleration=40.0,
    linear_jerk=400.0,
    angular_jerk=4000.0,
    linear_braking=8.0,
    angular_braking=80.0,
    gripper_speed=4.0,
)
TICK, STEP = 0.02, 0.1
PLANNED_SPEED = 0.35


def config_of(limits):
    return StreamConfig(
        period=TICK,
        linear_speed=limits.linear_speed,
        angular_speed=limits.angular_speed,
        linear_acceleration=limits.linear_acceleration,
        angular_acceleration=limits.angular_acceleration,
        linear_jerk=limits.linear_jerk,
        angular_jerk=limits.angular_jerk,
    )


class Robot:
    """Stream, guard and arm; ``scale`` is what the guard leaves of a twist at a time."""

    def __init__(self, config, limits=FRANKA, scale=lambda now: 1.0, phase=0.01):
        self.stream, self.ramp = ChunkStream(config), Ramp(limits)
        self.limits, self.scale, self.phase = limits, scale, phase
        self.motion, self.now = Motion(), 0.0
        self.position = np.zeros(6)
        self.path = [self.position]

    def tick(self):
        wanted = self.stream.sample(self.now).twist
        wanted = self.scale(self.now) * self.limits.speed_scale(wanted) * wanted
        before = self.motion.twist
        self.motion = self.ramp.towards(self.motion, wanted, TICK)
        self.position = (
            self.position + self.phase * before + (TICK - self.phase) * self.motion.twist
        )
        self.stream.note_sent(self.motion.twist, self.now + self.phase + 0.001)
        self.now += TICK
        self.path.append(self.position)

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            self.tick()


def seek(robot, goal, latency, seconds=4.0, eagerness=1.0):
    """Plan to a goal over and over; gives the path, (N, 3)."""
    due = []
    for turn in range(round(seconds / TICK)):
        if turn % round(STEP / TICK) == 0:
            at, rows = robot.position[:3].copy(), np.zeros((8, 7))
            for row in rows:
                step = eagerness * (goal - at)
                longest = PLANNED_SPEED * STEP
                row[:3] = step * min(1.0, longest / max(np.linalg.norm(step), 1e-12))
                at = at + row[:3]
            due.append((robot.now + latency, ActionChunk(robot.now, STEP, rows, 1, MAGMA)))
        while due and due[0][0] <= robot.now + 1e-9:
            robot.stream.push(due.pop(0)[1], robot.now)
        robot.tick()
    return np.array(robot.path)[:, :3]


def least_time(distance, limits):
    """Of a move that starts and ends at rest [s], when acceleration takes time to build up."""
    speed, acceleration = limits.linear_speed, limits.linear_acceleration
    building = acceleration / limits.linear_jerk
    if distance < speed**2 / acceleration:
        return 2.0 * np.sqrt(distance / acceleration) + building
    return distance / speed + speed / acceleration + building


def arrival(path, goal):
    """When it came within 2 mm for good [s]."""
    away = np.flatnonzero(np.linalg.norm(path - goal, axis=1) > 0.002)
    return (away.max() + 1) * TICK


@examples(25)
@given(
    distance=st.floats(0.02, 0.25),
    direction=st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda d: np.linalg.norm(d) > 0.1),
    latency=st.floats(0.02, 0.2),
    eagerness=st.floats(0.3, 1.0),
    phase=st.floats(0.001, 0.018),
)
def test_with_the_limits_of_a_franka_no_goal_is_overshot(
    distance, direction, latency, eagerness, phase
):
    along = np.array(direction) / np.linalg.norm(direction)
    robot = Robot(config_of(FRANKA), phase=phase)
    path = seek(robot, distance * along, latency, eagerness=eagerness)
    assert (path @ along).max() <= distance + 0.001
    assert np.linalg.norm(path[-1] - distance * along) < 0.001


@pytest.mark.parametrize("latency", [0.04, 0.08])
@pytest.mark.parametrize("distance", [0.1, 0.2])
@pytest.mark.parametrize("limits", [FRANKA, SIMULATOR])
def test_a_goal_is_reached_in_hardly_more_than_the_least_time(distance, latency, limits):
    goal = np.array([distance, 0.0, 0.0])
    path = seek(Robot(config_of(limits), limits), goal, latency)
    assert arrival(path, goal) <= latency + least_time(distance, limits) + 0.12


def test_limits_other_than_the_guards_overshoot():
    """The reason why there is one set."""
    goal = np.array([0.1, 0.0, 0.0])
    path = seek(Robot(StreamConfig(period=TICK)), goal, 0.04)
    assert path[:, 0].max() > 0.101


def straight(stamp, speed, steps=40):
    rows = np.zeros((steps, 7))
    rows[:, 0] = speed * STEP
    return ActionChunk(stamp, STEP, rows, 1, MAGMA)


def half_between(begin, end):
    return lambda now: 0.5 if begin <= now < end else 1.0


def drive(scale=lambda now: 1.0):
    robot = Robot(config_of(FRANKA), scale=scale)
    robot.stream.push(straight(0.0, 0.1), 0.0)
    robot.run(3.5)
    return robot


def test_what_the_guard_scales_down_is_not_lost():
    """Of 30 mm withheld, what is not made good is less than a longer lag would explain."""
    robot = drive(half_between(1.0, 1.6))
    assert robot.position[0] == pytest.approx(drive().position[0], abs=0.006)


def test_what_the_guard_holds_back_is_made_good_without_exceeding_the_limits():
    robot = drive(lambda now: float(not 1.0 <= now < 1.3))
    assert robot.position[0] == pytest.approx(drive().position[0], abs=0.003)
    speeds = np.diff(np.array(robot.path)[:, 0]) / TICK
    assert speeds.max() <= FRANKA.linear_speed + 1e-9


def test_what_was_made_good_is_not_made_good_again_by_the_next_plan():
    """The next observation shows the arm where it is; what was withheld before it is history."""
    robot = Robot(config_of(FRANKA), scale=half_between(0.6, 1.2))
    path = seek(robot, np.array([0.15, 0.0, 0.0]), 0.08)
    assert path[:, 0].max() <= 0.151
    assert path[-1, 0] == pytest.approx(0.15, abs=0.001)


def test_the_lag_of_guard_and_ramp_is_no_loss():
    robot = Robot(config_of(FRANKA))
    robot.stream.push(straight(0.0, 0.15, steps=10), 0.0)
    robot.run(2.0)
    commanded = robot.stream._progress.travelled
    np.testing.assert_allclose(commanded, robot.position, atol=2e-3)
    assert 0.01 < robot.stream._feedback.lag < 0.06


def test_nothing_heard_and_nonsense_heard_change_nothing():
    deaf, confused = ChunkStream(), ChunkStream()
    for stream in (deaf, confused):
        stream.push(straight(0.0, 0.1), 0.0)
    for turn in range(50):
        confused.note_sent(np.full(6, np.nan), turn * TICK)
        twists = [stream.sample(turn * TICK).twist for stream in (deaf, confused)]
        np.testing.assert_array_equal(*twists)


def test_after_a_silence_of_the_guard_it_is_heard_anew():
    robot = Robot(config_of(FRANKA))
    robot.stream.push(straight(0.0, 0.1), 0.0)
    robot.run(0.5)
    before = robot.stream._progress.travelled.copy()
    robot.stream.note_sent(np.zeros(6), robot.now + 5.0)
    moved = robot.stream._progress.travelled[0] - before[0]
    assert moved == pytest.approx(5.0 * 0.1, rel=0.1), "held, not lost: nobody said otherwise"
