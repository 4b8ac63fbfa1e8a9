# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A guard before an ideal arm, for the tests of this room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.evaluation.bench.guard_robot import IdealArm, robot_config
from magma_ros.guard import GripperCommand, Guard, Latches, PolicyHealth, Workspace
from magma_ros.types import JointCommand, Source, TwistCommand

TICK = 0.02
WIDE = Workspace((-1, -1, -1), (1, 1, 1))


class Cell:
    """A guard before an ideal arm, with a policy and a person who may each send twists."""

    def __init__(
        self, *, position=(0.0, 0.0, 0.0), quaternion=None, driver=Source.POLICY, **settings
    ):
        self.config = robot_config("sim", **({"workspace": WIDE} | settings))
        self.latches = Latches()
        self.guard = Guard(self.config, self.latches)
        self.now = 100.0
        self.arm = IdealArm(position, quaternion=quaternion)
        self.poses = self.healthy = self.pressed = True
        self.pose_every = 1  # updates
        self.updates = 0
        self.plan_age, self.fault, self.waiting_for = 0.1, "", ""
        self.lacking = ""
        self.opening = 0.5
        self.out = None
        self.guard.activate(self.now)
        if driver is not None:
            self.run(0.1, policy=np.zeros(6), teleop=np.zeros(6))
            start = self.guard.hand_back if driver is Source.POLICY else self.guard.take_over
            answer = start(self.now)
            assert answer.accepted, answer.sentence

    @property
    def position(self):
        return self.arm.position

    def send(self, twist, source=Source.POLICY, **changed):
        fields = {"stamp": self.now, "frame_id": "base_link", "twist": twist, "source": source}
        return self.guard.submit(TwistCommand(**(fields | changed)), self.now)

    def grip(self, opening, source=Source.POLICY, age=0.0):
        return self.guard.submit_gripper(GripperCommand(self.now - age, opening, source), self.now)

    def run(self, seconds, policy=None, teleop=None, grip=None):
        """Run on; each source sends its twist before every update, the driver its gripper."""
        outputs = []
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.arm.move(self.now)
            self.updates += 1
            if self.poses and self.updates % self.pose_every == 0:
                self.guard.report_pose(self.arm.pose(), self.now)
            if self.opening is not None:
                self.guard.report_opening(self.opening, self.now, self.now)
            if self.healthy:
                health = PolicyHealth(self.plan_age, self.fault, self.waiting_for, self.lacking)
                self.guard.report_health(health, self.now)
            if self.pressed is not None:
                self.guard.report_enable(self.now, pressed=self.pressed)
            for source, twist in ((Source.POLICY, policy), (Source.TELEOP, teleop)):
                if twist is not None:
                    self.send(twist, source)
                    if grip is not None:
                        self.grip(grip, source)
            self.out = self.guard.update(self.now)
            self.arm.send(self.now, self.out.twist)
            outputs.append(self.out)
        return outputs


HOME = np.array([0.0, 0.4, 2.0, 0.74, 0.0])
"""Positions of the simulated arm's joints with its tool in the middle of its box [rad]."""


class JointCell:
    """A guard before joints that go exactly where they are sent, driven by a policy or a person."""

    def __init__(self, *, position=HOME, driver=Source.POLICY, joints=None, **settings):
        config = robot_config("sim_joints", **settings)
        self.config = replace(config, joints=replace(config.joints, **(joints or {})))
        self.limits = self.config.joints.limits
        self.kinematics = robot_config("sim_joints").joints.kinematics
        self.names = self.limits.names
        self.latches = Latches()
        self.guard = Guard(self.config, self.latches)
        self.now = 100.0
        self.position = np.array(position)
        self.velocity = np.zeros(len(self.names))
        self.reports = self.healthy = self.pressed = True
        self.plan_age = 0.1
        self.out = None
        self.guard.activate(self.now)
        if driver is not None:
            self.run(0.1, target=self.position, twist=np.zeros(6))
            start = self.guard.hand_back if driver is Source.POLICY else self.guard.take_over
            answer = start(self.now)
            assert answer.accepted, answer.sentence

    @property
    def tool(self):
        return self.kinematics.pose(self.position)[0]

    def send(self, target, velocity=(), names=None, source=Source.POLICY, age=0.0):
        names = self.names if names is None else tuple(names)
        target, velocity = (np.array(v, np.float64) for v in (target, velocity))
        command = JointCommand(self.now - age, names, target, velocity, source)
        return self.guard.submit(command, self.now)

    def jog(self, twist, source=Source.TELEOP):
        return self.guard.submit(TwistCommand(self.now, "base_link", twist, source), self.now)

    def run(self, seconds, target=None, twist=None, velocity=()):
        """Run on; the policy sends its target and the person a twist before every update."""
        outputs = []
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            if self.config.joints.by_velocity:
                self.position = self.position + TICK * self.velocity
            if self.reports:
                self.guard.report_joints(self.names, self.position, self.now, self.now)
            if self.healthy:
                self.guard.report_health(PolicyHealth(self.plan_age), self.now)
            if self.pressed is not None:
                self.guard.report_enable(self.now, pressed=self.pressed)
            if target is not None:
                self.send(target, velocity)
            if twist is not None:
                self.jog(twist)
            self.out = self.guard.update(self.now)
            if self.out.publish and self.out.joints is not None:
                self.velocity = self.out.joints.velocity
                if not self.config.joints.by_velocity:
                    self.position = self.out.joints.position
            outputs.append(self.out)
        return outputs


@pytest.fixture(scope="session")
def make_joint_cell():
    """Cells of a robot that is commanded joint by joint."""
    return JointCell


@pytest.fixture(scope="session")
def make_cell():
    """Cells in which the policy (or another driver, or nobody) drives already."""
    return Cell
