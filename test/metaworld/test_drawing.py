# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures are those of the protocol, or a part of them."""

from dataclasses import replace

import cv2
import metaworld.env_dict
import mujoco
import numpy as np
import pytest

from magma_ros.metaworld.drawing import CAMERA_PLACE, CUT, PART, PROTOCOL, Canvas, project

# Without shadows and edges drawn smooth: as quick as can be.
PLAIN = replace(PROTOCOL, shadow_map=512, samples=0)


@pytest.fixture(scope="module")
def scene():
    """A scene as the protocol's own program sets it up."""
    kind = metaworld.env_dict.ALL_V3_ENVIRONMENTS["pick-place-v3"]
    made = kind(render_mode="rgb_array", camera_name="corner2")
    made._set_task_called, made._freeze_rand_vec, made.seeded_rand_vec = True, False, True
    made.model.cam_pos[2] = [0.75, 0.075, 0.7]
    made.seed(3)
    made.reset()
    yield made
    made.close()


def drawn(scene, drawing):
    canvas = Canvas(scene.model, drawing)
    picture = canvas.draw(scene.model, scene.data)
    canvas.close()
    return picture


def test_the_protocols_picture_is_gymnasiums_flipped_on_both_axes_to_the_pixel(scene):
    reference = np.flip(scene.render(), (0, 1))
    np.testing.assert_array_equal(drawn(scene, PROTOCOL), reference)
    assert scene.model.camera("corner2").pos.tolist() == list(CAMERA_PLACE)


def test_a_part_of_the_view_is_what_the_whole_shows_there(scene):
    whole = drawn(scene, replace(PLAIN, width=600, height=600))
    left, top, right, bottom = (round(600 * edge) for edge in PART.view)
    cut = cv2.resize(whole[top:bottom, left:right], (192, 192), interpolation=cv2.INTER_AREA)
    difference = np.abs(drawn(scene, PART).astype(int) - cut)
    assert difference.mean() < 5.0
    shifted = np.abs(drawn(scene, PART).astype(int)[:, :-4] - cut[:, 4:])
    assert shifted.mean() > 1.5 * difference.mean()


def test_of_the_protocols_picture_the_same_part_is_cut_out(scene):
    cut, part = drawn(scene, CUT), drawn(scene, PART)
    assert cut.shape == part.shape == (192, 192, 3)
    whole = drawn(scene, PROTOCOL)[115:422, 134:442]
    np.testing.assert_array_equal(cut, cv2.resize(whole, (192, 192), interpolation=cv2.INTER_AREA))
    difference = np.abs(cut.astype(int) - part)
    assert difference.mean() < 5.0
    shifted = np.abs(cut.astype(int)[:, :-4] - part[:, 4:])
    assert shifted.mean() > 1.5 * difference.mean()


def test_a_wide_picture_shows_more_at_the_sides_and_nothing_else_at_the_same_height(scene):
    wide = drawn(scene, replace(PLAIN, width=320, height=240))
    square = drawn(scene, replace(PLAIN, width=240, height=240))
    assert np.abs(wide[:, 40:280].astype(int) - square).mean() < 1.0


@pytest.mark.parametrize("drawing", [PART, CUT])
@pytest.mark.parametrize("place", [(0.0, 0.6, 0.02), (0.1, 0.8, 0.2), (0.2, 0.65, 0.1)])
def test_a_point_is_projected_to_where_it_is_drawn(scene, drawing, place):
    scene.model.site("goal").pos = place  # a blue ball
    mujoco.mj_forward(scene.model, scene.data)
    red, green, blue = np.moveaxis(drawn(scene, drawing).astype(int), 2, 0)
    rows, columns = np.nonzero(blue > np.maximum(red, green) + 50)
    found = np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2.0 + 0.5
    told = drawing.in_view(project(scene.model, scene.data, np.array(place))) * 192
    assert np.linalg.norm(found - told) < 2.0
