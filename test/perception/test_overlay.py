# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traces appear where they say, in the colour of their mark, on a copy."""

import re

import numpy as np
import pytest

from magma_ros.console.server import STATIC
from magma_ros.perception.marks import Mark
from magma_ros.perception.overlay import (
    COLOURS,
    DIGIT_SHARE,
    DISC,
    DISC_SHARE,
    PATHS,
    draw_marks,
    draw_numbers,
    draw_paths,
    draw_trace,
)
from magma_ros.types import TRACE_GRID, Trace

GREY = 90


@pytest.fixture
def image():
    return np.full((128, 256, 3), GREY, np.uint8)


def make_trace(gripper, target):
    points = np.stack([np.array(gripper, float), np.array(target, float)], axis=1)
    return Trace("front", 0.2 * np.arange(1, len(points) + 1), points)


def has_colour(drawn, column, row, mark):
    return np.array_equal(drawn[row, column], COLOURS[mark])


def test_a_trace_is_scaled_from_the_grid_to_the_image(image):
    """Half of the grid is the middle of an image of any size and shape."""
    middle = TRACE_GRID / 2
    trace = make_trace([(32, middle), (96, middle)], [(200, 64), (200, 192)])
    drawn = draw_trace(image, trace)
    assert all(has_colour(drawn, column, 64, "gripper") for column in range(34, 94))
    assert all(has_colour(drawn, 200, row, "target") for row in range(34, 94))
    far = drawn[:, 110:190]
    assert (far == GREY).all()


def test_the_end_of_a_path_is_a_dot(image):
    drawn = draw_paths(image, {"gripper": np.array([[40.5, 64.5], [100.5, 64.5]])})
    rows_at_start = np.any(drawn[:, 45] != GREY, axis=-1).sum()
    rows_at_end = np.any(drawn[:, 100] != GREY, axis=-1).sum()
    assert rows_at_end > rows_at_start


def test_a_mark_that_stays_is_still_seen(image):
    drawn = draw_trace(image, make_trace([(64, 64)] * 3, [(192, 192)] * 3))
    assert has_colour(drawn, 64, 32, "gripper")
    assert has_colour(drawn, 192, 96, "target")


def test_a_path_out_of_the_picture_is_drawn_up_to_its_edge(image):
    path = np.array([[200.0, 64.0], [300.0, 64.0], [1e30, 64.0]])
    drawn = draw_paths(image, {"target": path})
    assert has_colour(drawn, 255, 63, "target") or has_colour(drawn, 255, 64, "target")
    assert (drawn[:, :190] == GREY).all()


def test_the_image_given_is_left_as_it_was(image):
    image.setflags(write=False)
    drawn = draw_trace(image[:, ::-1], make_trace([(10, 10)], [(20, 20)]))
    assert drawn.shape == image.shape
    assert (image == GREY).all()
    assert not (drawn == GREY).all()


def make_mark(number, column, row, half=12.0):
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + [column, row]
    return Mark(number, (column, row), corners)


@pytest.mark.parametrize("size", [(96, 96), (480, 640)])
def test_a_mark_is_a_white_number_on_a_red_disc_at_its_point(size):
    grey = np.full((*size, 3), GREY, np.uint8)
    drawn = draw_marks(grey, [make_mark(7, 64.0, 128.0)])
    middle = np.array([64.0 / 256 * size[1], 128.0 / 256 * size[0]])
    rows, columns = np.nonzero((drawn == DISC).all(axis=-1))
    near = np.hypot(columns - middle[0], rows - middle[1]) < 0.05 * size[1]
    assert near.sum() > 40
    rows, columns = np.nonzero((drawn > 150).all(axis=-1))
    near = np.hypot(columns - middle[0], rows - middle[1]) < 0.02 * size[1] + 4
    assert near.sum() >= 5
    assert (grey == GREY).all()


def test_marks_at_the_edge_of_and_beyond_the_picture_do_no_harm(image):
    marks = [make_mark(n, *at) for n, at in enumerate([(0.0, 0.0), (256.0, 256.0), (0.0, 256.0)])]
    drawn = draw_marks(image, [*marks, make_mark(1234, 128.0, 128.0, half=1e9)])
    assert drawn.shape == image.shape


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_a_digit_is_a_little_higher_than_3_percent_of_the_width(width):
    drawn = draw_numbers(np.zeros((width // 2, width, 3), np.uint8), {8: np.array([100.0, 80.0])})
    rows = np.flatnonzero((drawn > 128).all(axis=-1).any(axis=1))
    height = rows[-1] - rows[0] + 1
    assert DIGIT_SHARE * width - 1 < height < 1.2 * DIGIT_SHARE * width + 3


def test_a_long_number_stays_on_its_disc():
    drawn = draw_numbers(np.zeros((480, 640, 3), np.uint8), {8888: np.array([320.0, 240.0])})
    white = np.argwhere((drawn > 128).all(axis=-1))
    red = np.argwhere((drawn == DISC).all(axis=-1))
    assert (white.min(axis=0) > red.min(axis=0)).all()
    assert (white.max(axis=0) < red.max(axis=0)).all()


def test_a_path_without_a_colour_of_its_own_gets_one(image):
    drawn = draw_paths(image, {7: np.array([[40.5, 64.5], [100.5, 64.5]])})
    assert (drawn[64, 70] == PATHS[0]).all()


def test_the_page_draws_marks_in_the_same_proportions():
    """It draws them itself, in SVG, so that they can be clicked."""
    script, styles = (
        (STATIC / name).read_text(encoding="utf-8") for name in ("cameras.js", "pictures.css")
    )
    shares = {n: float(v) for n, v in re.findall(r"const (DIGIT|DISC) = ([\d.]+);", script)}
    assert shares == {"DIGIT": DIGIT_SHARE, "DISC": DISC_SHARE}
    assert DISC == (255, 0, 0)
    assert re.search(r"\.mark circle \{\s*fill: #f00;", styles)
