# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gripper obeys the mode, its commands age, and it moves no faster than allowed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from magma_ros.guard import GripperCommand
from magma_ros.types import Mode, Source

REST = np.zeros(6)


def test_gripper_moves_no_faster_than_its_limit(make_cell):
    cell = make_cell()
    cell.run(0.1, policy=REST)
    before = cell.out.gripper
    openings = [out.gripper for out in cell.run(0.3, policy=REST, grip=0.0)]
    speed = cell.config.limits.gripper_speed
    assert np.abs(np.diff([before, *openings])).max() <= speed * 0.02 + 1e-9
    assert openings[-1] == 0.0


def test_gripper_command_expires(make_cell):
    cell = make_cell()
    cell.run(0.1, policy=REST)
    assert not cell.grip(0.0, age=0.2).accepted
    assert not cell.grip(0.0, age=-0.2).accepted
    assert cell.grip(0.0).accepted
    assert not cell.grip(1.0, age=0.05).accepted, "overtaken"


def test_gripper_of_a_policy_that_falls_silent_stays_where_it_is(make_cell):
    cell = make_cell(gripper_timeout=0.1)
    cell.run(0.1, policy=REST)
    cell.grip(0.0)
    openings = [out.gripper for out in cell.run(0.5, policy=REST)]
    assert openings[-1] == pytest.approx(0.1, abs=0.09), "moved for as long as the command lives"
    assert len(set(openings[-10:])) == 1


@pytest.mark.parametrize("act", ["stop", "hold"])
def test_gripper_that_moves_is_frozen_where_it_was_measured(make_cell, act):
    cell = make_cell()
    for opening in np.linspace(0.5, 0.3, 10):  # closing, and lagging behind what it is told
        cell.opening = float(opening)
        cell.run(0.02, policy=REST, grip=0.0)
    assert cell.out.gripper < 0.3
    getattr(cell.guard, act)(cell.now)
    outputs = cell.run(1.0, policy=REST, teleop=REST, grip=0.0)
    assert {out.gripper for out in outputs} == {0.3}
    assert not cell.grip(0.0).accepted or cell.out.gripper == 0.3


def test_stopped_gripper_that_holds_something_goes_on_holding_it(make_cell):
    cell = make_cell()
    cell.opening = 0.4  # an object between the fingers
    cell.run(1.0, policy=REST, grip=0.0)
    assert cell.out.gripper == 0.0
    cell.guard.stop(cell.now)
    assert {out.gripper for out in cell.run(0.5)} == {0.0}


def test_gripper_follows_only_the_driver(make_cell):
    cell = make_cell()
    cell.run(0.1, policy=REST)
    cell.grip(1.0, Source.TELEOP)
    assert len({out.gripper for out in cell.run(0.3, policy=REST)}) == 1
    assert cell.grip(0.0).accepted
    for wrong in (math.nan, -0.1, 100.0):
        assert "between 0 and 1" in cell.grip(wrong).sentence


def test_gripper_of_a_new_driver_waits_for_rest(make_cell):
    cell = make_cell()
    cell.run(0.5, policy=np.array([0.35, 0, 0, 0, 0, 0]))
    before = cell.out.gripper
    cell.guard.take_over(cell.now)
    cell.grip(1.0, Source.TELEOP)
    assert cell.run(0.02, teleop=REST)[0].gripper == before


def test_gripper_obeys_the_dead_man(make_cell):
    cell = make_cell(driver=Source.TELEOP)
    cell.pressed = False
    cell.run(0.1, teleop=REST)
    assert len({out.gripper for out in cell.run(0.5, teleop=REST, grip=0.0)}) == 1
    cell.pressed = True
    assert cell.run(0.5, teleop=REST, grip=0.0)[-1].gripper == 0.0


def test_gripper_is_told_nothing_before_it_was_measured(make_cell):
    cell = make_cell(driver=None)
    cell.guard.deactivate()
    cell.guard.activate(cell.now)
    cell.opening = None
    assert cell.run(0.1, policy=REST)[-1].gripper is None
    assert cell.guard.hand_back(cell.now).accepted
    assert cell.run(0.3, policy=REST, grip=0.0)[-1].gripper is None
    assert "gripper.joint" in cell.grip(0.0).sentence
    cell.opening = 0.5
    openings = [out.gripper for out in cell.run(0.5, policy=REST, grip=0.0)]
    assert openings[0] == pytest.approx(0.5, abs=0.081)
    assert openings[-1] == 0.0
    assert cell.out.mode is Mode.AUTO


def test_several_grippers_move_and_are_frozen_each_on_its_own(make_cell):
    cell = make_cell(grippers=("gripper", "other"))
    at = cell.config.limits.gripper_speed * cell.config.period

    def run(target=None):
        cell.guard.report_opening(0.2, cell.now, cell.now, "other")
        if target is not None:
            assert cell.guard.submit_gripper(
                GripperCommand(cell.now, target, Source.POLICY, "other"), cell.now
            ).accepted
        return cell.run(cell.config.period, policy=REST)[-1].grippers["other"]

    before = run()
    moved = [run(1.0) for _ in range(5)]
    assert np.diff([before, *moved]).max() <= at + 1e-9
    assert moved[-1] > before
    assert cell.out.gripper == 0.5
    cell.guard.stop(cell.now)
    assert len({run() for _ in range(10)}) == 1
    assert (
        "no gripper third, but gripper, other"
        in cell.guard.report_opening(0.5, cell.now, cell.now, "third").sentence
    )


@pytest.mark.parametrize("opening", [math.nan, math.inf, -0.5, 1.5])
def test_impossible_opening_is_refused(make_cell, opening):
    cell = make_cell(driver=None)
    assert not cell.guard.report_opening(opening, cell.now, cell.now).accepted
