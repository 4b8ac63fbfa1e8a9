# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects: their shapes, which combinations are held out, and clutter that touches."""

import numpy as np
import pytest

from magma_ros.sim.layout import draw_belt_layout, draw_cabinet_layout, draw_layout
from magma_ros.sim.suite import load_suite, suite_names

ALL = tuple(
    (suite, task)
    for suite in suite_names()
    for task in load_suite(suite).tasks
    if load_suite(suite).scenes_of is None  # others have the scenes of one of these
)
SHAPES = load_suite("tabletop").shapes


def layouts(suite, task, split, count):
    """Layouts as a task gets them."""
    data, rng = load_suite(suite), np.random.default_rng(0)
    kind, look = data.task(task), data.split(split)
    clear = kind.needs_clear_path
    for _ in range(count):
        if kind.needs_cabinet:
            yield draw_cabinet_layout(data, data.scene.cabinet, look, rng)
        elif kind.belt is not None:
            belt = data.scene.belt
            yield draw_belt_layout(data, belt, kind.belt, look, rng, clear_path=clear)
        else:
            yield draw_layout(data, look, rng, clear_path=clear)


def contact(layout):
    """Indices of the two objects that lie closer together than the gap allows, or None."""
    poses = [at.pose for at in layout.objects.values()]
    gap = load_suite("tabletop").scene.gaps.objects
    close = [
        (i, j)
        for j in range(len(poses))
        for i in range(j)
        if np.linalg.norm(poses[i][:2] - poses[j][:2]) < gap
    ]
    assert len(close) <= 1
    return close[0] if close else None


def distance(world, one, other):
    """Between the surfaces of two objects, negative where they interpenetrate [m]."""
    bodies = world._objects
    points = world._bullet.getClosestPoints(bodies[one], bodies[other], 0.05)
    return min(point[8] for point in points)


@pytest.mark.parametrize("name", SHAPES)
def test_the_outline_has_the_width_and_length_that_its_shape_names(name):
    shape = SHAPES[name]
    outline = shape.outline()
    np.testing.assert_allclose(np.ptp(outline, axis=0), [shape.length, shape.width])
    top = outline[np.isclose(outline[:, 1], shape.width / 2)]
    assert len(top) == 2  # fingers grasp between two flat sides


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_looks_alike_in_as_many_turns_as_its_symmetry_says(name):
    shape = SHAPES[name]
    turn = 2 * np.pi / (shape.symmetry or shape.corners)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outline = shape.outline()
    for corner in outline @ rotation.T:
        assert np.min(np.linalg.norm(outline - corner, axis=1)) < 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_the_yaw_to_grasp_at_is_unique_and_told_by_what_is_seen(name):
    shape = SHAPES[name]
    period = 2 * np.pi / (shape.symmetry or 1)
    for yaw in np.linspace(-shape.yaw, shape.yaw, 7):
        assert shape.grasp_yaw(yaw) == pytest.approx(yaw)
        assert shape.grasp_yaw(yaw + period) == pytest.approx(yaw)


def test_an_object_knocked_over_is_still_grasped_across_flat_sides(simulate):
    simulation = simulate("pick", seed=0)
    world, bullet = simulation.world, simulation.world._bullet
    cube = next(n for n, shape in world._shapes.items() if shape is SHAPES["cube"])
    for axis in ([np.pi / 2, 0.0, 0.0], [0.0, np.pi / 2, 0.0]):
        tipped = bullet.getQuaternionFromEuler(axis)
        turned = bullet.getQuaternionFromEuler([0.0, 0.0, 0.3])
        _, pose = bullet.multiplyTransforms([0.0] * 3, turned, [0.0] * 3, tipped)
        bullet.resetBasePositionAndOrientation(world._objects[cube], [0.4, 0.0, 0.02], pose)
        assert world.grasp_yaw(cube) == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_combinations_held_out_never_occur_in_seen(suite, task):
    held_out = set(load_suite(suite).held_out)
    shown = {
        (colour, at.shape)
        for layout in layouts(suite, task, "seen", 150)
        for colour, at in layout.objects.items()
    }
    assert not shown & held_out
    assert {shape for _, shape in shown} == set(SHAPES)


@pytest.mark.parametrize(("suite", "task"), [case for case in ALL if case[1] != "open-drawer"])
def test_targets_of_shift_are_always_of_a_held_out_combination(suite, task):
    held_out = set(load_suite(suite).held_out)
    targets = {
        (layout.targets[0], layout.objects[layout.targets[0]].shape)
        for layout in layouts(suite, task, "shift", 60)
    }
    assert targets == held_out


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_objects_touch_in_the_share_of_scenes_that_the_suite_names(suite, task):
    needed = 3 if load_suite(suite).task(task).needs_clear_path else 2
    drawn = [x for x in layouts(suite, task, "seen", 300) if len(x.objects) >= needed]
    share = np.mean([contact(layout) is not None for layout in drawn])
    assert share == pytest.approx(load_suite(suite).scene.touching, abs=0.1)


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_nothing_touches_a_target_that_needs_a_clear_path_nor_what_is_built_upon(suite, task):
    for layout in layouts(suite, task, "seen", 60):
        pair = contact(layout)
        if pair is None:
            continue
        if load_suite(suite).task(task).needs_clear_path:
            assert pair == (1, 2)
        elif task != "open-drawer":
            assert pair == (0, 1)


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_what_touches_does_so_from_the_start_and_never_interpenetrates(simulate, suite, task):
    pairs = 0
    for seed in range(40):
        if pairs == 3:
            break
        simulation = simulate(task, suite=suite, seed=seed)
        world, names = simulation.world, list(simulation.world._objects)
        gaps = [
            distance(world, one, other)
            for i, other in enumerate(names)
            for one in names[:i]
            if np.linalg.norm(world.position(one) - world.position(other)) < 0.07
        ]
        simulation.close()
        pairs += len(gaps)
        assert all(-5e-4 < gap < 1e-3 for gap in gaps)
    assert pairs == 3
