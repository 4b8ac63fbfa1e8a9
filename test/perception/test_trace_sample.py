# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What moves becomes a trace, whatever the camera does; where nothing moves, marks are located."""

import cv2
import numpy as np
import pytest

from magma_ros.perception.error import PerceptionError
from magma_ros.perception.mark_text import (
    MarkTextError,
    in_pixels,
    locate_question,
    parse_answer,
    parse_places,
    parse_question,
)
from magma_ros.perception.trace_sample import SampleConfig, make_sample
from magma_ros.perception.tracks import Tracks, follow

SIZE = (256, 192)
STEPS = 17


def pan(step):
    """Of the camera: what stands still goes up and to the left."""
    homography = np.eye(3)
    homography[:2, 2] = [-2.0 * step, -1.0 * step]
    homography[2, 0] = 1e-5 * step
    return homography


def made(*, camera=False, thing=(5.0, 1.5), still=40, moving=8, seed=0):
    """Tracks with known truth: points on the ground, and others on a thing that moves [px]."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform([60, 60], [250, 186], (still, 2))
    held = rng.uniform([70, 70], [100, 100], (moving, 2))
    frames = []
    for step in range(STEPS):
        at = np.concatenate([ground, held + np.array(thing) * step])
        frames.append(cv2.perspectiveTransform(at[None], pan(step))[0] if camera else at)
    return Tracks(np.array(frames), np.ones((STEPS, still + moving), bool))


def truth(start, path, *, camera):
    """Where the thing's point goes from ``path[0]`` on, seen from the camera at the start."""
    home = np.linalg.inv(pan(start)) if camera else np.eye(3)
    first = cv2.perspectiveTransform(path[:1][None], home)[0]
    later = first + np.array([5.0, 1.5]) * np.arange(STEPS - start)[:, None]
    return cv2.perspectiveTransform(later[None], pan(start) if camera else np.eye(3))[0]


@pytest.mark.parametrize("camera", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_traces_are_those_of_what_moves_seen_from_where_the_camera_began(camera, seed):
    sample = make_sample(made(camera=camera), SIZE, "push the cube", seed=seed)
    assert sample.camera_moved is camera
    assert 2 <= len(sample.traces) <= 4
    assert 4 <= len(sample.points) - len(sample.traces) <= 9
    for path in sample.paths().values():
        expected = truth(sample.start, path, camera=camera)
        # Any place of the trace lies on the way of that point, to within a cell or so.
        away = np.linalg.norm(path[:, None] - expected[None], axis=-1).min(axis=1)
        assert away.max() < 3.0
        assert np.linalg.norm(path[-1] - path[0]) > 20.0


def test_no_more_than_the_drawn_share_of_motion_is_over_at_the_start():
    starts = [make_sample(made(), SIZE, "push", seed=seed).start for seed in range(60)]
    assert max(starts) <= 0.7 * (STEPS - 1)
    assert min(starts) < 3
    assert len(set(starts)) > 6


def test_numbers_are_in_random_order_and_the_same_for_a_seed():
    one, again = (make_sample(made(), SIZE, "push", seed=3) for _ in range(2))
    assert one.to_json() == again.to_json()
    moving = {tuple(make_sample(made(), SIZE, "push", seed=s).traces) for s in range(10)}
    assert len(moving) > 5
    assert sorted(one.points) == list(range(1, len(one.points) + 1))


def test_question_and_answer_agree_and_can_be_read():
    sample = make_sample(made(), SIZE, "push the cube", seed=1)
    asked = parse_question(sample.question)
    assert asked.marks == tuple(range(1, len(sample.points) + 1))
    assert asked.task == "push the cube"
    assert parse_answer(sample.answer, asked.marks) == sample.traces
    assert asked.steps == max(map(len, sample.traces.values())) - 1
    assert 4 <= asked.speed <= 6  # 5.2 pixels a step of 256 pixels and cells in width
    for number, trace in sample.traces.items():
        start = in_pixels(trace[:1], SIZE)[0]
        assert np.abs(start - sample.points[number]).max() <= 1.0


def test_where_nothing_moves_all_marks_are_located():
    sample = make_sample(made(moving=0), SIZE, "wait")
    assert sample.traces == {}
    assert sample.question == locate_question()
    assert parse_places(sample.answer).keys() == sample.points.keys()


def test_what_creeps_is_no_trace():
    """Foreground by its pixels, but too slow in cells of the grid."""
    config = SampleConfig(moving=0.2)
    sample = make_sample(made(thing=(0.05, 0.3)), (4000, 4000), "creep", config=config)
    assert sample.traces == {}


def test_points_of_a_trace_lie_apart():
    config = SampleConfig(moving=0.5)
    sample = make_sample(made(thing=(0.9, 0.0)), SIZE, "push", config=config)
    assert sample.traces
    for path in sample.paths().values():
        assert (np.linalg.norm(np.diff(path, axis=0), axis=1) >= 1.0).all()


def test_a_point_that_is_hidden_most_of_the_time_is_no_mark():
    tracks = made()
    tracks.visible[6:] = False
    with pytest.raises(PerceptionError, match="more than half the frames"):
        make_sample(tracks, SIZE, "push")


def test_the_older_grid_is_written_too():
    sample = make_sample(made(), SIZE, "push", config=SampleConfig(grid=200))
    assert "200x200" in sample.question
    assert parse_answer(sample.answer, grid=200) == sample.traces


def test_a_task_of_two_lines_is_refused():
    for tracks in (made(), made(moving=0)):
        with pytest.raises(MarkTextError, match="one line"):
            make_sample(tracks, SIZE, "push\nit")


@pytest.fixture(scope="module")
def video():
    """The simulated arm pushes something, every frame a step of 0.2 s; the camera stands still."""
    from magma_ros.sim.expert import Expert
    from magma_ros.sim.simulation import Simulation

    simulation, expert = Simulation("push", seed=1), Expert()
    frames = []
    for _ in range(STEPS):
        frames.append(simulation.picture(*SIZE))
        action = expert.act(simulation)
        simulation.command(action[:6] / 0.2, action[6])
        simulation.step(0.2)
    simulation.close()
    return frames


def changed(video, start):
    """Where the picture changes after the start at all, with a margin."""
    later = np.stack(video[start + 1 :]).astype(int)
    differs = (np.abs(later - video[start]).max(axis=(0, -1)) > 12).astype(np.uint8)
    return cv2.dilate(differs, np.ones((7, 7), np.uint8)) > 0


@pytest.mark.parametrize("camera", [False, True])
def test_in_a_video_of_the_simulator_marks_move_where_something_moves(video, camera):
    shaken = [
        cv2.warpPerspective(frame, pan(step), SIZE, borderMode=cv2.BORDER_REFLECT)
        for step, frame in enumerate(video)
    ]
    tracks = follow(shaken if camera else video)
    sample = make_sample(tracks, SIZE, "push the cube", seed=2, egocentric=camera)
    assert sample.traces
    assert len(sample.points) > len(sample.traces)
    home = np.linalg.inv(pan(sample.start)) if camera else np.eye(3)
    moving = changed(video, sample.start)
    for number in sample.traces:
        column, row = cv2.perspectiveTransform(sample.points[number][None, None], home)[0, 0]
        assert moving[round(row), round(column)], number
