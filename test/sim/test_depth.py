# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth: points computed from it are where the simulation has them, and nothing else changes."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.sim.camera import camera_matrix
from magma_ros.sim.schema import SimulationError

SIZE = 320, 240
ACCURACY = 0.002


def cloud(simulation, camera, size=SIZE):
    """The points that a camera sees, (N, 3) in the base frame, from what a robot would publish."""
    depth = simulation.depth(camera, *size)
    rows, columns = np.nonzero(np.isfinite(depth))
    rays = np.stack([columns, rows, np.ones_like(rows)]).astype(float)
    points = np.linalg.solve(simulation.camera_matrix(camera, size), rays) * depth[rows, columns]
    mount = simulation.mount(camera)
    points = Rotation.from_quat(mount.quaternion).apply(points.T) + mount.position
    if mount.on_tool:
        tool = simulation.ee_pose()
        points = Rotation.from_quat(tool.quaternion).apply(points) + tool.position
    return points


@pytest.mark.parametrize("split", ["seen", "shift"])
def test_tops_of_objects_are_where_the_simulation_has_them(simulate, split):
    simulation = simulate("pick", split=split, seed=5)
    points = cloud(simulation, "front")
    table = points[(points[:, 2] < 0.0005) & (points[:, 2] > -0.0005)]
    assert len(table) > 5000, "the table is hardly seen"
    for name in simulation.object_names:
        centre = simulation.object_position(name)
        near = np.linalg.norm(points[:, :2] - centre[:2], axis=1) < 0.032
        top = points[near & (points[:, 2] > 0.0395) & (points[:, 2] < 0.045)]
        assert len(top) > 50, name
        assert np.abs(top[:, 2] - centre[2] - 0.02).max() < ACCURACY
        # The far edge and both sides of the top are seen to the pixel, some 2.5 mm.
        middle = (top[:, :2].min(axis=0) + top[:, :2].max(axis=0)) / 2
        assert np.linalg.norm(middle - centre[:2]) < ACCURACY, name


def test_the_wrist_camera_moves_with_the_tool(simulate):
    simulation = simulate("pick", seed=5)
    before = simulation.mount("wrist")
    simulation.command(np.array([0.05, 0.02, -0.03, 0, 0, 0.4]), 1.0)
    simulation.step(1.0)
    after = simulation.mount("wrist")
    assert before.on_tool
    np.testing.assert_allclose(after.position, before.position, atol=1e-6)
    np.testing.assert_allclose(after.quaternion, before.quaternion, atol=1e-6)
    points = cloud(simulation, "wrist")
    ground = points[np.abs(points[:, 2]) < ACCURACY]
    assert len(ground) > 10_000


def test_a_post_of_known_faces_is_seen_within_two_millimetres(simulate):
    simulation = simulate("pick", seed=5)
    bullet = simulation.world._bullet
    half = [0.015, 0.02, 0.09]
    box = bullet.createVisualShape(bullet.GEOM_BOX, halfExtents=half)
    bullet.createMultiBody(0.0, -1, box, [0.55, 0.2, 0.09])
    points = cloud(simulation, "front")
    post = points[(np.abs(points[:, :2] - [0.55, 0.2]) < 0.03).all(axis=1) & (points[:, 2] > 0.06)]
    assert len(post) > 100
    assert abs(post[:, 0].max() - 0.565) < ACCURACY, "the face towards the camera"
    assert abs(post[:, 2].max() - 0.18) < ACCURACY, "the top"
    off = np.abs(post - [0.55, 0.2, 0.09]) - half
    assert np.abs(off.max(axis=1)).max() < ACCURACY, "every point lies on its surface"


def test_nothing_is_infinitely_far(simulate):
    depth = simulate("pick", seed=5).depth("front", *SIZE)
    assert depth.shape == (240, 320)
    assert depth.dtype == np.float32
    assert not np.isnan(depth).any()
    assert 0.1 < depth.min() < depth[np.isfinite(depth)].max() < 4.0


def test_depth_leaves_pictures_and_motion_as_they_are(simulate):
    plain, deep = simulate("pick", seed=7), simulate("pick", seed=7)
    for _ in range(5):
        for simulation in (plain, deep):
            simulation.command(np.array([0.1, 0.05, -0.1, 0, 0, 0.2]), 0.5)
            simulation.step(0.1)
        deep.depth("front", *SIZE), deep.depth("wrist", 64, 48)
        ours, theirs = deep.observation(), plain.observation()
        for name, image in theirs.images.items():
            np.testing.assert_array_equal(ours.images[name], image)
        np.testing.assert_array_equal(ours.proprioception, theirs.proprioception)


def test_a_wider_image_keeps_the_scale_of_its_rows(simulate):
    simulation = simulate("pick", seed=5)
    square, wide = simulation.camera_matrix("front"), simulation.camera_matrix("front", (192, 96))
    assert square[0, 0] == square[1, 1] == wide[0, 0] == wide[1, 1]
    np.testing.assert_array_equal(square, camera_matrix(simulation.cameras["front"]))


def test_an_unknown_camera_is_refused(simulate):
    with pytest.raises(SimulationError, match="no camera 'rear'"):
        simulate("pick").depth("rear", *SIZE)
