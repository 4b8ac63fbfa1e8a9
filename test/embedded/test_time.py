# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times, durations, clocks and timers count as rclpy's do."""

import pytest
from builtin_interfaces.msg import Duration as DurationMessage
from builtin_interfaces.msg import Time as TimeMessage
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.duration import Duration
from rclpy.time import Time
from rclpy.timer import Timer

SECOND = 10**9


def test_times_and_durations_survive_their_messages():
    time = Time(seconds=5, nanoseconds=250, clock_type=ClockType.ROS_TIME)
    assert time.to_msg() == TimeMessage(sec=5, nanosec=250)
    assert Time.from_msg(time.to_msg()) == time
    duration = Duration(seconds=-1, nanoseconds=1)
    assert duration.to_msg() == DurationMessage(sec=-1, nanosec=1)
    assert Duration.from_msg(duration.to_msg()) == duration


def test_times_differ_by_durations():
    start = Time(seconds=2)
    assert start + Duration(seconds=1) == Time(seconds=3)
    assert Time(seconds=3) - start == Duration(seconds=1)
    assert Time(seconds=3) - Duration(seconds=1) == start
    assert start < Time(seconds=3)
    assert max(Duration(seconds=1), Duration(seconds=2)).nanoseconds == 2 * SECOND
    with pytest.raises(ValueError, match="negative"):
        start - Duration(seconds=3)


def test_times_of_different_clocks_do_not_mix():
    with pytest.raises(TypeError, match="ROS_TIME and STEADY_TIME"):
        assert Time(clock_type=ClockType.ROS_TIME) < Time(clock_type=ClockType.STEADY_TIME)
    with pytest.raises(TypeError, match="different clocks"):
        Time(clock_type=ClockType.ROS_TIME) - Time(clock_type=ClockType.STEADY_TIME)


def test_each_kind_of_clock_shows_its_own_time():
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    assert steady.now().clock_type is ClockType.STEADY_TIME
    assert steady.now() <= steady.now()
    assert isinstance(Clock(clock_type=ClockType.ROS_TIME), ROSClock)
    system = Clock().now()
    assert abs(system.nanoseconds - ROSClock().now().nanoseconds) < 60 * SECOND


@pytest.fixture
def clock():
    clock = ROSClock()
    clock.simulate(0)
    return clock


@pytest.fixture
def timer(clock):
    timer = Timer(lambda: calls.append(clock.nanoseconds()), None, SECOND, clock, lambda: None)
    timer.calls = calls = []
    return timer


def advance(timer, clock, seconds):
    clock.simulate(int(seconds * SECOND))
    if timer.is_ready():
        timer.call()


def test_a_timer_calls_once_a_period(timer, clock):
    for tenth in range(35):
        advance(timer, clock, tenth / 10)
    assert timer.calls == [1 * SECOND, 2 * SECOND, 3 * SECOND]


def test_missed_periods_are_skipped_and_the_beat_is_kept(timer, clock):
    for at in (4.5, 4.9, 5.0, 5.1):
        advance(timer, clock, at)
    assert timer.calls == [4.5 * SECOND, 5.0 * SECOND]


def test_a_clock_set_back_does_not_silence_a_timer(timer, clock):
    for at in (100.0, 0.5, 1.0, 1.5):
        advance(timer, clock, at)
    assert timer.calls == [100 * SECOND, 1.5 * SECOND]


def test_a_cancelled_timer_waits_for_its_reset(timer, clock):
    timer.cancel()
    assert timer.time_until_next_call() is None
    advance(timer, clock, 2.0)
    timer.reset()
    advance(timer, clock, 2.5)
    assert timer.calls == []
    advance(timer, clock, 3.0)
    assert timer.calls == [3 * SECOND]
