# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits, kinematics and the ramp of joints, each on its own."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import GuardConfigError, JointLimits, JointMotion
from magma_ros.guard.jog import joint_speeds
from magma_ros.guard.joint_ramp import JointRamp
from magma_ros.guard.kinematics import UrdfKinematics
from magma_ros.guard.validate import joint_malformation
from magma_ros.share import share_file
from magma_ros.types import JointCommand, Source

JOINTS = robot_config("sim_joints").joints
LIMITS = JOINTS.limits
URDF = share_file("sim", "robots", "nano_arm.urdf").read_text(encoding="utf-8")
GIVEN = {"acceleration": LIMITS.acceleration, "jerk": LIMITS.jerk}


def limits(**changed):
    return JointLimits.tightened(LIMITS.names, JOINTS.kinematics, **(GIVEN | changed))


def test_limits_are_those_of_the_description_where_the_file_gives_none():
    assert limits().upper.tolist() == [2.8, 2.2, 2.8, 2.8, 2.9]
    assert limits().velocity.tolist() == [3.0, 3.0, 3.0, 4.0, 6.0]


def test_the_file_may_tighten_limits():
    assert limits(velocity=[1.0] * 5).velocity.tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"upper": [2.8, 2.2, 2.9, 2.8, 2.9]}, "joints.upper of elbow is 2.9, but the robot"),
        ({"velocity": [3.0, 3.0, 3.0, 4.0, 7.0]}, "joints.velocity of wrist_roll is 7, but"),
        ({"lower": [-2.8, 2.3, 0.1, -1.6, -2.9]}, "limits of joint shoulder_lift are empty"),
        ({"jerk": [1.0] * 4}, "joints.jerk must have 5 numbers"),
        ({"jerk": []}, "joints.jerk is missing"),
        ({"acceleration": [1, 1, 0, 1, 1]}, "acceleration of elbow must be a positive number"),
        ({"acceleration": [1, 1, math.nan, 1, 1]}, "acceleration of elbow must be a positive"),
    ],
)
def test_limits_that_make_no_sense_are_named_in_one_sentence(changed, sentence):
    with pytest.raises(GuardConfigError, match=sentence):
        limits(**changed)


@pytest.mark.parametrize("names", [(), ("elbow", "elbow"), ("",)])
def test_joints_are_named_once_each(names):
    one = np.ones(len(names))
    with pytest.raises(GuardConfigError, match=r"joints\.names"):
        JointLimits(names, -one, one, one, one, one)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((*LIMITS.names, "wrist_yaw"), "holds wrist_yaw, which the robot description has not"),
        (LIMITS.names[:-1], "lacks wrist_roll, which move tcp as well"),
    ],
)
def test_joints_must_be_those_of_the_description(names, sentence):
    with pytest.raises(GuardConfigError, match=sentence):
        UrdfKinematics(URDF, names, "base_link", "tcp")


def test_a_description_that_cannot_be_used_is_refused_in_a_sentence():
    with pytest.raises(GuardConfigError, match="not a well-formed URDF"):
        UrdfKinematics("<robot><link", LIMITS.names, "base_link", "tcp")
    with pytest.raises(GuardConfigError, match="has no link tool9"):
        UrdfKinematics(URDF, LIMITS.names, "base_link", "tool9")


def test_without_pinocchio_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(GuardConfigError, match=r"pip install 'magma_ros\[kinematics\]'"):
        UrdfKinematics(URDF, LIMITS.names, "base_link", "tcp")


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 2, 0, 1, 3)])
def test_the_jacobian_is_the_derivative_of_the_pose_in_any_order_of_joints(order):
    kinematics = UrdfKinematics(URDF, [LIMITS.names[i] for i in order], "base_link", "tcp")
    at = np.array([0.3, 0.4, 1.7, 0.9, 0.2])[list(order)]
    for joint in range(5):
        step = 1e-6 * np.eye(5)[joint]
        moved = (kinematics.pose(at + step)[0] - kinematics.pose(at - step)[0]) / 2e-6
        assert np.allclose(kinematics.jacobian(at)[:3, joint], moved, atol=1e-6)


def test_a_joint_that_neither_turns_nor_slides_alone_cannot_be_commanded():
    planar = URDF.replace('"shoulder_pan" type="revolute"', '"shoulder_pan" type="planar"')
    with pytest.raises(GuardConfigError, match="holds shoulder_pan, which moves in 3 ways at once"):
        UrdfKinematics(planar, LIMITS.names, "base_link", "tcp")


def endless(index=0):
    lower, upper = LIMITS.lower.copy(), LIMITS.upper.copy()
    lower[index], upper[index] = -math.inf, math.inf
    return replace(LIMITS, lower=lower, upper=upper)


@pytest.mark.parametrize("far", [1e5, -1e12, 1e300])
def test_a_target_of_a_joint_without_limits_is_refused_where_no_joint_gets(far):
    command = JointCommand(
        0.0, LIMITS.names, np.array([far, 0, 1, 0, 0]), np.zeros(5), Source.POLICY
    )
    assert "of shoulder_pan, which may go from -10000 to 10000" in joint_malformation(
        command, endless()
    )
    near = replace(command, positions=np.array([500.0, 0, 1, 0, 0]))
    assert joint_malformation(near, endless()) is None


@pytest.mark.parametrize("far", [1e9, -1e12, 1e100])
def test_a_way_that_cannot_be_planned_halts_the_joints_within_their_limits(far):
    limits, motion = endless(), JointMotion(np.array([0.0, 0.4, 1.7, 0.7, 0.0]))
    ramp = JointRamp(limits)
    for target in (motion.position + 1.0, np.array([far, 0.4, 1.7, 0.7, 0.0])):
        for _ in range(20):
            following = ramp.towards(motion, target, np.zeros(5), 0.02)
            within(following, motion, 0.02, limits)
            motion = following
    assert motion.at_rest


def test_a_joint_without_end_has_no_limits_and_turns():
    kinematics = UrdfKinematics(
        URDF.replace('"shoulder_pan" type="revolute"', '"shoulder_pan" type="continuous"'),
        LIMITS.names,
        "base_link",
        "tcp",
    )
    assert kinematics.upper[0] == math.inf
    at = np.array([0.3, 0.4, 1.7, 0.9, 0.2])
    here, round_once = kinematics.pose(at), kinematics.pose(at + 2 * np.pi * np.eye(5)[0])
    assert np.allclose(here[0], JOINTS.kinematics.pose(at)[0])
    assert np.allclose(here[0], round_once[0])


def test_a_twist_is_followed_exactly_where_the_joints_can():
    jacobian = JOINTS.kinematics.jacobian(np.array([0.0, 0.4, 2.0, 0.74, 0.0]))
    twist = np.array([0.1, -0.1, 0.05, 0.0, 0.0, 0.3])
    speeds, missed = joint_speeds(jacobian, twist, 0.1)
    assert missed < 1e-3
    assert np.allclose(jacobian @ speeds, twist, atol=1e-3)


def test_speeds_stay_finite_where_the_arm_is_stretched():
    jacobian = JOINTS.kinematics.jacobian(np.array([0.0, 0.1, 0.1, 0.0, 0.0]))
    speeds, _ = joint_speeds(jacobian, np.array([0.0, 0.0, 0.3, 0.0, 0.0, 0.0]), 0.1)
    assert np.abs(speeds).max() < 15.0


positions = st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5)
shares = st.lists(st.floats(-1.0, 1.0), min_size=5, max_size=5)


def within(motion, before, elapsed, bounds):
    assert (np.abs(motion.velocity) <= bounds.velocity * (1 + 1e-6)).all()
    assert (np.abs(motion.acceleration) <= bounds.acceleration * (1 + 1e-6)).all()
    change = np.abs(motion.velocity - before.velocity)
    assert (change <= bounds.acceleration * elapsed * (1 + 1e-6) + 1e-6).all()
    jerk = np.abs(motion.acceleration - before.acceleration)
    assert (jerk <= bounds.jerk * elapsed * (1 + 1e-6) + 1e-4).all()


@examples(150)
@given(
    st.lists(
        st.tuples(st.sampled_from(["towards", "shift", "halt"]), positions, shares),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.floats(0.001, 0.04), min_size=1, max_size=5),
)
def test_no_order_of_aims_leads_beyond_velocity_acceleration_or_jerk(script, waits):
    ramp, turn = JointRamp(LIMITS), 0
    motion = JointMotion(0.5 * (LIMITS.lower + LIMITS.upper))
    for kind, at, fast in script:
        for _ in range(8):
            elapsed, turn = waits[turn % len(waits)], turn + 1
            target = LIMITS.lower + np.array(at) * (LIMITS.upper - LIMITS.lower)
            velocity = np.array(fast) * LIMITS.velocity
            before = motion
            if kind == "towards":
                motion = ramp.towards(motion, target, velocity, elapsed)
            elif kind == "shift":
                motion = ramp.shift(motion, velocity, elapsed)
            else:
                motion = ramp.halt(motion, elapsed)
            within(motion, before, elapsed, LIMITS)


@examples(100)
@given(positions, shares, shares)
def test_a_stop_reaches_as_far_as_its_simulation(at, fast, faster):
    """The path that is checked is the path that a halt takes, turning points included."""
    limits = replace(LIMITS, lower=LIMITS.lower - 9.0, upper=LIMITS.upper + 9.0)
    ramp = JointRamp(limits)
    begin = JointMotion(
        np.array(at), 0.5 * np.array(fast) * limits.velocity, np.array(faster) * limits.acceleration
    )
    motion, seen = begin, [begin.position]
    while not motion.at_rest:
        motion = ramp.halt(motion, 0.002)
        seen.append(motion.position)
    path = ramp.stopping(begin, begin.position, 4)
    assert np.allclose(path[-1], motion.position, atol=1e-6)
    lowest, highest = np.min(seen, axis=0), np.max(seen, axis=0)
    just = JointRamp(replace(limits, lower=lowest - 1e-4, upper=highest + 1e-4))
    assert just.stopping(begin, begin.position, 4) is not None
    for joint in range(5):
        if highest[joint] - begin.position[joint] > 2e-3:
            upper = highest + 1e-4
            upper[joint] -= 1e-3
            tight = JointRamp(replace(limits, lower=lowest - 1e-4, upper=upper))
            assert tight.stopping(begin, begin.position, 4) is None


def test_a_motion_on_a_line_stays_on_it_however_it_is_slowed():
    ramp, motion = JointRamp(LIMITS), JointMotion(np.zeros(5) + 0.5)
    target = motion.position + np.array([0.5, -0.3, 0.2, 0.1, 1.0])
    way = target - motion.position
    for step in range(300):
        following = ramp.towards(motion, target, np.zeros(5), 0.02)
        if 5 < step < 20:
            following = ramp.shift(motion, 0.3 * following.velocity, 0.02)
        motion = following
        along = (motion.position - target) @ way / (way @ way)
        assert np.abs(motion.position - target - along * way).max() < 1e-6
    assert motion.at_rest
    assert np.allclose(motion.position, target)
