# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small pieces of the guard, each alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from properties import examples

from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import (
    GuardConfig,
    GuardConfigError,
    GuardedPoint,
    Limits,
    MismatchConfig,
    Proximity,
    TiltCone,
    Workspace,
)
from magma_ros.guard.limits import Motion, Ramp
from magma_ros.guard.validate import Timing, malformation, untimeliness
from magma_ros.types import Source, TwistCommand

CONFIG = robot_config("sim")
LIMITS = CONFIG.limits
TIMING = Timing(max_age=0.1, future_tolerance=0.05)
BOX = Workspace(lower=(-1.0, -1.0, 0.0), upper=(1.0, 1.0, 1.0))


def command(twist=(0.0,) * 6, *, stamp=1.0, frame="base_link", source=Source.POLICY):
    return TwistCommand(stamp, frame, np.asarray(twist, dtype=float), source)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (command([math.nan] + [0] * 5), "must be finite"),
        (command([0, 0, math.inf, 0, 0, 0]), "must be finite"),
        (command([0.0] * 7), "its shape is (7,)"),
        (command([[0.0] * 6]), "its shape is (1, 6)"),
        (command([0, -1e6, 0, 0, 0, 0]), "asks for 1e+06 m/s"),
        (command([0, 0, 0, 0, 0, 1e6]), "asks for 1e+06 rad/s"),
        (command(frame="camera"), "in frame 'base_link', but it is in 'camera'"),
        (command(stamp=math.nan), "finite stamp"),
        (command(source=Source.GUARD), "only the policy and a person"),
    ],
)
def test_malformed_twist_is_named_in_one_sentence(bad, says):
    sentence = malformation(bad, "base_link", LIMITS)
    assert sentence is not None
    assert says in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("age", "overtaken", "says"),
    [
        (0.2, False, "is stale: it was stamped 0.200 s ago"),
        (math.nan, False, "is stale"),
        (-0.2, False, "in the future"),
        (0.05, True, "overtaken"),
    ],
)
def test_untimely_twist_is_named_in_one_sentence(age, overtaken, says):
    assert says in untimeliness(Source.POLICY, age, TIMING, overtaken=overtaken)


def test_good_twist_passes():
    assert malformation(command(), "base_link", LIMITS) is None
    assert not untimeliness(Source.POLICY, 0.05, TIMING, overtaken=False)


def test_speed_scale_keeps_direction_and_both_limits():
    twist = np.array([0.7, 0, 0, 0, 14.0, 0])
    assert LIMITS.speed_scale(twist) == pytest.approx(0.25)
    assert LIMITS.speed_scale(np.zeros(6)) == 1.0
    assert LIMITS.speed_scale(np.full(6, 1e200)) < 1e-9


velocities = arrays(np.float64, 6, elements=st.floats(-1.0, 1.0))


@examples(30)
@given(velocities, st.floats(0.001, 0.04))
def test_halt_is_straight_and_brakes_at_the_limit(direction, elapsed):
    motion, ramp = Motion(direction * np.array([0.35] * 3 + [3.5] * 3)), Ramp(LIMITS)
    for _ in range(200):
        after = ramp.halt(motion, elapsed)
        shrunk = np.linalg.norm(motion.twist) or 1.0
        share = np.linalg.norm(after.twist) / shrunk
        np.testing.assert_allclose(after.twist, share * motion.twist, atol=1e-9)
        change = motion.twist - after.twist
        assert np.linalg.norm(change[:3]) <= LIMITS.linear_braking * elapsed + 1e-9
        assert np.linalg.norm(change[3:]) <= LIMITS.angular_braking * elapsed + 1e-9
        motion = after
    assert not motion.twist.any()


@examples(30)
@given(st.lists(st.tuples(velocities, st.floats(0.001, 0.04)), min_size=1, max_size=20))
def test_ramp_keeps_acceleration_and_jerk_per_axis(targets):
    motion, ramp = Motion(), Ramp(LIMITS)
    per_axis = np.array([LIMITS.linear_acceleration] * 3 + [LIMITS.angular_acceleration] * 3)
    jerk = np.array([LIMITS.linear_jerk] * 3 + [LIMITS.angular_jerk] * 3)
    for direction, elapsed in targets:
        target = direction * np.array([0.15] * 3 + [1.5] * 3)  # clear of the speed limit
        after = ramp.towards(motion, target, elapsed)
        assert (np.abs(after.twist - motion.twist) <= per_axis * elapsed * (1 + 1e-6) + 1e-9).all()
        assert (np.abs(after.acceleration) <= per_axis * (1 + 1e-6)).all()
        risen = np.abs(after.acceleration - motion.acceleration)
        assert (risen <= jerk * elapsed * (1 + 1e-6) + 1e-6).all()
        motion = after


@pytest.mark.parametrize("elapsed", [0.005, 0.02, 0.03])
@pytest.mark.parametrize("before", range(1, 12))
def test_speed_limit_holds_while_axes_trade_speed(before, elapsed):
    ramp, motion = Ramp(LIMITS), Motion()
    diagonal = np.array([0, -1, -1, 0, -10, -10]) * 0.35 / np.sqrt(2)
    for target in [diagonal] * before + [np.array([0, 0, -0.35, 0, 0, -3.5])] * 20:
        motion = ramp.towards(motion, target, elapsed)
        assert np.linalg.norm(motion.twist[:3]) <= LIMITS.linear_speed * (1 + 1e-9)
        assert np.linalg.norm(motion.twist[3:]) <= LIMITS.angular_speed * (1 + 1e-9)


def test_ramp_from_rest_keeps_the_commanded_direction():
    ramp, motion = Ramp(LIMITS), Motion()
    target = np.array([0.3, -0.1, 0.05, 0.5, 0, -1.0])
    for _ in range(30):
        motion = ramp.towards(motion, target, 0.02)
        for part in (slice(0, 3), slice(3, 6)):
            length = np.linalg.norm(motion.twist[part]) * np.linalg.norm(target[part])
            assert motion.twist[part] @ target[part] >= 0.999 * length
    np.testing.assert_array_equal(motion.twist, target)


def test_target_that_cannot_be_planned_for_halts():
    motion = Ramp(LIMITS).towards(Motion(np.full(6, 0.1)), np.full(6, 1e300), 0.01)
    assert (np.abs(motion.twist) < 0.1).all()


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: replace(LIMITS, linear_speed=0.0), "linear_speed must be a positive number"),
        (lambda: replace(LIMITS, angular_jerk=math.inf), "angular_jerk must be a positive number"),
        (
            lambda: replace(LIMITS, gripper_speed=math.nan),
            "gripper_speed must be a positive number",
        ),
        (lambda: replace(LIMITS, linear_braking=1.0), r"linear_braking \(1.0\) must not be below"),
        (lambda: Workspace((0, 0), (1, 1)), "lower corner must be three finite numbers"),
        (lambda: Workspace((0, 0, 2), (1, 1, 1)), "must lie below its upper"),
        (lambda: Proximity(stop_distance=0.2), r"stop_distance \(0.2 m\) must not be negative"),
        (lambda: Proximity(direction=(0.0, 0.0, 0.0)), "direction must have a length"),
        (lambda: Proximity(direction=(1.0,)), "direction must be three finite numbers"),
        (lambda: GuardedPoint((0.0, math.nan, 0.0), BOX), "offset must be three finite numbers"),
        (lambda: TiltCone((0, 0, -1), (0, 0, 0), 0.5), "axis must have a length"),
        (lambda: TiltCone((0, 0, -1), (0, 0, 1), 4.0), "angle must be at most pi"),
        (lambda: MismatchConfig(tolerance=-1.0), "tolerance must be a positive number"),
        (lambda: replace(CONFIG, policy_timeout=-1.0), "policy_timeout must be a positive number"),
        (lambda: replace(CONFIG, response_time=-1.0), "response_time must not be negative"),
        (lambda: replace(CONFIG, base_frame=""), "base_frame must name a frame"),
        (lambda: replace(CONFIG, state_timeout=0.0), "state_timeout must be a positive number"),
    ],
)
def test_setting_that_makes_no_sense_is_refused(build, says):
    with pytest.raises(GuardConfigError, match=says):
        build()


def test_what_describes_a_robot_has_no_default():
    with pytest.raises(TypeError, match=r"base_frame.*limits.*workspace"):
        GuardConfig()
    with pytest.raises(TypeError, match="linear_speed"):
        Limits()
