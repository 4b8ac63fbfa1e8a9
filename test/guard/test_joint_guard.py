# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that is commanded joint by joint is guarded like any other."""

from itertools import pairwise

import numpy as np
import pytest

from magma_ros.guard import Clearance, CommandInterface, Workspace
from magma_ros.types import JointCommand, Mode, Source, StopReason, TwistCommand

NEAR = np.array([0.1, 0.05, -0.1, 0.05, 0.3])
"""A way from home that stays in the box [rad]."""

PAN = np.eye(5)[0]
"""A turn of the first joint [rad]."""


def test_targets_are_reached_along_a_straight_line_of_joint_space(make_joint_cell):
    cell = make_joint_cell()
    home = cell.position
    for out in cell.run(1.5, target=home + NEAR):
        along = (out.joints.position - home) @ NEAR / (NEAR @ NEAR)
        assert np.abs(out.joints.position - home - along * NEAR).max() < 1e-6
    assert np.allclose(cell.position, home + NEAR, atol=1e-6)
    assert not cell.out.twist.any()


def test_names_and_not_places_say_which_joint_is_meant(make_joint_cell):
    cell = make_joint_cell()
    home, order = cell.position, [3, 1, 4, 0, 2]
    target = home + NEAR
    for _ in range(75):
        assert cell.send(target[order], names=[cell.names[i] for i in order]).accepted
        cell.run(0.02)
    assert np.allclose(cell.position, target, atol=1e-6)


def test_a_target_with_a_velocity_is_followed_without_lagging_behind(make_joint_cell):
    cell, speed = make_joint_cell(), np.array([0.2, 0.0, 0.0, 0.0, 0.4])
    target = cell.position
    for _ in range(60):
        target = target + 0.02 * speed
        cell.run(0.02, target=target, velocity=speed)
    assert np.abs(cell.position - target).max() < 0.01
    assert np.allclose(cell.velocity, speed, atol=0.02)


BAD = {
    "nan": {"target": [np.nan, 0, 0, 0, 0]},
    "infinite velocity": {"target": np.zeros(5), "velocity": [np.inf, 0, 0, 0, 0]},
    "too few": {"target": np.zeros(4)},
    "velocities of some": {"target": np.zeros(5), "velocity": np.zeros(2)},
    "no names": {"target": np.zeros(5), "names": ()},
    "unknown joint": {"target": np.zeros(5), "names": ("a", "b", "c", "d", "e")},
    "missing joint": {"target": np.zeros(4), "names": ("elbow", "wrist_roll", "wrist_pitch", "x")},
    "twice": {"target": np.zeros(5), "names": ("elbow",) * 5},
    "degrees": {"target": [0.0, 23.0, 115.0, 42.0, 0.0]},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_malformed_target_of_the_driver_halts_the_arm(make_joint_cell, bad):
    cell = make_joint_cell()
    cell.run(0.2, target=cell.position + NEAR)
    answer = cell.send(**bad)
    assert not answer.accepted
    assert answer.sentence.startswith("the policy joint command")
    cell.run(0.4)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.INVALID_COMMAND)
    assert cell.out.joints.at_rest


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_malformed_target_never_lets_the_policy_begin(make_joint_cell, bad):
    cell = make_joint_cell(driver=None)
    cell.run(0.1)
    wrong = cell.send(**bad).sentence
    answer = cell.guard.hand_back(cell.now)
    assert answer == (False, f"The policy's commands are refused: {wrong}.")


def test_a_stale_or_overtaken_target_is_not_followed(make_joint_cell):
    cell = make_joint_cell()
    assert "stale" in cell.send(cell.position + NEAR, age=0.2).sentence
    cell.run(0.02, target=cell.position)
    assert "overtaken" in cell.send(cell.position + NEAR, age=0.05).sentence


def test_silence_of_targets_is_named_latched_and_ends_at_rest(make_joint_cell):
    cell = make_joint_cell()
    cell.run(0.3, target=cell.position + 3 * NEAR)
    assert cell.velocity.any()
    cell.run(0.4)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.POLICY_SILENT)
    assert cell.out.joints.at_rest
    cell.run(0.5, target=cell.position + NEAR)
    assert cell.out.mode is Mode.HOLD
    assert cell.out.joints.at_rest


@pytest.mark.parametrize("end", ["stop", "hold", "silence", "state", "e_stop"])
def test_every_stop_keeps_acceleration_and_jerk_of_each_joint(make_joint_cell, end):
    cell = make_joint_cell()
    outputs = cell.run(0.3, target=cell.position + 3 * NEAR)
    if end in ("stop", "hold"):
        getattr(cell.guard, end)(cell.now)
    elif end == "e_stop":
        cell.guard.report_e_stop(cell.now, pressed=True)
    elif end == "state":
        cell.reports = False
    target = None if end == "silence" else cell.position + 3 * NEAR
    outputs += cell.run(0.6, target=target)
    assert cell.out.mode in (Mode.HOLD, Mode.STOPPED)
    assert cell.out.joints.at_rest
    for before, after in pairwise(outputs):
        change = np.abs(after.joints.velocity - before.joints.velocity)
        assert (change <= 0.02 * cell.limits.acceleration + 1e-6).all()
        jerk = np.abs(after.joints.acceleration - before.joints.acceleration)
        assert (jerk <= 0.02 * cell.limits.jerk + 1e-6).all()


def test_nothing_is_sent_before_a_person_gives_leave(make_joint_cell):
    cell = make_joint_cell(driver=None)
    outputs = cell.run(1.0, target=cell.position + NEAR)
    assert not any(out.publish for out in outputs)
    assert cell.guard.hand_back(cell.now).accepted
    assert cell.run(0.02, target=cell.position + NEAR)[0].publish


def test_an_arm_that_others_moved_in_the_meantime_is_not_pulled_back(make_joint_cell):
    cell = make_joint_cell()
    cell.run(0.2, target=cell.position)
    cell.guard.hold(cell.now)
    cell.run(1.5, target=cell.position)
    assert not cell.out.publish
    cell.position = cell.position + NEAR
    cell.run(0.1, target=cell.position)
    assert cell.guard.hand_back(cell.now).accepted
    out = cell.run(0.02, target=cell.position)[0]
    assert np.allclose(out.joints.position, cell.position, atol=1e-9)


def test_a_joint_that_does_not_report_is_named(make_joint_cell):
    cell = make_joint_cell()
    cell.reports = False
    for _ in range(20):
        cell.guard.report_joints(cell.names[:4], cell.position[:4], cell.now, cell.now)
        cell.run(0.02, target=cell.position)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STATE_SILENT)
    answer = cell.guard.hand_back(cell.now)
    assert "no fresh position of wrist_roll in joint_states" in answer.sentence


def test_arms_may_report_in_several_messages_of_any_order(make_joint_cell):
    cell = make_joint_cell()
    cell.reports = False
    for _ in range(30):
        for part in ([4, 0], [2, 1, 3]):
            names = [cell.names[i] for i in part]
            cell.guard.report_joints(names, cell.position[part], cell.now, cell.now)
        cell.run(0.02, target=cell.position)
    assert cell.out.mode is Mode.AUTO


def test_a_measured_position_that_is_no_number_is_refused(make_joint_cell):
    cell = make_joint_cell()
    answer = cell.guard.report_joints(["elbow"], [np.nan], cell.now + 0.001, cell.now)
    assert answer == (False, "joint_states holds no finite position of elbow")


@pytest.mark.parametrize(
    "interface", [CommandInterface.FORWARD_POSITION, CommandInterface.FORWARD_VELOCITY]
)
def test_a_joint_that_does_not_go_where_it_is_sent_ends_the_drive(make_joint_cell, interface):
    cell = make_joint_cell(joints={"interface": interface})
    stuck = cell.position.copy()
    for _ in range(100):
        cell.position = stuck.copy()
        cell.run(0.02, target=stuck + 0.9 * PAN)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.POSITION_MISMATCH)
    assert "shoulder_pan" in cell.out.detail


def test_velocities_lead_to_the_target_though_the_arm_slips(make_joint_cell):
    cell = make_joint_cell(joints={"interface": CommandInterface.FORWARD_VELOCITY})
    target = cell.position + NEAR
    for _ in range(100):
        cell.run(0.02, target=target)
        cell.velocity = 0.95 * cell.velocity
    assert np.allclose(cell.position, target, atol=1e-3)


def test_targets_beyond_a_limit_are_held_at_it(make_joint_cell):
    cell = make_joint_cell(workspace=Workspace((-2, -2, -2), (2, 2, 2)))
    target = cell.position.copy()
    target[4] = cell.limits.upper[4] + 0.5
    cell.run(3.0, target=target)
    assert cell.position[4] == pytest.approx(cell.limits.upper[4], abs=1e-6)
    assert cell.position[4] <= cell.limits.upper[4]
    assert "held at the limit of wrist_roll" in cell.out.detail


def test_the_tool_stays_in_its_box_and_below_its_speed(make_joint_cell):
    cell = make_joint_cell()
    box, limits = cell.config.workspace, cell.config.limits
    generator = np.random.default_rng(3)
    bounds = cell.limits
    for _ in range(40):
        target = generator.uniform(bounds.lower, bounds.upper)
        for out in cell.run(0.5, target=target):
            tool = cell.kinematics.pose(out.joints.position)[0]
            assert box.gaps(tool).min() > -1e-4
            # Joints that turn round may carry it beyond for a moment: they keep their own limits.
            assert np.linalg.norm(out.twist[:3]) < 1.4 * limits.linear_speed


def test_an_obstacle_slows_the_joints_along_their_way(make_joint_cell):
    """Nearer than the stop distance they rest, and the way is the same straight line."""
    cell = make_joint_cell()
    home, way = cell.position, np.array([0.5, 0.0, 0.0, 0.0, 0.0])
    plane = cell.tool[1] + 0.12
    for _ in range(150):
        clearance = Clearance(cell.now, plane - cell.tool[1], direction=np.array([0.0, 1.0, 0.0]))
        cell.guard.report_clearance(clearance, cell.now)
        cell.run(0.02, target=home + way)
        assert np.abs((cell.position - home)[1:]).max() < 1e-6
    assert 0.02 < plane - cell.tool[1] < 0.05
    assert "slowed because an obstacle" in cell.out.detail
    for _ in range(50):  # away from it the arm moves freely
        clearance = Clearance(cell.now, plane - cell.tool[1], direction=np.array([0.0, 1.0, 0.0]))
        cell.guard.report_clearance(clearance, cell.now)
        cell.run(0.02, target=home)
    assert np.allclose(cell.position, home, atol=1e-3)


def test_obstacles_slow_a_robot_without_description_whichever_way_it_goes(make_joint_cell):
    cell = make_joint_cell(joints={"kinematics": None})
    fast = []
    for distance in (1.0, 0.06, 0.01):
        for _ in range(40):
            cell.guard.report_clearance(Clearance(cell.now, distance), cell.now)
            cell.run(0.02, target=cell.position + PAN)
        fast.append(np.abs(cell.velocity).max())
    assert fast[0] > 1.0
    assert 0.1 < fast[1] < 0.5 * fast[0]
    assert fast[2] == 0.0


def test_silent_clearance_holds_the_policy(make_joint_cell):
    cell = make_joint_cell()
    cell.guard.report_clearance(Clearance(cell.now, 1.0), cell.now)
    cell.run(1.0, target=cell.position)
    assert cell.out.reason is StopReason.CLEARANCE_SILENT


def test_a_person_moves_the_tool_by_twists_within_the_same_limits(make_joint_cell):
    cell = make_joint_cell(driver=Source.TELEOP)
    begin = cell.tool
    outputs = cell.run(1.0, twist=np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0]))
    assert np.allclose(cell.tool - begin, [0.0, 0.1, 0.0], atol=0.01)
    for out in outputs:
        assert (np.abs(out.joints.velocity) <= cell.limits.velocity * (1 + 1e-9)).all()
    cell.run(5.0, twist=np.array([0.0, 0.3, 0.0, 0.0, 0.0, 0.0]))
    assert cell.tool[1] <= cell.config.workspace.upper[1] + 1e-5
    assert "slowed" in cell.out.detail or "held" in cell.out.detail


def test_a_way_that_the_joints_cannot_give_is_not_taken(make_joint_cell):
    cell = make_joint_cell(driver=Source.TELEOP)
    begin = cell.position.copy()
    cell.run(0.5, twist=np.array([0.0, 0.0, 0.0, 0.5, 0.0, 0.0]))
    assert np.allclose(cell.position, begin, atol=1e-4)
    assert "cannot move the tool that way" in cell.out.detail
    assert cell.out.blocked


def test_without_a_description_nobody_drives_by_twists(make_joint_cell):
    cell = make_joint_cell(joints={"kinematics": None})
    cell.run(0.2, target=cell.position + NEAR, twist=np.zeros(6))
    answer = cell.guard.take_over(cell.now)
    assert not answer.accepted
    assert "give body.urdf" in answer.sentence
    assert not cell.jog(np.zeros(6)).accepted


@pytest.mark.parametrize("begin", [Source.POLICY, Source.TELEOP])
def test_a_change_of_driver_passes_through_rest_within_the_limits(make_joint_cell, begin):
    cell = make_joint_cell(driver=begin)
    twist, target = np.array([0.1, 0.1, 0.0, 0.0, 0.0, 0.0]), cell.position + 2 * NEAR
    outputs = cell.run(0.3, target=target, twist=twist)
    assert not outputs[-1].joints.at_rest
    change = cell.guard.take_over if begin is Source.POLICY else cell.guard.hand_back
    assert change(cell.now).accepted
    after = cell.run(0.8, target=target, twist=twist)
    assert any(out.joints.at_rest for out in after)
    outputs += after
    for early, late in pairwise(outputs):
        step = np.abs(late.joints.position - early.joints.position)
        assert (step <= 0.02 * cell.limits.velocity + 1e-9).all()
        change = np.abs(late.joints.velocity - early.joints.velocity)
        assert (change <= 0.02 * cell.limits.acceleration + 1e-6).all()


def test_a_policy_of_twists_drives_the_joints_too(make_joint_cell):
    cell = make_joint_cell(driver=None)
    begin = cell.tool
    for step in range(60):
        cell.jog(np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0]), Source.POLICY)
        cell.run(0.02)
        if step == 5:
            assert cell.guard.hand_back(cell.now).accepted
    assert cell.tool[1] - begin[1] > 0.05


def test_joint_targets_for_a_robot_of_twists_say_what_its_file_lacks(make_cell):
    cell = make_cell()
    command = JointCommand(cell.now, ("elbow",), np.zeros(1), np.zeros(0), Source.POLICY)
    answer = cell.guard.submit(command, cell.now)
    assert not answer.accepted
    assert "command_interface" in answer.sentence
    cell.run(0.02, policy=np.zeros(6))
    assert cell.out.reason is StopReason.INVALID_COMMAND


def test_a_guard_that_fails_stays_where_it_was_sent(make_joint_cell):
    cell = make_joint_cell()
    cell.run(0.3, target=cell.position + 3 * NEAR)
    out = cell.guard.fail(cell.now, "broken")
    assert out.joints.at_rest
    assert np.array_equal(out.joints.position, cell.position)
    assert out.mode is Mode.STOPPED


def test_a_twist_in_another_frame_is_malformed_here_too(make_joint_cell):
    cell = make_joint_cell(driver=Source.TELEOP)
    command = TwistCommand(cell.now, "tool0", np.zeros(6), Source.TELEOP)
    assert "must be in frame 'base_link'" in cell.guard.submit(command, cell.now).sentence
