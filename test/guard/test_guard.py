# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard as a whole: whom it follows, when silence or a fault stops the arm, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from magma_ros.guard import MismatchConfig, PolicyHealth, Workspace
from magma_ros.motion import ChunkStream
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Mode, Pose, Source, StopReason, TwistCommand

TICK = 0.02
FAST = np.array([0.35, 0, 0, 0, 0, 3.5])
FORWARD = np.array([0.2, 0, 0, 0, 0, 0])


def test_a_policy_that_asks_for_help_while_it_drives_makes_the_arm_hold(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.request_help(cell.now, "Its exits disagree.").accepted
    outputs = cell.run(0.5, policy=FORWARD)
    assert outputs[0].twist[0] > 0.0, "it decelerates and does not jerk"
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.HELP_REQUESTED)
    assert cell.out.detail == "Its exits disagree."
    assert not cell.out.twist.any()


def test_a_policy_that_asks_for_help_takes_nothing_from_a_person(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    assert not cell.guard.request_help(cell.now, "Its exits disagree.").accepted
    cell.run(0.1, policy=FORWARD, teleop=FORWARD)
    assert cell.out.mode is Mode.TELEOP


# Silence


@pytest.mark.parametrize("phase", np.linspace(0.0, 0.95, 8))
@pytest.mark.parametrize("ramping", [False, True])
def test_silent_policy_means_zero_twist_within_a_fifth_of_a_second(make_cell, phase, ramping):
    """At 50 Hz and full speed, whenever between two updates the last command came."""
    cell = make_cell()
    cell.run(1.0, policy=np.zeros(6) if ramping else FAST)
    if ramping:  # the worst moment: at full acceleration
        cell.run(0.08, policy=FAST)
    last_heard = cell.now + phase * TICK
    cell.guard.submit(TwistCommand(last_heard, "base_link", FAST, Source.POLICY), last_heard)
    while cell.run(TICK)[0].twist.any():
        assert cell.now - last_heard < 0.5
    assert cell.now - last_heard <= 0.2
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.POLICY_SILENT)
    assert "the last policy command came 0.1" in cell.out.detail
    assert cell.out.source is Source.GUARD


def test_hold_after_silence_ends_only_by_an_explicit_act(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.run(0.5)
    outputs = cell.run(2.0, policy=FORWARD)
    assert all(o.mode is Mode.HOLD and not o.twist.any() for o in outputs)
    assert cell.guard.hand_back(cell.now).accepted
    cell.run(0.3, policy=FORWARD)
    assert cell.out.mode is Mode.AUTO
    assert cell.out.twist[0] == pytest.approx(0.2)


def break_plans(cell):
    cell.plan_age = math.inf


def age_plans(cell):
    cell.plan_age = 1.2


def break_policy(cell):
    cell.fault = "The stage think_2 failed."


def silence_health(cell):
    cell.healthy = False


@pytest.mark.parametrize(
    ("harm", "reason", "says"),
    [
        (break_plans, StopReason.PLAN_SILENT, "no plan"),
        (age_plans, StopReason.PLAN_SILENT, "1.2"),
        (break_policy, StopReason.POLICY_FAULT, "think_2 failed"),
        (silence_health, StopReason.POLICY_SILENT, "health"),
    ],
)
def test_twists_without_fresh_plans_hold_the_arm_until_a_person_acts(make_cell, harm, reason, says):
    """A policy whose cameras or thinking have died may go on streaming twists."""
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    harm(cell)
    cell.run(0.7, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, reason)
    assert not cell.out.twist.any()
    assert not cell.guard.hand_back(cell.now).accepted
    cell.plan_age, cell.fault, cell.healthy = 0.1, "", True
    outputs = cell.run(2.0, policy=FORWARD)
    assert all(out.mode is Mode.HOLD and not out.twist.any() for out in outputs)
    assert cell.guard.hand_back(cell.now).accepted
    assert cell.run(0.5, policy=FORWARD)[-1].twist.any()


def test_a_plan_ages_also_while_nothing_is_told_of_it(make_cell):
    cell = make_cell(plan_timeout=0.4, health_timeout=5.0)
    cell.run(0.5, policy=FORWARD)
    cell.healthy = False
    cell.run(0.5, policy=FORWARD)
    assert cell.out.reason is StopReason.PLAN_SILENT


@pytest.mark.parametrize(
    ("age", "fault", "waits", "says"),
    [
        (math.inf, "", "waiting for an instruction", "waiting for an instruction"),
        (math.nan, "", "", "no fresh plan"),
        (0.1, "The stage think_2 failed.", "", "think_2 failed"),
    ],
)
def test_hand_back_waits_for_a_fresh_plan_and_says_for_what_it_waits(
    make_cell, age, fault, waits, says
):
    cell = make_cell(driver=None)
    cell.plan_age, cell.fault, cell.waiting_for = age, fault, waits
    cell.run(0.5, policy=np.zeros(6))
    refused = cell.guard.hand_back(cell.now)
    assert not refused.accepted
    assert says in refused.sentence


def test_hand_back_without_a_living_policy_is_refused_and_the_person_keeps_driving(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.run(0.5, teleop=FORWARD)
    refused = cell.guard.hand_back(cell.now)
    assert not refused.accepted
    assert "sends no commands" in refused.sentence
    cell.run(0.1, teleop=FORWARD)
    assert cell.out.source is Source.TELEOP


def test_policy_that_lacks_an_input_is_held_before_its_plan_is_old(make_cell):
    cell = make_cell(driver=Source.POLICY)
    cell.run(0.5, policy=FORWARD)
    assert cell.out.twist.any()
    cell.lacking = "camera 'front' has been silent for 0.25 s"
    cell.run(0.1, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.INPUT_SILENT)
    assert "camera 'front'" in cell.out.detail
    assert not cell.out.twist.any()
    refused = cell.guard.hand_back(cell.now)
    assert not refused.accepted
    assert "no fresh plan" in refused.sentence


@pytest.mark.parametrize("driver", [Source.POLICY, Source.TELEOP])
def test_silent_robot_holds_whoever_drives(make_cell, driver):
    cell = make_cell(driver=driver)
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    assert cell.out.twist.any()
    cell.poses = False
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STATE_SILENT)
    assert not cell.out.twist.any()
    for act in (cell.guard.take_over, cell.guard.hand_back):
        answer = act(cell.now)
        assert not answer.accepted
        assert "no fresh pose" in answer.sentence


# What is listened to


@pytest.mark.parametrize(
    "wrong",
    [
        {"twist": np.array([math.nan] + [0.0] * 5)},
        {"twist": np.array([math.inf] + [0.0] * 5)},
        {"twist": np.zeros(3)},
        {"frame_id": "tool0"},
    ],
)
def test_malformed_command_of_the_driver_holds_and_says_what_was_wrong(make_cell, wrong):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    fields = {"twist": FORWARD} | wrong
    answer = cell.send(**fields)
    assert not answer.accepted
    cell.run(0.2, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.INVALID_COMMAND)
    assert cell.out.detail == answer.sentence
    assert not cell.out.twist.any()


def test_malformed_command_of_somebody_else_does_not_disturb_the_driver(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    assert not cell.send(np.full(6, np.nan), Source.TELEOP).accepted
    cell.run(0.1, policy=FORWARD)
    assert cell.out.mode is Mode.AUTO


@pytest.mark.parametrize(("offset", "says"), [(-0.5, "stale"), (0.5, "future")])
def test_untimely_commands_are_not_followed_and_count_as_silence(make_cell, offset, says):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    for _ in range(20):
        answer = cell.send(-FORWARD, stamp=cell.now + offset)
        assert not answer.accepted
        assert says in answer.sentence
        assert cell.run(TICK)[0].twist[0] >= 0.0
    assert cell.out.reason is StopReason.POLICY_SILENT


def test_overtaken_command_is_not_followed(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    assert not cell.send(-FORWARD, stamp=cell.now - 0.05).accepted


def test_coarse_clock_of_the_messages_overtakes_nothing(make_cell):
    """Simulated time at 20 Hz: stamps are in order, but lie anywhere within 50 ms of now."""
    cell = make_cell(driver=None)
    for number in range(200):
        now = cell.now + 0.02 * number
        told = math.floor(now / 0.05) * 0.05  # what the messages' clock says
        command = TwistCommand(told, "base_link", FORWARD, Source.POLICY)
        answer = cell.guard.submit(command, now, now - told)
        assert answer.accepted, answer.sentence


def test_clock_of_the_messages_that_is_set_back_locks_nobody_out(make_cell):
    cell = make_cell(driver=None)
    cell.run(0.1, policy=FORWARD)
    pose = cell.arm.pose()
    for step in range(5):
        now, told = cell.now + 0.02 * (step + 1), 0.02 * step  # a simulation begins anew
        command = TwistCommand(told, "base_link", FORWARD, Source.POLICY)
        assert cell.guard.submit(command, now, now - told).accepted
        assert cell.guard.report_pose(Pose(told, pose.position), now, now - told).accepted


@pytest.mark.parametrize(
    "pose",
    [
        Pose(100.1, np.full(3, np.nan)),
        Pose(100.1, np.zeros(2)),
        Pose(math.nan, np.zeros(3)),
        Pose(100.1, np.zeros(3), np.zeros(4)),
        Pose(100.1, np.zeros(3), np.full(4, np.nan)),
        Pose(109.0, np.zeros(3)),
    ],
)
def test_pose_that_cannot_be_is_refused(make_cell, pose):
    cell = make_cell(driver=None)
    cell.now = 100.1
    assert not cell.guard.report_pose(pose, cell.now).accepted


def test_poses_out_of_order_change_nothing(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    older = Pose(cell.now - 0.1, np.array([0.9, 0.0, 0.0]))
    answer = cell.guard.report_pose(older, cell.now)
    assert not answer.accepted
    assert "overtaken" in answer.sentence
    cell.run(0.1, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


def test_driving_does_not_begin_on_an_old_pose(make_cell):
    cell = make_cell(driver=None)
    cell.run(0.1, policy=np.zeros(6))
    cell.poses = False
    cell.run(0.4, policy=np.zeros(6))
    for act in (cell.guard.hand_back, cell.guard.take_over):
        assert "no fresh pose" in act(cell.now).sentence


def test_pose_from_before_the_activation_moves_nothing(make_cell):
    """What the arm did since then, nobody knows."""
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    pose = cell.arm.pose()
    cell.guard.deactivate()
    cell.now += 0.1
    cell.guard.activate(cell.now)
    cell.guard.report_pose(pose, cell.now)
    assert not cell.guard.update(cell.now).twist.any()


# Motion


def test_arm_that_does_not_move_as_told_holds_and_says_so(make_cell):
    """As behind a driver that takes metres a second for shares of full speed."""
    cell = make_cell(mismatch=MismatchConfig(tolerance=0.05, window=0.5))
    cell.run(0.5, policy=FORWARD)
    where, began = cell.position.copy(), cell.now
    for _ in range(40):
        cell.now += TICK
        cell.guard.report_pose(Pose(cell.now, where), cell.now)
        cell.send(FORWARD)
        cell.guard.report_health(PolicyHealth(0.1), cell.now)
        cell.out = cell.guard.update(cell.now)
        if cell.out.mode is Mode.HOLD:
            break
    assert cell.out.reason is StopReason.POSITION_MISMATCH
    assert cell.now - began <= 0.5
    assert "off what it was sent" in cell.out.detail


def test_arm_that_moves_though_it_is_told_to_rest_holds(make_cell):
    cell = make_cell(mismatch=MismatchConfig(tolerance=0.05, window=0.5))
    for _ in range(60):
        cell.arm.position = cell.arm.position + np.array([0.0, 0.004, 0.0])
        cell.run(TICK, policy=np.zeros(6))
    assert cell.out.reason is StopReason.POSITION_MISMATCH


def test_arm_that_answers_late_is_no_mismatch(make_cell):
    cell = make_cell(mismatch=MismatchConfig(tolerance=0.01, window=0.5))
    cell.arm._response = 0.05
    for way in (1.0, -1.0, 1.0):
        cell.run(0.6, policy=way * FORWARD)
    assert cell.out.mode is Mode.AUTO


def test_person_is_bound_by_the_same_limits(make_cell):
    cell = make_cell(driver=Source.TELEOP, workspace=Workspace((-1, -1, -1), (0.1, 1, 1)))
    outputs = cell.run(2.0, teleop=np.array([5.0, 0, 0, 0, 0, 0]))
    assert max(o.twist[0] for o in outputs) <= 0.35 + 1e-9
    assert cell.position[0] <= 0.1
    assert "+x workspace face" in cell.out.detail


@pytest.mark.parametrize("begun", [True, False])
def test_a_person_who_falls_silent_is_named_long_before_their_driving_ends(make_cell, begun):
    cell = make_cell(driver=Source.TELEOP)
    if begun:
        cell.run(0.3, teleop=np.array([0.1, 0, 0, 0, 0, 0]))
        assert not cell.out.blocked
    cell.run(0.4)
    assert cell.out.mode is Mode.TELEOP
    assert cell.out.blocked
    assert "the operator's link is silent" in cell.out.detail
    cell.run(0.1, teleop=np.zeros(6))
    assert not cell.out.blocked, "who is heard again is not silent"


def test_late_update_is_no_jump(make_cell):
    cell = make_cell()
    cell.run(0.2, policy=np.zeros(6))
    cell.now += 0.09
    cell.send(FAST)
    twist = cell.guard.update(cell.now).twist
    assert twist[0] <= 4.0 * 2 * TICK + 1e-9


def test_after_a_long_gap_only_a_new_pose_lets_the_arm_move(make_cell):
    """Whether the arm carried out the last twist through the gap, nobody knows."""
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.now += 0.11
    cell.send(FORWARD)
    assert cell.guard.update(cell.now).twist[0] < 0.2
    cell.arm.move(cell.now)
    cell.run(0.5, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


def test_normal_motion_passes_almost_unchanged(make_cell):
    """A smooth plan at the pace of the simulated robot goes through stream and guard intact."""
    cell, stream, step = make_cell(), ChunkStream(), 0.1
    plan = np.zeros((40, 7))
    when = step * np.arange(40)
    plan[:, 0] = 0.03 * np.sin(np.pi * when / 4.0) ** 2
    plan[:, 1] = 0.015 * np.sin(2 * np.pi * when / 4.0)
    plan[:, 5] = 0.2 * np.sin(np.pi * when / 4.0) ** 2
    travelled, length = np.zeros(6), np.zeros(6)
    cell.run(TICK, policy=np.zeros(6))
    start, due = cell.now, 0
    while cell.now < start + 4.6:
        if due <= 32 and cell.now >= start + due * step - 1e-9:
            stream.push(
                ActionChunk(start + due * step, step, plan[due : due + 8], 1, MAGMA), cell.now
            )
            due += 2
        twist = cell.run(TICK, policy=stream.sample(cell.now).twist)[0].twist
        travelled += TICK * twist
        length += TICK * np.abs(twist)
    asked, path = plan[:, :6].sum(axis=0), np.abs(plan[:, :6]).sum(axis=0)
    assert (np.abs(travelled - asked) <= 0.02 * path + 1e-4).all()
    assert (np.abs(length - path) <= 0.02 * path + 1e-4).all()
