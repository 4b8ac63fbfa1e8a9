# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The belt: objects ride on it whatever the robot does, and its motion is a function of time."""

import numpy as np
import pytest
import yaml

from magma_ros.files import read_yaml
from magma_ros.sim.layout import draw_belt_layout
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import Suite, load_suite

TASKS = tuple(load_suite("moving").tasks)
STEADY = tuple(task for task in TASKS if task != "track")


def object_speeds(simulation, duration):
    """Mean velocities of all objects over a duration, (N, 3) [m/s]."""
    names = simulation.object_names
    before = np.array([simulation.object_position(name) for name in names])
    simulation.step(duration)
    after = np.array([simulation.object_position(name) for name in names])
    return (after - before) / duration


@pytest.mark.parametrize("task", STEADY)
def test_all_objects_ride_at_the_speed_of_the_belt(simulate, task):
    slowest, fastest = load_suite("moving").task(task).belt.speed
    for seed in range(4):
        simulation = simulate(task, suite="moving", seed=seed)
        belt = simulation.world.ground_velocity(simulation.object_position(simulation.target_name))
        assert slowest <= abs(belt[1]) <= fastest
        np.testing.assert_allclose(
            object_speeds(simulation, 1.0),
            np.tile(belt, (len(simulation.object_names), 1)),
            atol=1e-3,
        )


def test_the_belt_goes_either_way():
    suite, rng = load_suite("moving"), np.random.default_rng(0)
    belt, drive = suite.scene.belt, suite.task("intercept").belt
    layouts = [
        draw_belt_layout(suite, belt, drive, suite.split("seen"), rng, clear_path=False)
        for _ in range(20)
    ]
    assert {np.sign(layout.belt.speed) for layout in layouts} == {-1.0, 1.0}
    for layout in layouts:
        poses = np.array([at.pose for at in layout.objects.values()])
        along = poses[:, 1] * np.sign(layout.belt.speed)
        assert np.all((along >= drive.start[0]) & (along <= drive.start[1]))


def test_the_swing_of_track_comes_back_after_a_period(simulate):
    simulation = simulate("track", suite="moving", seed=1)
    period = simulation.task.belt.period
    start = simulation.object_position(simulation.target_name)
    far = 0.0
    for _ in range(10):
        simulation.step(period / 10)
        way = simulation.object_position(simulation.target_name) - start
        far = max(far, float(np.linalg.norm(way)))
    assert far > 0.03
    assert np.linalg.norm(way) < 0.002


def test_the_belt_does_not_wait_for_the_robot(simulate):
    idle, busy = (simulate("conveyor-pick", suite="moving", seed=2) for _ in range(2))
    busy.command(np.array([0.0, 0.3, 0.1, 0.0, 0.0, 1.0]), 0.0)
    for simulation in (idle, busy):
        simulation.step(1.5)
    for name in idle.object_names:
        np.testing.assert_allclose(
            idle.object_position(name), busy.object_position(name), atol=1e-6
        )


def test_a_catch_needs_touch_and_closeness(simulate):
    simulation = simulate("intercept", suite="moving", seed=0)
    world, name = simulation.world, simulation.target_name
    body = world._objects[name]
    world._bullet.resetBasePositionAndOrientation(
        body, list(world.tool_position()), [0.0, 0.0, 0.0, 1.0]
    )
    assert not simulation.task.done(world, name)  # near, but the fingers are open
    simulation.command(np.zeros(6), 0.0)
    while not world.touched(name):
        world._bullet.resetBaseVelocity(body, [0.0] * 3, [0.0] * 3)
        simulation.step(1 / 240)
        assert simulation.time < 2.0
    assert simulation.task.done(world, name)


def test_the_ground_of_a_still_world_stands_still(simulate):
    assert not simulate("pick").world.ground_velocity(np.array([0.44, 0.0, 0.02])).any()


@pytest.mark.parametrize(("suite", "part"), [("tabletop", "cabinet"), ("moving", "belt")])
def test_a_suite_whose_scene_lacks_what_a_task_needs_is_refused(tmp_path, suite, part):
    data = load_suite(suite).model_dump(mode="json")
    data["scene"][part] = None
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(SimulationError, match=f"needs scene.{part}"):
        read_yaml(path, Suite, error=SimulationError)
