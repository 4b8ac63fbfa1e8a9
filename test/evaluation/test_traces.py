# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trace is judged by where the marks are seen when its times come."""

import numpy as np
import pytest

from magma_ros.evaluation.play.traces import TruePaths
from magma_ros.sim.benchmark import SimulatedWorld
from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.types import TRACE_GRID, Trace

TIMES = np.array([0.2, 0.4, 0.6])
STEPS = 8


@pytest.fixture
def played():
    """Eight steps of the expert: the paths, and the marks' pixels after each step by camera."""
    world = SimulatedWorld("moving")
    world.reset("track", "seen", 3)
    simulation = world.simulation
    target = simulation.target_name
    paths = TruePaths(world, swapped=False)
    grid = {n: TRACE_GRID / np.array([c.width, c.height]) for n, c in simulation.cameras.items()}

    def marks(camera):
        points = simulation.ee_pose().position, simulation.object_position(target)
        return [simulation.project(camera, point) * grid[camera] for point in points]

    seen = [{camera: marks(camera) for camera in grid}]
    for _ in range(STEPS):
        action = Expert().act(simulation)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
        paths.sample()
        seen.append({camera: marks(camera) for camera in grid})
    world.close()
    return paths, seen


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_the_truth_has_no_error_and_an_offset_has_its_length(played, camera):
    paths, seen = played
    truth = np.array([seen[step][camera] for step in (3, 5, 7)])
    assert paths.errors(0.1, Trace(camera, TIMES, truth)) == pytest.approx(np.zeros((3, 2)))
    shifted = truth + np.array([[3.0, 4.0], [0.0, 2.0]])
    errors = paths.errors(0.1, Trace(camera, TIMES, shifted))
    assert errors == pytest.approx(np.tile([5.0, 2.0], (3, 1)))


def test_between_two_steps_the_truth_lies_between(played):
    paths, seen = played
    middle = (np.array(seen[2]["front"]) + np.array(seen[3]["front"])) / 2
    trace = Trace("front", np.array([0.2]), middle[np.newaxis])
    assert paths.errors(0.05, trace) == pytest.approx(np.zeros((1, 2)))


@pytest.mark.parametrize(("stamp", "counted"), [(0.2, 3), (0.3, 2), (0.6, 1), (0.7, 0)])
def test_points_after_the_end_do_not_count(played, stamp, counted):
    paths, _ = played
    assert paths.errors(stamp, Trace("front", TIMES, np.zeros((3, 2, 2)))).shape == (counted, 2)
