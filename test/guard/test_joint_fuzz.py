# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random messages in any order find no way around the guard of joints."""

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.evaluation.bench.joint_fuzz import fuzz_joints
from magma_ros.guard import CommandInterface, JointMotion, joint_ramp, validate
from magma_ros.guard.joint_drive import JointDrive
from magma_ros.guard.joint_ramp import JointRamp


@pytest.mark.parametrize(
    "interface", [CommandInterface.JOINT_TRAJECTORY, CommandInterface.FORWARD_VELOCITY]
)
@pytest.mark.parametrize("seed", range(2))
def test_random_messages_in_any_order_lead_to_nothing_that_must_not_be(seed, interface):
    result = fuzz_joints(15_000, seed, interface)
    assert not result.violations
    assert result.moving > 20, "a fuzz in which nothing moves shows nothing"
    assert {"AUTO", "TELEOP", "HOLD", "STOPPED"} <= set(result.modes)


def test_the_fuzz_finds_joints_that_jump(monkeypatch):
    monkeypatch.setattr(
        JointRamp, "towards", lambda _self, motion, at, _velocity, _elapsed: JointMotion(at)
    )
    found = fuzz_joints(15_000, 0).violations
    assert found["a position has jumped"] > 0


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ("jerk", "an acceleration has jumped"),
        ("acceleration", "an acceleration is beyond its limit"),
        ("velocity", "a velocity is beyond its limit"),
    ],
)
def test_the_fuzz_finds_a_drive_with_wider_limits(monkeypatch, bound, words):
    make = JointDrive.__init__

    def widened(self, config, joints, *more):
        limits = replace(joints.limits, **{bound: 1.5 * getattr(joints.limits, bound)})
        make(self, config, replace(joints, limits=limits), *more)

    monkeypatch.setattr(JointDrive, "__init__", widened)
    assert fuzz_joints(15_000, 0).violations[words] > 0


def test_the_fuzz_finds_a_guard_without_walls(monkeypatch):
    monkeypatch.setattr(JointDrive, "_permits", lambda *_: True)
    monkeypatch.setattr(JointDrive, "_share", lambda *_, **__: (1.0, ""))
    assert "the tool is out of its box" in fuzz_joints(15_000, 0).violations


def test_the_fuzz_finds_targets_that_cannot_be_planned(monkeypatch):
    monkeypatch.setattr(validate, "FARTHEST", np.inf)
    monkeypatch.setattr(joint_ramp, "_UNPLANNED", ())
    assert fuzz_joints(15_000, 1).exceptions > 0


def test_the_fuzz_finds_what_is_raised(monkeypatch):
    monkeypatch.setattr(JointRamp, "shift", None)
    result = fuzz_joints(15_000, 0)
    assert result.exceptions > 0
    assert np.isfinite(result.rate)
