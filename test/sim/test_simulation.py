# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulation: measured, deterministic, and clear about bad input."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from magma_ros.files import read_yaml
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.simulation import PROPRIOCEPTION, TRAINING_SEEDS, Simulation, episode_generator
from magma_ros.sim.suite import Suite, load_suite

FINGERPRINT = """
import hashlib, numpy as np
from magma_ros.sim.simulation import Simulation
digest = hashlib.sha256()
simulation = Simulation("pick", seed=7)
rng = np.random.default_rng(0)
for _ in range(25):
    simulation.command(rng.uniform(-0.2, 0.2, 6), rng.uniform())
    simulation.step(0.1)
    observation = simulation.observation()
    for part in (*observation.images.values(), observation.proprioception):
        digest.update(part.tobytes())
simulation.close()
print(observation.instruction, digest.hexdigest())
"""


def fingerprint():
    """A digest of every pixel and measurement of an episode, computed in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True
    )
    return result.stdout


def test_the_same_seed_gives_the_same_episode_in_every_process(needs):
    needs("sim")
    assert fingerprint() == fingerprint()


def test_another_seed_gives_another_scene(simulate):
    assert not np.array_equal(simulate(seed=1).image("front"), simulate(seed=2).image("front"))


def test_tasks_splits_and_training_never_share_a_scene():
    drawn = {
        tuple(episode_generator("tabletop", task, split, seed).integers(2**62, size=2))
        for task in ("reach", "pick")
        for split in ("seen", "shift")
        for seed in (0, 1, TRAINING_SEEDS)
    }
    assert len(drawn) == 12


def test_observations_have_the_contracted_shapes(simulate):
    observation = simulate().observation()
    assert {name: image.shape for name, image in observation.images.items()} == {
        "front": (96, 96, 3),
        "wrist": (64, 64, 3),
    }
    assert all(image.dtype == np.uint8 for image in observation.images.values())
    assert observation.fields == PROPRIOCEPTION
    assert observation.proprioception.shape == (6,)


def test_the_top_of_every_object_is_visible_in_its_colour_where_it_projects_to(simulate):
    colours = load_suite("tabletop").colours
    for seed in range(5):
        simulation = simulate(seed=seed)
        image = simulation.image("front").astype(float)
        top = np.array([0.0, 0.0, simulation.world.object_height / 2])
        for name in simulation.object_names:
            column, row = simulation.project("front", simulation.object_position(name) + top)
            pixel = image[int(row), int(column)]
            closeness = {
                other: pixel @ rgb / (np.linalg.norm(pixel) * np.linalg.norm(rgb))
                for other, rgb in ((o, np.array(c)) for o, c in colours.items())
            }
            assert max(closeness, key=closeness.get) == name


def test_the_wrist_camera_sees_what_is_between_the_fingers(simulate):
    simulation = simulate()
    arm, size = simulation.world.arm, 64
    column, row = simulation.project("wrist", arm.tool_position())
    assert 0.3 * size < column < 0.7 * size
    assert 0.2 * size < row < 0.8 * size


def test_the_tool_follows_a_twist_and_keeps_pointing_down(simulate):
    simulation = simulate("reach")
    start = simulation.ee_pose()
    yaw = simulation.world.arm.tool_yaw()
    simulation.command(np.array([0.05, -0.1, -0.05, 1.0, 1.0, 0.5]), 0.3)
    simulation.step(1.0)
    pose = simulation.ee_pose()
    assert pose.stamp == simulation.time == pytest.approx(1.0)
    np.testing.assert_allclose(pose.position - start.position, [0.05, -0.1, -0.05], atol=0.002)
    assert simulation.world.arm.tool_yaw() - yaw == pytest.approx(0.5, abs=0.02)
    tool_axis = Rotation.from_quat(pose.quaternion).apply([0.0, 0.0, 1.0])
    np.testing.assert_allclose(tool_axis, [0.0, 0.0, -1.0], atol=0.01)
    assert simulation.gripper_opening() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("corner", [(0.24, -0.34, 0.014), (0.68, 0.34, 0.014), (0.68, -0.34, 0.3)])
def test_the_arm_reaches_every_corner_of_its_workspace_and_stays_inside(simulate, corner):
    simulation = simulate("reach")
    way = np.sign(np.array(corner) - simulation.world.tool_position())
    for speed in (way * [1.0, 1.0, 0.0], way * [0.0, 0.0, 1.0]):
        simulation.command(np.array([*speed, 0.0, 0.0, 0.0]), 1.0)
        simulation.step(2.5)
    np.testing.assert_allclose(simulation.world.tool_position(), corner, atol=0.004)


def test_commands_beyond_the_limits_are_clipped(simulate):
    fast, limit = simulate("reach", seed=3), simulate("reach", seed=3)
    fast.command(np.array([0.0, 9.0, 0.0, 0.0, 0.0, -99.0]), 7.0)
    limit.command(np.array([0.0, 0.3, 0.0, 0.0, 0.0, -3.0]), 1.0)
    for simulation in (fast, limit):
        simulation.step(0.3)
    np.testing.assert_array_equal(fast.joint_positions(), limit.joint_positions())


@pytest.mark.parametrize("twist", [np.full(6, np.nan), np.zeros(7), np.full(6, np.inf)])
def test_a_command_that_is_no_finite_twist_is_refused(simulate, twist):
    with pytest.raises(SimulationError, match="six finite velocities"):
        simulate().command(twist, 1.0)


def test_time_advances_by_what_was_asked_whatever_the_period(simulate):
    simulation = simulate("reach")
    for _ in range(50):
        simulation.step(0.02)
    assert simulation.time == pytest.approx(1.0, abs=1 / 240)


def test_joint_names_and_measurements_match(simulate):
    simulation = simulate()
    count = len(simulation.joint_names)
    assert simulation.joint_positions().shape == simulation.joint_velocities().shape == (count,)


def test_the_instruction_names_the_target_and_the_swapped_one_another_object(simulate):
    for seed in range(10):
        simulation = simulate("push", seed=seed)
        swapped = simulation.swapped_instruction().split()
        assert simulation.target_name in simulation.instruction.split()
        assert simulation.target_name not in swapped
        assert simulation.swapped_target_name in swapped
        assert simulation.swapped_target_name in simulation.object_names


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"task": "fly"}, "no task 'fly'; known: reach, push, pick, place.*"),
        ({"suite": "kitchen"}, "no suite 'kitchen'; known: .*tabletop"),
        ({"split": "dark"}, "no split 'dark'; known: seen, varied, shift"),
        ({"seed": -1}, "a seed is 0 or more, not -1"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(kwargs, sentence):
    with pytest.raises(SimulationError, match=sentence):
        Simulation(**{"task": "reach", "seed": 0, **kwargs})


def test_an_unknown_camera_is_answered_with_the_known_ones(simulate):
    with pytest.raises(SimulationError, match="no camera 'rear'; known: front, wrist"):
        simulate().image("rear")


def test_a_missing_physics_engine_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(SimulationError, match=r"needs PyBullet.*Python 3\.11"):
        Simulation("reach", seed=0)


def test_a_wrong_suite_file_is_refused_with_the_place_of_the_fault(tmp_path):
    data = load_suite("tabletop").model_dump()
    data["scene"]["object_hight"] = 0.04
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(SimulationError, match=r"broken\.yaml: unknown field scene\.object_hight"):
        read_yaml(path, Suite, error=SimulationError)


def test_importing_the_simulator_does_not_import_the_engine():
    code = "import sys, magma_ros.sim.simulation; sys.exit('pybullet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_picture_for_people_has_the_size_asked_for(simulate):
    image = simulate().picture(160, 120)
    assert image.shape == (120, 160, 3)
    assert hashlib.sha256(image).hexdigest() != hashlib.sha256(image * 0).hexdigest()
