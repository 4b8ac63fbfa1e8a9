# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm moves on fresh frames of who holds the lease, and on nothing else."""

import numpy as np
import pytest

from magma_ros.console.robot import JOG_LIFETIME, JogFrame

TICK = 0.04


def test_held_keys_move_the_arm_as_fast_as_asked(browser, robot):
    ann = browser()
    ann.lease()
    ann.press(twist=(0.5, 0, 0, 0, 0, -1), frame="tool", gripper=0.25)
    _, jog = robot.jogs[-1]
    assert jog.frame is JogFrame.TOOL
    assert jog.gripper == 0.25
    np.testing.assert_allclose(jog.twist, [0.125, 0, 0, 0, 0, -0.6])


def test_a_combination_of_keys_is_no_faster_than_one(browser, robot):
    ann = browser()
    ann.lease()
    ann.press(twist=(1, 1, 1, -1, -1, 1))
    twist = robot.jogs[-1][1].twist
    assert np.linalg.norm(twist[:3]) == pytest.approx(0.25)
    assert np.linalg.norm(twist[3:]) == pytest.approx(0.6)


def test_release_is_zero_at_once(browser, robot):
    ann = browser()
    ann.lease()
    ann.press()
    assert robot.moves
    ann.utter_release()
    ann.arrive()
    assert not robot.moves


def test_a_replayed_release_still_releases(browser, robot):
    ann = browser()
    ann.lease()
    ann.press()
    ann.utter(type="release", seq=0, at=0.0)
    ann.arrive()
    assert not robot.moves


def test_motion_expires_with_its_frame_and_not_with_its_arrival(browser, robot, clock, pass_time):
    ann = browser()
    ann.lease()
    ann.hold += 1
    ann.utter_jog()
    uttered = clock.time
    clock.time += 0.15
    ann.arrive()
    assert robot.moves_until == pytest.approx(uttered + JOG_LIFETIME)
    pass_time(0.1, ann)
    assert robot.departures[-1] - uttered == pytest.approx(JOG_LIFETIME, abs=0.002)
    assert "press again" in ann.told("over")[-1]["sentence"]


def test_a_stalled_connection_that_delivers_everything_moves_nothing(browser, robot, clock):
    ann = browser()
    ann.lease()
    ann.press()
    before = len(robot.jogs)
    for _ in range(20):  # the key is held all the while, but the network stalls
        ann.utter_jog()
        clock.time += TICK
        ann.hub.tick()
    ann.arrive()
    assert len(robot.jogs) == before
    ann.jog()  # nor does it go on by itself
    assert len(robot.jogs) == before
    ann.press()
    assert len(robot.jogs) == before + 1


def test_a_press_that_arrives_late_is_not_taken_up_by_what_follows(browser, robot, clock):
    ann = browser()
    ann.lease()
    ann.hold += 1
    ann.utter_jog()
    clock.time += 0.3
    ann.utter_jog()
    ann.arrive()
    assert not robot.jogs


def test_repeated_and_smaller_sequence_numbers_are_refused_by_name(browser, robot):
    ann = browser()
    ann.lease()
    ann.press()
    for seq in (ann.seq, ann.seq - 1, 0):
        ann.utter_jog(seq=seq)
        ann.arrive()
        ann.read()
        assert f"motion frame {seq} is a replay" in ann.told("refused")[-1]["sentence"]
    assert len(robot.jogs) == 1


def test_skipped_sequence_numbers_are_counted_and_harmless(browser, robot, pass_time):
    ann = browser()
    ann.lease()
    ann.press()
    ann.seq += 3
    ann.jog()
    assert len(robot.jogs) == 2
    pass_time(0.11, ann)
    assert ann.told("state")[-1]["you"]["skipped"] == 3


def test_a_clock_that_jumps_ahead_releases(browser, robot, clock):
    ann = browser()
    ann.lease()
    ann.press()
    ann.offset += 5.0
    ann.jog()
    assert len(robot.jogs) == 1
    assert not robot.moves
    assert "clock has jumped" in ann.told("over")[-1]["sentence"]


def test_a_clock_that_is_set_back_makes_frames_stale_until_it_is_known_again(
    browser, robot, pass_time
):
    ann = browser()
    ann.lease()
    ann.offset -= 5.0
    ann.press()
    assert not robot.jogs
    pass_time(0.6, ann)  # the next ping tells the new offset
    ann.press()
    assert len(robot.jogs) == 1


def test_nothing_moves_before_the_browsers_clock_is_known(hub, robot, clock, make_world):
    ann = make_world.browser(hub, clock)
    ann.utter(type="hello", protocol=1, name="Ann")
    ann.utter(type="lease", id=1, wish="ask")
    ann.hold += 1
    ann.utter_jog()
    ann.arrive()
    assert not robot.jogs


def test_a_slow_way_to_the_browser_makes_frames_older_and_never_younger(browser, robot, clock):
    ann = browser()
    ann.lease()
    ann.hub.tick()
    clock.time += 20.0  # what was known of the clock is forgotten
    ann.hub.tick()
    clock.time += 0.08  # the ping is on its way
    ann.read()
    clock.time += 0.01  # and so is its answer
    ann.arrive()
    ann.lease()
    ann.press()
    assert robot.jogs[-1][1].lifetime == pytest.approx(JOG_LIFETIME - 0.08)


def test_who_lacks_the_lease_moves_nothing_and_is_told_who_holds_it(browser, robot):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    bob.press()
    assert not robot.jogs
    assert "Ann holds the lease" in bob.told("over")[-1]["sentence"]


def test_a_key_that_was_held_before_the_lease_came_moves_nothing(browser, robot):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    bob.press()
    bob.lease()
    ann.lease("grant")
    bob.jog()
    assert not robot.jogs
    bob.press()
    assert len(robot.jogs) == 1


def test_passing_the_lease_on_releases(browser, robot):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    ann.press()
    bob.lease()
    assert robot.moves  # asking disturbs nobody
    ann.lease("grant")
    assert not robot.moves
    ann.jog()
    assert not robot.moves


def test_a_lost_socket_releases_and_frees_the_lease(browser, robot, hub):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    ann.press()
    hub.leave(ann.client)
    assert not robot.moves
    assert bob.lease()["sentence"] == "you hold the lease"


def test_a_silent_holder_loses_motion_first_and_then_the_lease(browser, robot, pass_time, hub):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    ann.press()
    pass_time(0.25, bob)
    assert not robot.moves
    assert hub.lease.holder == "Ann"
    pass_time(1.0, bob)
    assert hub.lease.holder == ""


def test_an_operator_who_cannot_be_heard_is_gone_for_the_guard_at_once(
    browser, robot, pass_time, clock, hub
):
    ann = browser("Ann")
    ann.lease()
    ann.press()
    began = clock.now()
    robot.releases.clear()
    pass_time(0.9)  # the network is cut, and neither side notices
    assert robot.departures[0] - began < 0.25
    assert robot.releases == [], "silence is no presence"
    pass_time(0.5, ann)  # it is back, with what was on its way
    assert robot.releases, "who is heard again is there again"


def test_a_lost_socket_is_silence_for_the_guard_at_once(browser, robot, hub):
    ann = browser("Ann")
    ann.lease()
    ann.press()
    robot.releases.clear()
    hub.leave(ann.client)
    assert robot.departures
    assert robot.releases == []


def test_the_silence_of_a_stalled_server_is_nobodys_fault(browser, hub, clock):
    ann = browser()
    ann.lease()
    hub.tick()
    clock.time += 3.0  # the process was busy, its sockets unread
    hub.tick()
    assert hub.lease.holder == "Ann"


@pytest.mark.parametrize("verb", ["stop", "hold"])
def test_stop_and_hold_release_at_once_whoever_asks(browser, robot, verb):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    ann.press()
    bob.say(type="verb", id=7, verb=verb)
    assert not robot.moves
    assert [ask.verb.value for ask in bob.requests] == [verb]
    ann.jog()
    assert not robot.moves, "the hold is over: the key must be pressed anew"


def test_an_operator_who_presses_nothing_is_known_to_be_there(browser, robot, pass_time):
    ann = browser()
    ann.lease()
    robot.releases.clear()
    pass_time(2.0, ann)
    gaps = np.diff(robot.releases)
    assert len(gaps) >= 6
    assert max(gaps) < 0.5
    ann.lease("drop")
    robot.releases.clear()
    pass_time(2.0, ann)
    assert robot.releases == []


def test_once_shut_nothing_moves(browser, robot, hub):
    ann = browser()
    ann.lease()
    ann.press()
    hub.shut()
    assert not robot.moves
    ann.press()
    assert not robot.moves
