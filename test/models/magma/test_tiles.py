# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Into how many tiles a picture is cut: the sizes of common cameras."""

import pytest

from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.tiles import choose_tiles


@pytest.mark.parametrize(
    ("size", "grid", "tokens"),
    [
        ((224, 224), (1, 1), 272),
        ((256, 256), (1, 1), 272),
        ((320, 240), (1, 1), 272),
        ((512, 512), (1, 1), 272),
        ((640, 480), (1, 2), 528),
        ((848, 480), (1, 2), 528),
        ((480, 640), (2, 1), 544),
        ((1280, 720), (2, 2), 1056),
        ((1920, 1080), (2, 2), 1056),
    ],
)
def test_cameras_are_cut_into_the_tiles_that_magma_cuts_them_into(size, grid, tokens):
    assert choose_tiles(*size, MAGMA_8B.vision) == grid
    assert MAGMA_8B.image_tokens(*grid) == tokens


@pytest.mark.parametrize("size", [(4000, 100), (100, 4000), (1, 1), (5000, 5000)])
def test_no_picture_is_cut_into_more_tiles_than_allowed(size):
    rows, columns = choose_tiles(*size, MAGMA_8B.vision)
    assert 1 <= rows * columns <= MAGMA_8B.vision.max_tiles
