# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing moves without a person's leave, and what is latched stays latched."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import TRANSITIONS, DeadMan, Guard, Latches, Request
from magma_ros.guard.modes import REFUSALS
from magma_ros.types import Mode, Source, StopReason

TICK = 0.02
FORWARD = np.array([0.2, 0, 0, 0, 0, 0])
FAST = np.array([0.35, 0, 0, 0, 0, 3.5])


def test_only_a_hand_back_leads_to_auto_and_only_a_take_over_to_teleop():
    for (before, request), after in TRANSITIONS.items():
        if after in (Mode.AUTO, Mode.TELEOP):
            assert request is {Mode.AUTO: Request.HAND_BACK, Mode.TELEOP: Request.TAKE_OVER}[after]
            assert before is not Mode.STOPPED
    assert TRANSITIONS[Mode.STOPPED, Request.RESET] is Mode.HOLD
    assert TRANSITIONS[Mode.HOLD, Request.RESET] is Mode.HOLD


def test_every_mode_answers_every_request():
    for mode in Mode:
        for request in Request:
            key = (mode, request)
            assert (key in TRANSITIONS) != (key in REFUSALS), key
    assert all(TRANSITIONS[mode, Request.STOP] is Mode.STOPPED for mode in Mode)


def test_guard_begins_in_hold_and_waits_for_a_person(make_cell):
    cell = make_cell(driver=None)
    outputs = cell.run(2.0, policy=FORWARD, teleop=FORWARD)
    assert not any(out.twist.any() for out in outputs)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STARTUP)
    assert cell.guard.hand_back(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


@pytest.mark.parametrize("driver", [Source.POLICY, Source.TELEOP])
def test_any_number_of_resets_starts_no_motion(make_cell, driver):
    cell = make_cell(driver=driver)
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    cell.guard.stop(cell.now)
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    for _ in range(3):
        assert cell.guard.reset(cell.now).accepted
        outputs = cell.run(0.5, policy=FORWARD, teleop=FORWARD)
        assert not any(out.twist.any() for out in outputs)
        assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.READY)
    assert cell.guard.hand_back(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    assert cell.out.twist.any()


def test_reset_after_a_silent_person_does_not_hand_the_arm_to_the_policy(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    cell.run(3.0, policy=FORWARD)
    assert cell.out.reason is StopReason.TELEOP_SILENT
    cell.guard.reset(cell.now)
    outputs = cell.run(1.0, policy=FORWARD)
    assert cell.out.mode is Mode.HOLD
    assert not any(out.twist.any() for out in outputs)


def test_stopped_is_left_only_by_reset_and_then_holds(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.stop(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    for request in (cell.guard.take_over, cell.guard.hand_back, cell.guard.hold):
        answer = request(cell.now)
        assert not answer.accepted
        assert "stopped" in answer.sentence
    assert cell.guard.reset(cell.now).accepted
    cell.run(0.5, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.READY)
    assert not cell.out.twist.any()


@pytest.mark.parametrize("driver", [Source.POLICY, Source.TELEOP])
def test_activation_begins_at_rest_and_in_hold(make_cell, driver):
    cell = make_cell(driver=driver)
    cell.run(0.5, policy=FAST, teleop=FAST)
    assert cell.out.twist.any()
    cell.guard.deactivate()
    cell.guard.activate(cell.now)
    outputs = cell.run(1.0, policy=FAST, teleop=FAST)
    assert not any(out.twist.any() for out in outputs)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.STARTUP)


def test_inactive_guard_refuses_every_request_and_hears_nothing(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.guard.deactivate()
    guard, now = cell.guard, cell.now
    for act in (guard.take_over, guard.hand_back, guard.hold, guard.stop, guard.reset):
        answer = act(now)
        assert not answer.accepted
        assert "not active" in answer.sentence
    assert not cell.send(FORWARD).accepted
    assert not guard.report_pose(cell.arm.pose(), now).accepted
    guard.activate(now)
    assert "no fresh pose" in guard.hand_back(now).sentence


def test_a_latched_stop_outlives_deactivation_and_a_new_configuration(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.guard.stop(cell.now)
    cell.guard.deactivate()
    cell.guard = Guard(cell.config, cell.latches)
    cell.guard.activate(cell.now)
    cell.run(0.5, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.STOPPED, StopReason.OPERATOR_STOP)
    assert not cell.guard.hand_back(cell.now).accepted


def test_a_latched_hold_keeps_its_reason_over_a_new_configuration(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.run(0.5)
    cell.guard.deactivate()
    cell.guard = Guard(cell.config, cell.latches)
    cell.guard.activate(cell.now)
    assert cell.run(0.1)[-1].reason is StopReason.POLICY_SILENT


def test_a_guard_without_a_past_is_in_hold():
    assert Latches().switch.mode is Mode.HOLD


def test_take_over_passes_through_rest_and_then_follows_the_person(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    assert cell.guard.take_over(cell.now).accepted
    along_x = [out.twist[0] for out in cell.run(0.5, policy=FORWARD, teleop=-FORWARD)]
    assert 0.0 in along_x
    assert all(v >= 0.0 for v in along_x[: along_x.index(0.0)])
    assert along_x[-1] == pytest.approx(-0.2)
    assert (cell.out.mode, cell.out.source) == (Mode.TELEOP, Source.TELEOP)


def test_hand_back_ignores_the_policy_until_the_arm_is_at_rest(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.run(0.5, policy=FAST, teleop=-FORWARD)
    assert cell.guard.hand_back(cell.now).accepted
    along_x = [out.twist[0] for out in cell.run(0.5, policy=FAST)]
    rest = along_x.index(0.0)
    assert all(v < 0.0 for v in along_x[:rest])
    assert all(v > 0.0 for v in along_x[rest + 1 :])


def test_first_reason_of_a_hold_stays_latched(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.guard.request_help(cell.now, "Its exits disagree.")
    cell.guard.hold(cell.now)
    cell.run(0.5)
    assert cell.out.reason is StopReason.HELP_REQUESTED


def test_stop_halts_harder_than_hold_decelerates(make_cell):
    def updates_to_rest(act):
        cell = make_cell()
        cell.run(0.5, policy=FAST)
        act(cell.guard, cell.now)
        return sum(bool(out.twist.any()) for out in cell.run(0.5, policy=FAST))

    halt = updates_to_rest(lambda guard, now: guard.stop(now))
    assert halt < updates_to_rest(lambda guard, now: guard.hold(now))
    assert halt <= 3


def test_refused_requests_say_why(make_cell):
    cell = make_cell()
    assert cell.guard.reset(cell.now).sentence == "There is nothing to reset: the policy drives."
    assert cell.guard.hand_back(cell.now).sentence == "The policy drives already."
    cell.guard.take_over(cell.now)
    assert cell.guard.take_over(cell.now).sentence == "A person drives already."


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TELEOP, Mode.HOLD])
def test_emergency_stop_stops_from_any_mode_and_cannot_be_reset_while_pressed(make_cell, mode):
    cell = make_cell(driver={Mode.AUTO: Source.POLICY, Mode.TELEOP: Source.TELEOP}.get(mode))
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    cell.guard.report_e_stop(cell.now, pressed=True)
    cell.run(0.2, policy=FORWARD, teleop=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.STOPPED, StopReason.E_STOP)
    assert not cell.out.twist.any()
    refused = cell.guard.reset(cell.now)
    assert not refused.accepted
    assert "emergency stop is pressed" in refused.sentence
    cell.guard.report_e_stop(cell.now, pressed=False)
    cell.run(0.2, policy=FORWARD)
    assert cell.out.mode is Mode.STOPPED
    assert cell.guard.reset(cell.now).accepted
    assert cell.run(0.2, policy=FORWARD)[-1].mode is Mode.HOLD


def test_release_by_one_of_two_does_not_count(make_cell):
    cell = make_cell()
    cell.guard.report_e_stop(cell.now, pressed=True, others="a and b")
    answer = cell.guard.report_e_stop(cell.now, pressed=False, others="a and b")
    assert not answer.accepted
    assert "a and b" in answer.sentence
    assert not cell.guard.reset(cell.now).accepted
    assert cell.guard.report_e_stop(cell.now, pressed=False).accepted
    assert cell.guard.reset(cell.now).accepted


def test_emergency_stop_pressed_while_inactive_is_not_forgotten(make_cell):
    cell = make_cell()
    cell.guard.deactivate()
    cell.guard.report_e_stop(cell.now, pressed=True)
    cell.guard = Guard(cell.config, cell.latches)
    cell.guard.activate(cell.now)
    assert cell.run(0.1)[-1].reason is StopReason.E_STOP
    assert not cell.guard.reset(cell.now).accepted


def test_emergency_stop_with_a_heartbeat_must_be_heard_from(make_cell):
    cell = make_cell(driver=None, e_stop_heartbeat=0.5)
    cell.run(0.4)
    assert cell.out.mode is Mode.HOLD
    cell.run(0.3)
    assert (cell.out.mode, cell.out.reason) == (Mode.STOPPED, StopReason.E_STOP_SILENT)
    assert not cell.guard.reset(cell.now).accepted
    cell.guard.report_e_stop(cell.now, pressed=False)
    assert cell.guard.reset(cell.now).accepted


def test_failure_of_the_guard_itself_stops_the_arm(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=FORWARD)
    cell.guard.fail(cell.now, "ZeroDivisionError()")
    cell.run(0.2, policy=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.STOPPED, StopReason.GUARD_FAULT)
    assert cell.out.detail == "ZeroDivisionError()"


@pytest.mark.parametrize("act", ["hold", "stop"])
def test_guard_at_rest_leaves_the_controller_to_others(make_cell, act):
    cell = make_cell(stop_pub_timeout=1.0)
    cell.run(0.5, policy=FORWARD)
    getattr(cell.guard, act)(cell.now)
    outputs = cell.run(3.0, policy=FORWARD)
    last = max(i for i, out in enumerate(outputs) if out.publish)
    rest = next(i for i, out in enumerate(outputs) if not out.twist.any())
    assert all(out.publish for out in outputs[: last + 1])
    assert 1.0 <= (last - rest + 1) * 0.02 <= 1.1
    cell.guard.reset(cell.now)
    assert cell.guard.hand_back(cell.now).accepted
    assert all(out.publish for out in cell.run(2.0, policy=np.zeros(6)))


@pytest.mark.parametrize(
    ("source", "driver", "trips"),
    [
        (Source.GUARD, Source.POLICY, True),
        (Source.GUARD, Source.TELEOP, True),
        (Source.POLICY, Source.POLICY, True),
        (Source.TELEOP, Source.TELEOP, True),
        (Source.TELEOP, Source.POLICY, False),
    ],
)
def test_second_publisher_holds_the_arm_and_is_named(make_cell, source, driver, trips):
    cell = make_cell(driver=driver)
    cell.run(0.5, policy=FORWARD, teleop=FORWARD)
    cell.guard.report_foreign({source: "On /policy/twist: /policy and /other; end all but one."})
    cell.run(0.3, policy=FORWARD, teleop=FORWARD)
    assert (cell.out.reason is StopReason.FOREIGN_SOURCE) == trips
    if not trips:
        return
    assert "/other" in cell.out.detail
    assert not cell.out.twist.any()
    act = cell.guard.hand_back if driver is Source.POLICY else cell.guard.take_over
    refused = act(cell.now)
    assert not refused.accepted
    assert "/other" in refused.sentence
    cell.guard.report_foreign({})
    assert cell.run(0.3, policy=FORWARD)[-1].mode is Mode.HOLD
    assert act(cell.now).accepted


# The person's dead-man


def test_released_dead_man_means_zero_and_a_pressed_one_moves_again(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.run(0.5, teleop=FORWARD)
    assert cell.out.twist.any()
    cell.pressed = False
    cell.run(0.3, teleop=FORWARD)
    assert not cell.out.twist.any()
    assert "dead-man" in cell.out.detail
    assert cell.run(3.0, teleop=FORWARD)[-1].mode is Mode.TELEOP
    cell.pressed = True
    cell.run(0.5, teleop=FORWARD)
    np.testing.assert_allclose(cell.out.twist, FORWARD)


def test_nothing_moves_in_teleop_before_the_dead_man_is_pressed(make_cell):
    cell = make_cell(driver=None)
    cell.pressed = None
    cell.run(0.1)
    assert cell.guard.take_over(cell.now).accepted
    outputs = cell.run(1.5, teleop=FORWARD)
    assert not any(out.twist.any() for out in outputs)
    cell.run(1.0, teleop=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.TELEOP_SILENT)
    assert "teleop/enable" in cell.out.detail


@pytest.mark.parametrize("robot", ["sim", "franka_fr3"])
@pytest.mark.parametrize("falls_silent", ["twists", "dead-man", "both"])
@pytest.mark.parametrize("aim", np.eye(6), ids=["x", "y", "z", "roll", "pitch", "yaw"])
def test_person_who_falls_silent_at_full_speed_leaves_no_motion_after_0_3_s(
    make_cell, robot, falls_silent, aim
):
    limits = robot_config(robot).limits
    cell = make_cell(driver=Source.TELEOP, limits=limits)
    fastest = aim * np.repeat([limits.linear_speed, limits.angular_speed], 3)
    cell.run(1.0, teleop=fastest)
    np.testing.assert_allclose(cell.out.twist, fastest)
    silent = cell.now
    if falls_silent != "twists":
        cell.pressed = None
    while cell.out.twist.any():
        cell.run(TICK, teleop=None if falls_silent != "dead-man" else fastest)
    assert cell.now + TICK - silent <= 0.3  # an update may come a period late
    assert cell.out.mode is Mode.TELEOP


def test_silent_dead_man_means_zero_first_and_hold_later(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.run(0.5, teleop=FORWARD)
    cell.pressed = None
    cell.run(0.5, teleop=FORWARD)
    assert cell.out.mode is Mode.TELEOP
    assert not cell.out.twist.any()
    cell.run(2.0, teleop=FORWARD)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.TELEOP_SILENT)


def test_stream_of_twists_is_the_dead_man_where_it_is_chosen(make_cell):
    cell = make_cell(driver=Source.TELEOP, dead_man=DeadMan.STREAM)
    cell.pressed = None
    cell.run(0.5, teleop=FORWARD)
    assert cell.out.twist.any()
    cell.run(0.6)
    assert cell.out.mode is Mode.TELEOP
    assert not cell.out.twist.any()
    cell.run(2.0)
    assert (cell.out.mode, cell.out.reason) == (Mode.HOLD, StopReason.TELEOP_SILENT)
