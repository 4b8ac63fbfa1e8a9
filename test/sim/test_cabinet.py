# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cabinet: two drawers told apart by colour, opened by hand only, one at a time."""

import numpy as np
import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.layout import draw_cabinet_layout
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.sim.suite import load_suite


def drawers(simulation):
    cabinet = simulation.world._cabinet
    return cabinet, simulation.target_name, simulation.swapped_target_name


def slide(simulation, name, opening):
    cabinet = simulation.world._cabinet
    simulation.world._bullet.resetJointState(cabinet._body, cabinet._drawers[name], opening)


def test_the_two_drawers_are_the_targets_and_their_colours_differ(simulate):
    for seed in range(5):
        simulation = simulate("open-drawer", seed=seed)
        target, other = simulation.object_names
        assert target != other
        assert target in simulation.instruction.split()
        assert other in simulation.swapped_instruction().split()


def test_each_side_and_colour_comes_up_as_target():
    suite, rng = load_suite("tabletop"), np.random.default_rng(1)
    split = suite.split("seen")
    layouts = [draw_cabinet_layout(suite, suite.scene.cabinet, split, rng) for _ in range(80)]
    sides = {layout.cabinet.handles.index(layout.targets[0]) for layout in layouts}
    assert sides == {0, 1}
    assert {layout.targets[0] for layout in layouts} == set(split.targets)


def test_handles_show_their_colour_where_they_project_to(simulate):
    colours = load_suite("tabletop").colours
    for seed in range(5):
        simulation = simulate("open-drawer", seed=seed)
        image = simulation.image("front").astype(float)
        for name in simulation.object_names:
            column, row = simulation.project("front", simulation.object_position(name))
            pixel = image[int(row), int(column)]
            closeness = {
                other: pixel @ rgb / (np.linalg.norm(pixel) * np.linalg.norm(rgb))
                for other, rgb in ((o, np.array(c)) for o, c in colours.items())
            }
            assert max(closeness, key=closeness.get) == name


def test_the_goal_is_where_the_handle_is_once_the_task_is_done(simulate):
    simulation = simulate("open-drawer", seed=2)
    _, target, _ = drawers(simulation)
    goal = simulation.goal_position()
    slide(simulation, target, simulation.task.opening)
    np.testing.assert_allclose(simulation.object_position(target), goal, atol=1e-4)


def test_opening_both_drawers_is_no_success(simulate):
    simulation = simulate("open-drawer", seed=2)
    world = simulation.world
    _, target, other = drawers(simulation)
    slide(simulation, target, 0.09)
    assert simulation.task.done(world, target)
    slide(simulation, other, 0.09)
    assert not simulation.task.done(world, target)
    assert not simulation.task.done(world, other)


def test_a_drawer_stays_where_it_was_left(simulate):
    simulation = simulate("open-drawer", seed=2)
    cabinet, target, _ = drawers(simulation)
    slide(simulation, target, 0.05)
    simulation.step(1.0)
    assert cabinet.opening(target) == pytest.approx(0.05, abs=1e-3)


def test_a_drawer_opens_only_while_the_robot_touches_it(simulate):
    simulation, expert = simulate("open-drawer", seed=3), Expert()
    cabinet, target, _ = drawers(simulation)
    while not simulation.succeeded():
        action, before = expert.act(simulation), cabinet.opening(target)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
        assert simulation.time < 9.0
        if cabinet.opening(target) > before + 0.002:
            assert simulation.world.touched(target)


def test_a_scene_without_drawers_says_so(simulate):
    with pytest.raises(SimulationError, match="no drawers"):
        simulate("pick").world.opening("red")
