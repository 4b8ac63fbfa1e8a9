# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands or comes in the arm's way: drawn beside the scene, never in it, and counted."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.files import check
from magma_ros.share import share_file
from magma_ros.sim.bullet import PHYSICS_RATE
from magma_ros.sim.expert import Expert
from magma_ros.sim.hazards import IntruderSpec, PostsSpec
from magma_ros.sim.rehearsal import FAR
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.sim.suite import Suite, Variation, load_suite

SEEDS = range(1000, 1004)


def play(simulation):
    """Let the expert do the task, without a guard."""
    expert, steps = Expert(), 0
    while not simulation.succeeded() and steps < simulation.task.step_limit:
        action = expert.act(simulation)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
        steps += 1
    return simulation


@pytest.mark.parametrize("name", ["pick", "place", "pick-blocked", "pick-visited"])
@pytest.mark.parametrize("split", ["seen", "shift"])
def test_what_is_in_the_way_changes_nothing_else_of_a_scene(simulate, name, split):
    hindered = simulate(name, suite="obstacles", split=split, seed=7)
    plain = simulate(hindered.task.of, split=split, seed=7)
    assert hindered.instruction == plain.instruction
    assert hindered.swapped_instruction() == plain.swapped_instruction()
    assert hindered.cameras == plain.cameras
    assert hindered.object_names == plain.object_names
    for thing in plain.object_names:
        np.testing.assert_allclose(
            hindered.object_position(thing), plain.object_position(thing), atol=1e-4
        )
    np.testing.assert_allclose(hindered.proprioception(), plain.proprioception(), atol=1e-4)
    assert plain.contacts == 0
    assert plain.nearest == np.inf


@pytest.mark.parametrize("name", ["pick", "place"])
def test_posts_beside_the_way_are_passed_without_contact(simulate, name):
    least, most = load_suite("obstacles").task(name).posts.gap
    for seed in SEEDS:
        simulation = play(simulate(name, suite="obstacles", seed=seed))
        assert simulation.succeeded()
        assert simulation.contacts == 0
        # The expert's way is not quite straight.
        assert least - 0.02 < simulation.nearest < most + 0.02, seed


def test_a_post_in_the_way_is_run_into(simulate):
    touched = [play(simulate("pick-blocked", suite="obstacles", seed=s)) for s in SEEDS]
    assert sum(simulation.contacts > 0 for simulation in touched) >= 2
    assert all(simulation.nearest < 0.03 for simulation in touched)


def test_posts_hide_neither_target_nor_tray(simulate):
    for seed in SEEDS:
        simulation = simulate("place", suite="obstacles", seed=seed)
        depth = simulation.depth("front", 320, 240)
        matrix, mount = simulation.camera_matrix("front", (320, 240)), simulation.mount("front")
        target = simulation.object_position(simulation.target_name)
        target[2] = simulation.world.object_height
        for spot in (target, simulation.world.tray_position):
            seen_from = Rotation.from_quat(mount.quaternion).inv().apply(spot - mount.position)
            column, row, _ = matrix @ seen_from / seen_from[2]
            found = depth[round(row), round(column)]
            assert found > seen_from[2] - 0.02, "something stands before it"


def test_a_contact_counts_once_until_it_ends(simulate):
    simulation = simulate("pick-blocked", suite="obstacles", seed=1000)
    post = simulation.world.monitor.bodies[0]
    (x, y, _), _ = simulation.world._bullet.getBasePositionAndOrientation(post)
    for _ in range(40):
        to = np.array([x, y, 0.12]) - simulation.ee_pose().position
        simulation.command(np.append(np.clip(5 * to, -0.2, 0.2), np.zeros(3)), 1.0)
        simulation.step(0.1)
    assert simulation.world.monitor.touching
    assert 1 <= simulation.contacts < 10
    assert simulation.nearest <= 0.0


def test_what_the_gripper_holds_must_not_touch_either(simulate):
    simulation = play(simulate("pick", suite="obstacles", seed=1000))
    world, post = simulation.world, simulation.world.monitor.bodies[0]
    name, bullet = simulation.target_name, simulation.world._bullet
    assert world.held(name)
    assert simulation.contacts == 0
    low, high = bullet.getAABB(post)
    bottom = bullet.getAABB(world._objects[name])[0][2]
    x, y, _ = world.position(name)
    under = bottom - (high[2] - low[2]) / 2
    bullet.resetBasePositionAndOrientation(post, [x, y, under - 0.01], [0, 0, 0, 1])
    assert world.monitor.measure() == pytest.approx(0.01, abs=2e-3)
    bullet.resetBasePositionAndOrientation(post, [x, y, under + 0.004], [0, 0, 0, 1])
    world.advance()
    assert simulation.contacts == 1
    assert not bullet.getContactPoints(world.arm.body, post), "else this shows nothing"


def test_a_hand_comes_in_stays_and_leaves_without_touching_an_arm_at_rest(simulate):
    for seed in SEEDS:
        simulation = simulate("pick-visited", suite="obstacles", seed=seed)
        intruder, spec = simulation.world._intruder, simulation.task.intruder
        visit = intruder.visit
        assert simulation.world.monitor.measure() >= min(2 * spec.keep, FAR)
        before = intruder.inside
        simulation.step(0.5)
        assert intruder.inside == before, "nobody comes before the robot has begun to move"
        simulation.command(np.array([0, 0, 1e-4, 0, 0, 0]), 1.0)
        simulation.step(0.05)
        simulation.command(np.zeros(6), 1.0)
        inside = [intruder.inside]
        while simulation.time < 0.5 + visit.departure + visit.length / visit.speed + 0.5:
            simulation.step(0.025)
            inside.append(intruder.inside)
        speeds = np.abs(np.diff(inside)) * visit.length / 0.025
        assert speeds.max() < spec.speed[1] + 1e-6
        assert max(inside) > 0.5, "it comes in"
        assert inside[-1] == 0.0, "it leaves"
        assert simulation.contacts == 0
        assert simulation.nearest >= spec.keep - 1e-3


def test_an_arm_that_runs_into_the_hand_is_counted(simulate):
    simulation = simulate("pick-visited", suite="obstacles", seed=1000)
    simulation.command(np.array([0, 0, 1e-4, 0, 0, 0]), 1.0)
    while simulation.world._intruder.inside < 0.9:
        simulation.step(1 / PHYSICS_RATE)
    for _ in range(10):
        hand, _ = simulation.world._bullet.getBasePositionAndOrientation(
            simulation.world._intruder.bodies[0]
        )
        to = np.array(hand) - simulation.ee_pose().position
        simulation.command(np.append(np.clip(5 * to, -0.25, 0.25), np.zeros(3)), 1.0)
        simulation.step(0.1)
    assert simulation.contacts >= 1


def test_the_same_seed_gives_the_same_obstacles(simulate):
    for name in ("pick", "pick-visited"):
        ours, theirs = (simulate(name, suite="obstacles", seed=11) for _ in range(2))
        for simulation in (ours, theirs):
            simulation.step(1.0)
        first, second = (s.depth("front", 160, 120) for s in (ours, theirs))
        np.testing.assert_array_equal(first, second)


POSTS = {"count": (1, 2), "side": (0.03, 0.05), "height": (0.1, 0.2), "gap": (0.05, 0.1)}
POSTS |= {"start": 0.08, "colour": (0.5, 0.5, 0.5)}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (POSTS | {"gap": (0.1, 0.05)}, "gap must go from the least to the greatest"),
        (POSTS | {"side": (0.0, 0.05)}, "side"),
    ],
)
def test_posts_that_cannot_be_drawn_are_refused(spec, wrong):
    with pytest.raises(SimulationError, match=wrong):
        check(spec, PostsSpec, share_file("sim", "suites", "obstacles.yaml"), SimulationError)


def test_only_pick_and_place_can_be_hindered():
    data = {
        "scenes_of": "tabletop",
        "tasks": {"x": {"of": "push", "step_limit": 9, "posts": POSTS}},
    }
    variation = Variation.model_validate(data)
    with pytest.raises(SimulationError, match="posts and intruder belong to pick and place"):
        check(variation.whole(), Suite, share_file("sim", "suites"), SimulationError)


def test_a_variation_names_a_suite_and_a_task_that_exist():
    task = {"of": "fold", "step_limit": 9}
    with pytest.raises(SimulationError, match="there is no task 'fold'"):
        Variation.model_validate({"scenes_of": "tabletop", "tasks": {"x": task}}).whole()
    with pytest.raises(SimulationError, match="there is no suite 'kitchen'"):
        Variation.model_validate({"scenes_of": "kitchen", "tasks": {}}).whole()


def test_a_visit_is_drawn_from_spans_in_order():
    spec = load_suite("obstacles").task("pick-visited").intruder.model_dump()
    with pytest.raises(SimulationError, match="speed must go from the least to the greatest"):
        check(spec | {"speed": (0.3, 0.1)}, IntruderSpec, share_file("sim"), SimulationError)
