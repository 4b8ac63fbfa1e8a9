# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard as a whole: who drives, when the arm stops, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from magma_ros.guard import Guard, GuardConfig, Limits, Workspace
from magma_ros.motion import ChunkStream
from magma_ros.types import ActionChunk, Mode, Pose, Source, StopReason, TwistCommand

TICK = 0.02
FAST = np.array([0.35, 0, 0, 0, 0, 3.5])
FORWARD = np.array([0.2, 0, 0, 0, 0, 0])


class Cell:
    """A guard before an ideal arm, with a policy and a person who may each send twists."""

    def __init__(self, *, position=(0.0, 0.0, 0.0), **settings):
        settings.setdefault("start_mode", Mode.AUTO)
        self.guard = Guard(GuardConfig(**settings))
        self.now = 100.0
        self.position = np.array(position, dtype=float)
        self.poses = True
        self.pose_every = 1  # updates
        self.updates = 0
        self.out = None

    def send(self, twist, source=Source.POLICY, **changed):
        fields = {"stamp": self.now, "frame_id": "base_link", "twist": twist, "source": source}
        return self.guard.submit(TwistCommand(**(fields | changed)), self.now)

    def run(self, seconds, policy=None, teleop=None):
        """Run on; each source sends its twist before every update."""
        outputs = []
        for _ in range(round(seconds / TICK)):
            if self.out is not None:
                self.position = self.position + TICK * self.out.twist[:3]
            self.now += TICK
            self.updates += 1
            if self.poses and self.updates % self.pose_every == 0:
                self.guard.report_pose(Pose(self.now, self.position), self.now)
            for source, twist in ((Source.POLICY, policy), (Source.TELEOP, teleop)):
                if twist is not None:
                    self.send(twist, source)
            self.out = self.guard.update(self.now)
            outputs.append(self.out)
        return outputs


def test_start_in_auto_waits_for_the_first_command_without_tripping():
    cell = Cell()
    cell.run(5.0)
    assert cell.out.mode is Mode.AUTO
    cell.run(0.5, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)
    assert (cell.out.source, cell.out.scale, cell.out.detail) == (Source.POLICY, 1.0, "")


def test_a_policy_that_asks_for_help_while_it_drives_makes_the_arm_hold():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.request_help(cell.now, "Its exits disagree.").accepted
    cell.run(0.5, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.HELP_REQUESTED)
    assert cell.out.detail == "Its exits disagree."
    assert not cell.out.twist.any()


def test_a_policy_that_asks_for_help_takes_nothing_from_a_person():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.take_over(cell.now).accepted
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    assert not cell.guard.request_help(cell.now, "Its exits disagree.").accepted
    cell.run(0.1, policy=FORWARD, teleop=FORWARD)
    assert cell.out.mode is Mode.TELEOP


def test_start_in_hold_waits_for_a_person_and_a_living_policy():
    cell = Cell(start_mode=Mode.HOLD)
    cell.run(1.0)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STARTUP)
    refused = cell.guard.reset(cell.now)
    assert not refused.accepted
    assert "policy sends no commands" in refused.sentence
    cell.run(1.0, policy=FORWARD)
    assert not cell.out.twist.any()
    assert cell.guard.reset(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


@pytest.mark.parametrize("phase", np.linspace(0.0, 0.95, 8))
@pytest.mark.parametrize("ramping", [False, True])
def test_silent_policy_means_zero_twist_within_a_fifth_of_a_second(phase, ramping):
    """At 50 Hz and full speed, whenever between two updates the last command came."""
    cell = Cell()
    cell.run(1.0, policy=np.zeros(6) if ramping else FAST)
    if ramping:  # the worst moment: at full acceleration
        cell.run(0.08, policy=FAST)
    last_heard = cell.now + phase * TICK
    cell.guard.submit(TwistCommand(last_heard, "base_link", FAST, Source.POLICY), last_heard)
    while cell.run(TICK)[0].twist.any():
        assert cell.now - last_heard < 0.5
    assert cell.now - last_heard <= 0.2
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.POLICY_SILENT)
    assert "the last policy twist came 0.1" in cell.out.detail
    assert cell.out.source is Source.GUARD


def test_hold_after_silence_ends_only_by_an_explicit_act():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    cell.run(0.5)
    outputs = cell.run(2.0, policy=FORWARD)
    assert all(o.mode is Mode.HOLD and not o.twist.any() for o in outputs)
    assert cell.guard.reset(cell.now).accepted
    cell.run(0.3, policy=FORWARD)
    assert cell.out.mode is Mode.AUTO
    assert cell.out.twist[0] == pytest.approx(0.2)


def test_reset_without_a_living_policy_is_refused_and_the_reason_stays():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    cell.run(1.0)
    for request in (cell.guard.reset, cell.guard.hand_back):
        assert not request(cell.now).accepted
    cell.run(TICK)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.POLICY_SILENT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"twist": np.array([math.nan] + [0.0] * 5)},
        {"twist": np.array([math.inf] + [0.0] * 5)},
        {"twist": np.zeros(3)},
        {"frame_id": "tool0"},
    ],
)
def test_malformed_command_of_the_driver_holds_and_says_what_was_wrong(wrong):
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    fields = {"twist": FORWARD} | wrong
    answer = cell.send(**fields)
    assert not answer.accepted
    cell.run(0.2, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.INVALID_COMMAND)
    assert cell.out.detail == answer.sentence
    assert not cell.out.twist.any()


def test_malformed_command_of_somebody_else_does_not_disturb_the_driver():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert not cell.send(np.full(6, np.nan), Source.TELEOP).accepted
    cell.run(0.1, policy=FORWARD)
    assert cell.out.mode is Mode.AUTO


@pytest.mark.parametrize(("offset", "says"), [(-0.5, "stale"), (0.5, "future")])
def test_untimely_commands_are_not_followed_and_count_as_silence(offset, says):
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    for _ in range(20):
        answer = cell.send(-FORWARD, stamp=cell.now + offset)
        assert not answer.accepted
        assert says in answer.sentence
        assert cell.run(TICK)[0].twist[0] >= 0.0
    assert cell.out.reason is StopReason.POLICY_SILENT


def test_overtaken_command_is_not_followed():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert not cell.send(-FORWARD, stamp=cell.now - 0.05).accepted


def test_call_for_help_decelerates_and_holds():
    cell = Cell()
    cell.run(0.5, policy=FAST)
    assert cell.guard.hold(cell.now, StopReason.HELP_REQUESTED).accepted
    outputs = cell.run(0.4, policy=FAST)
    assert outputs[0].twist[0] > 0.0
    assert not cell.out.twist.any()
    assert cell.out.reason is StopReason.HELP_REQUESTED


def test_stop_halts_harder_than_hold_decelerates():
    def updates_to_rest(act):
        cell = Cell()
        cell.run(0.5, policy=FAST)
        act(cell.guard, cell.now)
        return sum(bool(o.twist.any()) for o in cell.run(0.5, policy=FAST))

    halt = updates_to_rest(lambda guard, now: guard.stop(now))
    assert halt < updates_to_rest(lambda guard, now: guard.hold(now))
    assert halt <= 3


def test_stopped_is_left_only_by_reset_and_then_holds():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.stop(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    for request in (cell.guard.take_over, cell.guard.hand_back, cell.guard.hold):
        answer = request(cell.now)
        assert not answer.accepted
        assert "stopped" in answer.sentence
    assert cell.guard.reset(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.OPERATOR_STOP)
    assert not cell.out.twist.any()


def test_first_reason_of_a_hold_stays_latched():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    cell.guard.hold(cell.now, StopReason.HELP_REQUESTED)
    cell.guard.hold(cell.now, StopReason.OPERATOR_HOLD)
    cell.run(0.5)
    assert cell.out.reason is StopReason.HELP_REQUESTED


def test_take_over_passes_through_rest_and_then_follows_the_person():
    cell = Cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.take_over(cell.now).accepted
    along_x = [o.twist[0] for o in cell.run(0.5, policy=FORWARD, teleop=-FORWARD)]
    assert 0.0 in along_x
    assert all(v >= 0.0 for v in along_x[: along_x.index(0.0)])
    assert along_x[-1] == pytest.approx(-0.2)
    assert (cell.out.mode, cell.out.source) == (Mode.TELEOP, Source.TELEOP)


def test_hand_back_ignores_the_policy_until_the_arm_is_at_rest():
    cell = Cell(start_mode=Mode.HOLD)
    cell.run(0.1, policy=FAST)
    cell.guard.take_over(cell.now)
    cell.run(0.5, policy=FAST, teleop=-FORWARD)
    assert cell.guard.hand_back(cell.now).accepted
    along_x = [o.twist[0] for o in cell.run(0.5, policy=FAST)]
    rest = along_x.index(0.0)
    assert all(v < 0.0 for v in along_x[:rest])
    assert all(v > 0.0 for v in along_x[rest + 1 :])


def test_gripper_of_a_new_driver_waits_for_rest_as_well():
    cell = Cell()
    cell.run(0.5, policy=FAST)
    cell.guard.take_over(cell.now)
    assert not cell.guard.submit_gripper(1.0, Source.TELEOP).accepted
    cell.run(0.5, teleop=np.zeros(6))
    assert cell.guard.submit_gripper(1.0, Source.TELEOP).accepted


def test_hand_back_without_a_policy_is_refused_and_the_person_keeps_driving():
    cell = Cell(start_mode=Mode.HOLD)
    cell.run(0.1)
    cell.guard.take_over(cell.now)
    cell.run(0.5, teleop=FORWARD)
    assert not cell.guard.hand_back(cell.now).accepted
    cell.run(0.1, teleop=FORWARD)
    assert cell.out.source is Source.TELEOP


def test_silent_person_means_zero_twist_first_and_hold_later():
    cell = Cell(start_mode=Mode.HOLD)
    cell.run(0.1)
    cell.guard.take_over(cell.now)
    cell.run(0.5, teleop=FORWARD)
    cell.run(0.5)
    assert cell.out.mode is Mode.TELEOP
    assert not cell.out.twist.any()
    cell.run(2.0)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.TELEOP_SILENT)


@pytest.mark.parametrize("who", ["policy", "teleop"])
def test_silent_robot_holds_whoever_drives(who):
    cell = Cell()
    cell.run(0.1, policy=np.zeros(6))
    if who == "teleop":
        cell.guard.take_over(cell.now)
    cell.run(0.5, **{who: FORWARD})
    assert cell.out.twist.any()
    cell.poses = False
    cell.run(0.5, **{who: FORWARD})
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STATE_SILENT)
    assert not cell.out.twist.any()
    answer = cell.guard.take_over(cell.now)
    assert not answer.accepted
    assert "no fresh pose" in answer.sentence


def test_nothing_moves_before_the_first_pose_nor_is_a_slow_start_a_fault():
    cell = Cell()
    cell.poses = False
    outputs = cell.run(2.0, policy=FORWARD)
    assert not any(o.twist.any() for o in outputs)
    assert cell.out.mode is Mode.AUTO
    cell.poses = True
    cell.run(0.5, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


@pytest.mark.parametrize(
    "position", [np.full(3, np.nan), np.zeros(2)], ids=["not finite", "wrong shape"]
)
def test_malformed_pose_is_refused(position):
    guard = Guard()
    assert not guard.report_pose(Pose(0.0, position), 0.0).accepted
    assert not guard.report_pose(Pose(9.0, np.zeros(3)), 0.0).accepted


def test_person_is_bound_by_the_same_limits():
    cell = Cell(workspace=Workspace((-1, -1, -1), (0.1, 1, 1)))
    cell.run(0.1, policy=np.zeros(6))
    cell.guard.take_over(cell.now)
    outputs = cell.run(2.0, teleop=np.array([5.0, 0, 0, 0, 0, 0]))
    assert max(o.twist[0] for o in outputs) <= 0.35 + 1e-9
    assert cell.position[0] <= 0.1
    assert "+x workspace face" in cell.out.detail


@pytest.mark.parametrize("towards", [(5.0, 0.0), (0.3, 0.2)])
def test_arm_stays_in_the_box_while_poses_are_rare(towards):
    cell = Cell(workspace=Workspace((-1, -1, -1), (0.1, 1, 1)))
    cell.pose_every = 10
    cell.run(0.2, policy=np.zeros(6))
    cell.run(3.0, policy=np.array([*towards, 0, 0, 0, 0]))
    assert cell.out.mode is Mode.AUTO
    assert 0.09 < cell.position[0] <= 0.1 + 1e-9


def test_arm_that_finds_itself_close_to_a_face_halts_before_it():
    """Pushed by something else, the arm is suddenly too near for its gentle deceleration."""
    gentle = Limits(linear_acceleration=1.0, linear_jerk=10.0)
    cell = Cell(workspace=Workspace((-1, -1, -1), (1.0, 1, 1)), limits=gentle)
    cell.run(1.0, policy=FORWARD)
    assert cell.out.twist[0] == pytest.approx(0.2)
    cell.position[0] = 1.0 - 0.015
    cell.run(1.0, policy=FORWARD)
    assert cell.position[0] <= 1.0


def test_obstacle_slows_the_arm_without_bending_its_path():
    cell = Cell()
    twist = np.array([0.2, 0.1, 0, 0, 0, 0.5])
    cell.run(0.5, policy=twist)
    cell.guard.report_clearance(0.09, cell.now)
    cell.run(0.3, policy=twist)
    np.testing.assert_allclose(cell.out.twist, 0.5 * twist)
    assert cell.out.scale == pytest.approx(0.5)
    assert "0.090 m away" in cell.out.detail
    cell.guard.report_clearance(0.01, cell.now)
    cell.run(0.3, policy=twist)
    assert not cell.out.twist.any()
    cell.guard.report_clearance(None, cell.now)
    cell.run(0.3, policy=twist)
    np.testing.assert_allclose(cell.out.twist, twist)


def test_silent_clearance_sensor_is_not_free_space():
    cell = Cell()
    cell.guard.report_clearance(math.inf, cell.now)
    assert not cell.guard.report_clearance(math.nan, cell.now).accepted
    cell.run(0.4, policy=FORWARD)
    assert cell.out.twist.any()
    cell.run(0.4, policy=FORWARD)
    assert not cell.out.twist.any()
    assert "clearance sensor has fallen silent" in cell.out.detail


def test_gripper_follows_only_the_driver_and_keeps_its_last_target():
    cell = Cell()
    cell.run(0.1, policy=np.zeros(6))
    assert cell.out.gripper is None
    assert cell.guard.submit_gripper(0.0, Source.POLICY).accepted
    assert not cell.guard.submit_gripper(1.0, Source.TELEOP).accepted
    for wrong in (math.nan, -0.1, 100.0):
        assert "between 0 and 1" in cell.guard.submit_gripper(wrong, Source.POLICY).sentence
    cell.guard.stop(cell.now)
    assert not cell.guard.submit_gripper(1.0, Source.POLICY).accepted
    cell.run(0.1)
    assert cell.out.gripper == 0.0


def test_late_update_is_no_jump():
    cell = Cell()
    cell.run(0.2, policy=np.zeros(6))
    cell.now += 0.09
    cell.send(FAST)
    twist = cell.guard.update(cell.now).twist
    assert twist[0] <= 4.0 * 2 * TICK + 1e-9


def test_refused_requests_say_why():
    cell = Cell()
    cell.run(0.1, policy=FORWARD)
    assert cell.guard.reset(cell.now).sentence == "There is nothing to reset: the policy drives."
    assert cell.guard.hand_back(cell.now).sentence == "The policy drives already."
    cell.guard.take_over(cell.now)
    assert cell.guard.take_over(cell.now).sentence == "A person drives already."


def test_normal_motion_passes_almost_unchanged():
    """A smooth plan at the pace of the simulated robot goes through stream and guard intact."""
    cell, stream, step = Cell(), ChunkStream(), 0.1
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
            stream.push(ActionChunk(start + due * step, step, plan[due : due + 8], 1), cell.now)
            due += 2
        twist = cell.run(TICK, policy=stream.sample(cell.now).twist)[0].twist
        travelled += TICK * twist
        length += TICK * np.abs(twist)
    asked, path = plan[:, :6].sum(axis=0), np.abs(plan[:, :6]).sum(axis=0)
    assert (np.abs(travelled - asked) <= 0.02 * path + 1e-4).all()
    assert (np.abs(length - path) <= 0.02 * path + 1e-4).all()
