# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked, in whatever order: limits, the workspace and the modes hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from properties import examples

from magma_ros.evaluation.bench.guard_robot import robot_config
from magma_ros.guard import Clearance, Guard, PolicyHealth, Workspace
from magma_ros.types import Mode, Pose, Source, TwistCommand

LIMITS = robot_config("sim").limits
SLUGGISH = replace(LIMITS, linear_acceleration=1.0, linear_jerk=3.0, angular_acceleration=5.0)
BOX = Workspace(lower=(-0.1, -0.1, 0.0), upper=(0.1, 0.1, 0.1))
GRAZE = 1e-4
"""How far beyond a face rounding may lead [m]."""


def begun(position, now, limits=LIMITS):
    """A guard that the policy has just been given leave to drive."""
    guard = Guard(robot_config("sim", workspace=BOX, limits=limits))
    guard.activate(now)
    guard.report_pose(Pose(now, np.array(position)), now)
    send(guard, np.zeros(6), now)
    guard.report_health(PolicyHealth(0.1), now)
    assert guard.hand_back(now).accepted
    return guard


speeds = st.one_of(st.floats(-0.5, 0.5), st.sampled_from([0.0, -30.0, 30.0]))
twists = st.lists(speeds, min_size=6, max_size=6).map(lambda v: np.array(v) * [1, 1, 1, 9, 9, 9])
waits = st.floats(0.002, 0.04)
clearances = st.one_of(st.none(), st.floats(-0.05, 0.3), st.just(math.inf))


def send(guard, twist, now, source=Source.POLICY):
    return guard.submit(TwistCommand(now, "base_link", twist, source), now)


@examples(60)
@given(
    st.sampled_from([LIMITS, SLUGGISH]),
    st.tuples(*[st.floats(low, high) for low, high in zip(BOX.lower, BOX.upper, strict=True)]),
    st.lists(
        st.tuples(st.one_of(st.none(), twists), clearances, st.integers(1, 12)),
        min_size=1,
        max_size=12,
    ),
    st.lists(waits, min_size=1, max_size=5),
)
def test_limits_hold_and_an_ideal_arm_never_leaves_the_box(limits, start, script, waits):
    """Commands of any size appear, change, pause and vanish; updates come unevenly."""
    guard, now, turn = begun(start, 0.0, limits), 0.0, 0
    position, last = np.array(start), np.zeros(6)
    for twist, clearance, repeats in script:
        for _ in range(repeats):
            wait = waits[turn % len(waits)]
            turn += 1
            now += wait
            position = position + wait * last[:3]
            guard.report_pose(Pose(now, position), now)
            guard.report_health(PolicyHealth(0.1), now)
            if clearance is not None:
                guard.report_clearance(Clearance(now, clearance), now)
            if twist is not None:
                send(guard, twist, now)
            out = guard.update(now)
            assert (position >= np.array(BOX.lower) - GRAZE).all()
            assert (position <= np.array(BOX.upper) + GRAZE).all()
            assert np.linalg.norm(out.twist[:3]) <= limits.linear_speed * (1 + 1e-6)
            assert np.linalg.norm(out.twist[3:]) <= limits.angular_speed * (1 + 1e-6)
            change = out.twist - last
            assert np.linalg.norm(change[:3]) <= limits.linear_braking * wait + 1e-9
            assert np.linalg.norm(change[3:]) <= limits.angular_braking * wait + 1e-9
            last = out.twist


requests = st.sampled_from(["take_over", "hand_back", "hold", "reset", "stop", None])


@examples(80)
@given(
    st.sampled_from([LIMITS, SLUGGISH]),
    st.lists(st.tuples(requests, twists, twists, st.integers(1, 10)), min_size=2, max_size=10),
    st.lists(st.floats(0.002, 0.04), min_size=1, max_size=7),
    st.lists(st.tuples(st.floats(0.0, 0.005), st.floats(0.0, 1.0)), min_size=1, max_size=5),
)
def test_no_change_of_driver_jolts_the_arm_however_uneven_the_updates(limits, script, waits, reads):
    """Each axis keeps its acceleration by the stamps, however long it takes to read their clock;
    only who gets slower may brake harder."""
    guard, now, turn, last = begun((0.0, 0.0, 0.05), 0.0, limits), 0.0, 0, np.zeros(6)
    guard.update(now)
    until = stamped = now
    position = np.array([0.0, 0.0, 0.05])
    for request, policy, person, repeats in script:
        if request is not None:
            getattr(guard, request)(now)
        for _ in range(repeats):
            reading, share = reads[turn % len(reads)]
            begin, now, turn = now, until + waits[turn % len(waits)], turn + 1
            position = position + (now - begin) * last[:3]
            guard.report_pose(Pose(now, position), now)
            guard.report_health(PolicyHealth(0.1), now)
            guard.report_enable(now, pressed=True)
            send(guard, policy, now)
            send(guard, person, now, Source.TELEOP)
            until = now + reading
            twist = guard.update(now, until).twist
            wait, stamped = now + share * reading - stamped, now + share * reading
            for part, kind in ((slice(0, 3), "linear"), (slice(3, 6), "angular")):
                change = twist[part] - last[part]
                allowed = getattr(limits, f"{kind}_acceleration") * wait * (1 + 1e-9) + 1e-12
                braking = getattr(limits, f"{kind}_braking") * wait * (1 + 1e-9) + 1e-12
                slower = np.linalg.norm(twist[part]) < np.linalg.norm(last[part])
                bound = np.linalg.norm(change) <= braking if slower else False
                assert np.abs(change).max() <= allowed or bound
            last = twist


@examples(30)
@given(
    st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3),
    st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3),
)
def test_arm_outside_the_box_can_always_be_driven_back(position, spin):
    guard, now = begun(position, 0.0), 0.0
    position, last = np.array(position), np.zeros(6)
    middle = np.array([0.0, 0.0, 0.05])
    for _ in range(200):
        now += 0.02
        position = position + 0.02 * last[:3]
        guard.report_pose(Pose(now, position), now)
        guard.report_health(PolicyHealth(0.1), now)
        send(guard, np.concatenate([2.0 * (middle - position), spin]), now)
        last = guard.update(now).twist
    assert np.linalg.norm(position - middle) < 0.01


class Driving(RuleBasedStateMachine):
    """People, the policy and faults act on a guard in any order."""

    def __init__(self):
        super().__init__()
        self.guard = Guard(robot_config("sim", workspace=Workspace((-9, -9, -9), (9, 9, 9))))
        self.now = 10.0
        self.guard.activate(self.now)
        self.out = self.guard.update(self.now)
        self.allowed = {Mode.HOLD}  # modes that may be seen at the next update
        self.rested = True  # whether the arm was at rest since the driver changed
        self.driver = None
        self.position = np.zeros(3)

    def _accept(self, answer, mode):
        assert answer.sentence
        if answer.accepted:
            self.allowed = {mode}
            driver = {Mode.AUTO: Source.POLICY, Mode.TELEOP: Source.TELEOP}.get(mode)
            if driver is not None and driver is not self.driver:
                self.rested = not self.out.twist.any()
            self.driver = driver

    @rule(twist=twists, source=st.sampled_from([Source.POLICY, Source.TELEOP]))
    def command(self, twist, source):
        assert send(self.guard, twist, self.now, source).accepted

    @rule(source=st.sampled_from([Source.POLICY, Source.TELEOP]))
    def malformed(self, source):
        assert not send(self.guard, np.full(6, np.nan), self.now, source).accepted
        if source is self.driver:
            self.allowed, self.driver = {Mode.HOLD}, None

    @rule()
    def take_over(self):
        self._accept(self.guard.take_over(self.now), Mode.TELEOP)

    @rule()
    def hand_back(self):
        self._accept(self.guard.hand_back(self.now), Mode.AUTO)

    @rule()
    def hold(self):
        self._accept(self.guard.hold(self.now), Mode.HOLD)

    @rule()
    def stop(self):
        self._accept(self.guard.stop(self.now), Mode.STOPPED)
        assert self.allowed == {Mode.STOPPED}

    @rule()
    def reset(self):
        self._accept(self.guard.reset(self.now), Mode.HOLD)

    @rule()
    def start_over(self):
        self.guard.deactivate()
        self.guard.activate(self.now)
        self.out = self.guard.update(self.now)
        self.allowed = {self.out.mode}
        assert self.out.mode in (Mode.HOLD, Mode.STOPPED)
        assert not self.out.twist.any()
        self.driver, self.rested = None, True

    @rule(updates=st.integers(1, 20), policy=st.booleans(), teleop=st.booleans(), twist=twists)
    def drive(self, updates, policy, teleop, twist):
        for _ in range(updates):
            self.now += 0.02
            self.position = self.position + 0.02 * self.out.twist[:3]
            self.guard.report_pose(Pose(self.now, self.position), self.now)
            self.guard.report_health(PolicyHealth(0.1), self.now)
            self.guard.report_enable(self.now, pressed=True)
            for sends, source in ((policy, Source.POLICY), (teleop, Source.TELEOP)):
                if sends:
                    send(self.guard, twist, self.now, source)
            self._update()

    @rule(wait=st.floats(0.05, 3.0))
    def silence(self, wait):
        self.now += wait
        self._update()

    def _update(self):
        before, self.out = self.out, self.guard.update(self.now)
        # Watchdogs may turn driving into HOLD; nothing else changes the mode by itself.
        assert self.out.mode in self.allowed | ({Mode.HOLD} if self.driver else set())
        if self.out.mode not in self.allowed:
            self.allowed, self.driver = {self.out.mode}, None
        at_rest = not self.out.twist.any()
        if self.out.source is not Source.GUARD:
            assert self.out.source is self.driver
            assert self.rested, "a new driver moved the arm before it was at rest"
        if self.driver is None and not before.twist.any():
            assert at_rest, "the arm moved although nobody drives"
        self.rested = self.rested or at_rest

    @invariant()
    def reason_is_given_exactly_when_nobody_drives(self):
        assert (self.out.reason is None) == (self.out.mode in (Mode.AUTO, Mode.TELEOP))

    @precondition(lambda self: self.out.mode in (Mode.HOLD, Mode.STOPPED))
    @invariant()
    def speed_only_falls_while_nobody_drives(self):
        if self.allowed <= {Mode.HOLD, Mode.STOPPED}:
            before = np.linalg.norm(self.out.twist)
            self.now += 0.02
            self.out = self.guard.update(self.now)
            # A deceleration may have to turn an acceleration round first; jerk allows it that.
            overshoot = LIMITS.linear_acceleration**2 / (2 * LIMITS.linear_jerk)
            assert np.linalg.norm(self.out.twist) <= before + 10 * overshoot


TestDriving = Driving.TestCase
TestDriving.settings = examples(60, stateful_step_count=30)
