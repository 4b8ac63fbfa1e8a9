# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Failures are named after what really happened to the object that the instruction names."""

import numpy as np
import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.failures import Failure, FailureMonitor
from magma_ros.sim.simulation import ENV_STEP

OPEN, CLOSED = 1.0, 0.0
UP = np.array([0.0, 0.0, 1.0])


class Run:
    """An episode that is watched from its beginning."""

    def __init__(self, simulation):
        self.simulation = simulation
        self.monitor = FailureMonitor(simulation)

    @property
    def target(self):
        return self.simulation.object_position(self.simulation.target_name)

    def expert(self, until, name=None, limit=100):
        """Let the expert drive until something is so; says whether it ever was."""
        for _ in range(limit):
            if until(self.simulation):
                return True
            action = Expert(name).act(self.simulation)
            self._step(action[:6] / ENV_STEP, action[6])
        return False

    def go(self, point, gripper, steps=25):
        """Move the tool in a straight line."""
        for _ in range(steps):
            way = point - self.simulation.ee_pose().position
            speed = np.clip(way / ENV_STEP, -0.25, 0.25)
            self._step(np.array([*speed, 0.0, 0.0, 0.0]), gripper)

    def _step(self, twist, gripper):
        self.simulation.command(twist, gripper)
        self.simulation.step(ENV_STEP)
        self.monitor.sample()


@pytest.fixture
def play(simulate):
    return lambda task, **kwargs: Run(simulate(task, **{"seed": 1, **kwargs}))


def held(simulation):
    return simulation.world.held(simulation.target_name)


@pytest.mark.parametrize(
    ("suite", "task"),
    [("tabletop", t) for t in ("reach", "push", "pick", "place", "stack", "open-drawer")]
    + [("moving", t) for t in ("track", "intercept", "conveyor-push", "conveyor-pick")],
)
def test_success_is_no_failure_and_rest_is_no_approach(play, suite, task):
    done, idle = play(task, suite=suite), play(task, suite=suite)
    assert done.expert(lambda simulation: simulation.succeeded(), limit=130)
    assert done.monitor.failure() is None
    idle.go(idle.simulation.ee_pose().position + 0.02 * UP, OPEN, steps=5)
    assert idle.monitor.failure() is Failure.NEVER_APPROACHED


@pytest.mark.parametrize("task", ["pick", "push", "open-drawer"])
def test_another_object_taken_and_never_the_named_one_is_the_wrong_object(play, task):
    run = play(task)
    other = run.simulation.swapped_target_name
    world = run.simulation.world
    taken = world.held if task == "pick" else world.touched
    assert run.expert(lambda simulation: taken(other), name=other)
    run.go(run.simulation.ee_pose().position + 0.15 * UP, OPEN, steps=8)
    assert run.monitor.failure() is Failure.WRONG_OBJECT


def test_a_gripper_that_closes_above_the_object_misses_the_grasp(play):
    run = play("pick")
    run.go(run.target + 0.05 * UP, OPEN)
    run.go(run.target + 0.05 * UP, CLOSED, steps=10)
    assert run.monitor.closest < 0.06
    assert run.monitor.failure() is Failure.MISSED_GRASP


def test_an_object_let_go_of_too_soon_is_dropped(play):
    run = play("place")
    assert run.expert(held)
    run.expert(lambda simulation: simulation.object_position(simulation.target_name)[2] > 0.06)
    run.go(run.simulation.ee_pose().position, OPEN, steps=8)
    assert run.monitor.failure() is Failure.DROPPED


def test_an_object_still_held_when_the_time_is_up_is_no_drop(play):
    run = play("place")
    assert run.expert(held)
    assert run.monitor.failure() is Failure.TIMED_OUT


def test_a_push_that_is_given_up_has_lost_the_object(play):
    run = play("push")
    assert run.expert(lambda simulation: simulation.world.touched(simulation.target_name))
    assert run.monitor.failure() is Failure.TIMED_OUT
    run.go(run.simulation.ee_pose().position + 0.15 * UP, CLOSED)
    assert run.monitor.failure() is Failure.LOST


def test_a_tool_that_leaves_its_place_has_lost_it(play):
    run = play("reach")
    assert run.expert(
        lambda simulation: simulation.task.done(simulation.world, simulation.target_name)
    )
    assert run.monitor.failure() is Failure.TIMED_OUT
    run.go(run.simulation.ee_pose().position + 0.1 * UP, OPEN, steps=10)
    assert run.monitor.failure() is Failure.LOST


def test_an_object_carried_out_of_the_workspace_is_out_of_reach(play):
    run = play("conveyor-pick", suite="moving")
    for _ in range(60):
        run.simulation.step(0.2)
    run.monitor.sample()
    assert run.monitor.failure() is Failure.OUT_OF_REACH


def test_the_closest_approach_is_kept(play):
    run = play("pick")
    run.go(run.target + 0.05 * UP, OPEN)
    closest, when = run.monitor.closest, run.monitor.closest_at
    run.go(run.simulation.ee_pose().position + 0.1 * UP, OPEN, steps=10)
    assert run.monitor.closest <= closest
    assert run.monitor.closest_at == pytest.approx(when, abs=0.5)
