# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points stay on what they began on, and a camera that moves is told from things that do."""

import cv2
import numpy as np
import pytest

from magma_ros.perception.error import PerceptionError
from magma_ros.perception.tracks import Tracks, camera_moves, follow, homographies, warped

SIZE = (160, 120)


def textured(size, seed=0):
    """A picture with corners everywhere, smooth enough for flow."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 216, (size[1] // 6, size[0] // 6, 3)).astype(np.uint8)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def motion(step):
    """From the first frame to a later one: a turn, a shift and some perspective."""
    angle = 0.008 * step
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    homography = np.eye(3)
    homography[:2, :2] = rotation * (1.0 + 0.005 * step)
    homography[:2, 2] = [1.6 * step, -0.9 * step]
    homography[2, :2] = [2e-5 * step, -1e-5 * step]
    return homography


@pytest.fixture(scope="module")
def ground():
    return textured(SIZE)


def panned(ground, count=10):
    return [
        cv2.warpPerspective(ground, motion(step), SIZE, borderMode=cv2.BORDER_REFLECT)
        for step in range(count)
    ]


def test_points_follow_a_known_motion_of_the_picture(ground):
    tracks = follow(panned(ground))
    seen = tracks.visible[-1]
    assert seen.sum() > 100
    where = cv2.perspectiveTransform(tracks.points[0][None].astype(float), motion(9))[0]
    assert np.median(np.linalg.norm(tracks.points[-1] - where, axis=1)[seen]) < 0.3


def test_a_moving_camera_is_known_and_its_motion_found(ground):
    tracks = follow(panned(ground)).mostly_visible()
    assert camera_moves(tracks)
    found = homographies(tracks)
    corners = np.array([[[20.0, 20.0], [140.0, 20.0], [140.0, 100.0], [20.0, 100.0]]])
    for frame in (3, 9):
        there = cv2.perspectiveTransform(corners, motion(frame))
        back = cv2.perspectiveTransform(there, found[frame])
        assert np.abs(back - corners).max() < 1.0
    assert np.median(warped(tracks, found).mean_step()) < 0.1
    onto_last = homographies(tracks, 9)
    there = cv2.perspectiveTransform(corners, onto_last[0])
    assert np.abs(there - cv2.perspectiveTransform(corners, motion(9))).max() < 1.0


def test_a_still_camera_is_no_moving_one(ground):
    tracks = follow([ground] * 4)
    assert tracks.visible.all()
    assert not camera_moves(tracks)
    assert not camera_moves(Tracks(np.zeros((3, 0, 2)), np.zeros((3, 0), bool)))


def test_what_is_covered_is_lost_and_stays_lost(ground):
    covered = ground.copy()
    covered[40:90, 50:110] = textured((60, 50), seed=9)
    tracks = follow([ground, covered, ground])
    column, row = tracks.points[0].T
    under = (column > 58) & (column < 102) & (row > 48) & (row < 82)
    assert under.any()
    lost = ~tracks.visible[1]
    assert lost[under].mean() > 0.8
    assert not tracks.visible[2][lost].any()
    np.testing.assert_array_equal(tracks.points[2][lost], tracks.points[0][lost])


def test_a_frame_with_too_little_in_common_counts_as_hidden():
    points = np.random.default_rng(0).uniform(0, 100, (2, 7, 2))
    tracks = Tracks(points, np.ones((2, 7), bool))
    found = homographies(tracks)
    assert found[1] is None
    assert not warped(tracks, found).visible[1].any()


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "no frame"),
        ([textured(SIZE)], "a single frame"),
        ([textured(SIZE), textured((80, 60))], "frame 1 of the video has 80 x 60 pixels"),
        ([np.full((60, 80, 3), 90, np.uint8)] * 2, "texture"),
    ],
)
def test_a_video_in_which_nothing_can_be_followed_is_refused(frames, says):
    with pytest.raises(PerceptionError, match=says):
        follow(frames)
