# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks and expert: the expert succeeds, and success needs the object that was named."""

import numpy as np
import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.sim.suite import load_suite, suite_names

ALL = tuple(
    (suite, task)
    for suite in suite_names()
    for task in load_suite(suite).tasks
    if load_suite(suite).scenes_of is None  # others have the scenes of one of these
)
LIMIT = np.array([0.03, 0.03, 0.03, 0.3, 0.3, 0.3])


def run(simulation, expert, *, disturb=None, limit=None):
    """Let the expert work until the target is served or time is up; returns its actions."""
    actions = []
    for step in range(limit or simulation.task.step_limit):
        action = expert.act(simulation)
        actions.append(action.copy())
        if disturb is not None:
            disturb(step, action)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
        if simulation.succeeded():
            break
    return np.array(actions)


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_the_expert_succeeds_in_time(simulate, suite, task):
    for seed in range(8):
        simulation = simulate(task, suite=suite, seed=seed)
        run(simulation, Expert())
        assert simulation.succeeded(), f"seed {seed}"


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_the_expert_succeeds_in_shifted_scenes(simulate, suite, task):
    for seed in range(3):
        simulation = simulate(task, suite=suite, split="shift", seed=seed)
        run(simulation, Expert())
        assert simulation.succeeded(), f"seed {seed}"


@pytest.mark.parametrize(
    ("suite", "task"),
    [
        ("tabletop", "push"),
        ("tabletop", "pick"),
        ("tabletop", "place"),
        ("tabletop", "stack"),
        ("tabletop", "open-drawer"),
        ("moving", "intercept"),
        ("moving", "conveyor-push"),
        ("moving", "conveyor-pick"),
    ],
)
def test_the_expert_recovers_from_knocks_and_dropped_objects(simulate, suite, task):
    rolled_away = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)

        def knock(step, action, rng=rng):
            if step % 12 in (8, 9, 10):
                action[:6] += rng.uniform(-0.6, 0.6, 6) * LIMIT
                action[6] = 1.0 - action[6] if step % 24 == 9 else action[6]

        simulation = simulate(task, suite=suite, seed=seed)
        run(simulation, Expert(), disturb=knock)
        if not simulation.succeeded():  # as cans may that were dropped on their side
            box = simulation.world.arm.spec.limits.workspace
            position = simulation.object_position(simulation.target_name)[:2]
            assert np.any((position < box.low[:2]) | (position > box.high[:2])), f"seed {seed}"
            rolled_away += 1
    assert rolled_away <= 1


@pytest.mark.parametrize(
    ("suite", "task"), [case for case in ALL if case[1] not in ("push", "conveyor-push")]
)
def test_serving_another_object_is_no_success(simulate, suite, task):
    simulation = simulate(task, suite=suite, seed=1)
    other = simulation.swapped_target_name
    run(simulation, Expert(other))
    assert simulation.served(other)
    assert not simulation.succeeded()


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_doing_nothing_is_no_success(simulate, suite, task):
    simulation = simulate(task, suite=suite, seed=1)
    simulation.step(2.0)
    assert not simulation.succeeded()


def test_a_criterion_must_hold_for_a_while(simulate):
    simulation = simulate("reach", seed=2)
    run_until_done = 0
    while not simulation.task.done(simulation.world, simulation.target_name):
        run(simulation, Expert(), limit=1)
        run_until_done += 1
        assert run_until_done < simulation.task.step_limit
    assert not simulation.succeeded()
    run(simulation, Expert(), limit=4)
    assert simulation.succeeded()


def test_a_held_object_is_carried_by_friction_alone(simulate):
    simulation = simulate("pick", seed=0)
    run(simulation, Expert())
    assert simulation.world.touched(simulation.target_name)
    simulation.command(np.zeros(6), 1.0)
    simulation.step(1.0)
    height = simulation.object_position(simulation.target_name)[2]
    assert height == pytest.approx(simulation.world.object_height / 2, abs=0.003)


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_the_expert_stays_within_the_action_limits(simulate, suite, task):
    actions = run(simulate(task, suite=suite, seed=4), Expert())
    assert np.all(np.abs(actions[:, :6]) <= LIMIT)
    assert np.all((actions[:, 6] >= 0.0) & (actions[:, 6] <= 1.0))


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_the_expert_has_no_memory(simulate, suite, task):
    simulation = simulate(task, suite=suite, seed=5)
    expert = Expert()
    run(simulation, expert, limit=6)
    np.testing.assert_array_equal(expert.act(simulation), Expert().act(simulation))


def test_an_object_still_held_on_another_is_not_stacked(simulate):
    simulation = simulate("stack", seed=0)
    world, name = simulation.world, simulation.target_name
    while np.linalg.norm(world.position(name) - simulation.goal_position()) > 0.01:
        run(simulation, Expert(), limit=1)
        assert simulation.time < 10.0
    assert world.touched(name)
    assert not simulation.task.done(world, name)


def test_an_object_beside_or_above_another_is_not_stacked(simulate):
    simulation = simulate("stack", seed=0)
    world, name = simulation.world, simulation.target_name
    for offset in ([0.02, 0.0, 0.0], [0.0, 0.0, 0.03], [0.04, 0.0, -0.04]):
        _put(world, name, simulation.goal_position() + offset)
        assert not simulation.task.done(world, name)
    _put(world, name, simulation.goal_position())
    simulation.step(0.5)
    assert simulation.succeeded()


def test_stacking_names_both_objects_and_the_swapped_sentence_keeps_the_lower_one(simulate):
    for seed in range(6):
        simulation = simulate("stack", seed=seed)
        base = simulation.world.base_name
        told = [w for w in simulation.instruction.split() if w in simulation.object_names]
        swapped = [
            w for w in simulation.swapped_instruction().split() if w in simulation.object_names
        ]
        assert told == [simulation.target_name, base]
        assert swapped == [simulation.swapped_target_name, base]


def _put(world, name, position):
    """Put an object somewhere at once, level and at rest."""
    body = world._objects[name]
    world._bullet.resetBasePositionAndOrientation(body, list(position), [0.0, 0.0, 0.0, 1.0])
    world._bullet.resetBaseVelocity(body, [0.0] * 3, [0.0] * 3)
