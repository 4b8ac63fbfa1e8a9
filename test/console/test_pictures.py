# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures cost what is looked at: encoded once for all, no oftener and no wider than said."""

import threading
import time

import numpy as np
import pytest
import simplejpeg

from magma_ros.agent.picture import Picture, PictureError
from magma_ros.console.pictures import Encoding, LatestPicture, encoded


class Camera:
    """Pictures that count how often they are decoded."""

    def __init__(self, width=64, height=48):
        self.width, self.height = width, height
        self.decoded = 0

    def picture(self, problem=None):
        def decode(height, width):
            self.decoded += 1
            time.sleep(0.01)
            if problem:
                raise PictureError(problem)
            return np.full((self.height, self.width, 3), 128, np.uint8)

        return Picture(0.0, "front_camera_optical", self.width, self.height, 0, decode)


@pytest.fixture
def latest():
    return LatestPicture(Encoding(rate=10.0, width=640))


def test_many_who_look_at_once_cost_one_encoding(latest):
    camera = Camera()
    latest.hear(camera.picture(), 100.0)
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(latest.jpeg(-np.inf, 100.0))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert camera.decoded == 1
    assert len({jpeg for jpeg, _ in seen}) == 1
    assert {heard for _, heard in seen} == {100.0}


def test_nobody_who_looks_costs_nothing(latest):
    camera = Camera()
    for tick in range(100):
        latest.hear(camera.picture(), 100.0 + 0.033 * tick)
    assert camera.decoded == 0
    assert latest.rate(103.3) == pytest.approx(30.0, abs=1.0)
    assert latest.age(104.3) == pytest.approx(1.033, abs=1e-6)


def test_pictures_are_encoded_no_oftener_than_said_and_given_once(latest):
    camera, seen = Camera(), -np.inf
    given = 0
    for tick in range(100):  # a camera at 100 Hz and a browser that asks as often
        now = 100.0 + 0.01 * tick
        latest.hear(camera.picture(), now)
        if (found := latest.jpeg(seen, now)) is not None:
            given, seen = given + 1, found[1]
    assert given == camera.decoded
    assert 9 <= given <= 11


def test_picture_that_cannot_be_decoded_is_said_once_and_the_next_is_shown(latest):
    camera = Camera()
    latest.hear(camera.picture("torn"), 100.0)
    with pytest.raises(PictureError):
        latest.jpeg(-np.inf, 100.0)
    assert latest.jpeg(-np.inf, 100.05) is None
    latest.hear(camera.picture(), 100.2)
    assert latest.jpeg(-np.inf, 100.2)[1] == 100.2


@pytest.mark.parametrize(
    ("size", "shown"), [((1280, 720), (640, 360)), ((320, 240), (320, 240)), ((2000, 1), (640, 1))]
)
def test_wide_pictures_are_reduced_and_keep_their_shape(size, shown):
    jpeg = encoded(Camera(*size).picture(), 640)
    height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    assert (width, height) == shown
