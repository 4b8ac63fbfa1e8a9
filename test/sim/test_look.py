# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks: split ``seen`` always looks alike; ``shift`` differs within the bounds its file names."""

import numpy as np
import pytest

from magma_ros.sim.layout import draw_layout
from magma_ros.sim.look import draw_look
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import load_suite, suite_names


def looks(split, count, suite="tabletop"):
    """Pairs of layout and look, as scenes get them."""
    data, rng = load_suite(suite), np.random.default_rng(0)
    variant = data.split(split)
    for _ in range(count):
        layout = draw_layout(data, variant, rng, clear_path=False)
        yield layout, draw_look(data.front_camera, variant, layout, rng)


def axes(camera):
    """Right, up and ahead of a camera, (3, 3)."""
    ahead = np.subtract(camera.look_at, camera.eye)
    right = np.cross(ahead, camera.up)
    rows = (right, np.cross(right, ahead), ahead)
    return np.array([row / np.linalg.norm(row) for row in rows])


def moves_and_turns(drawn, place):
    """By how much cameras are off their place [m] and [deg]."""
    moves, turns = [], []
    for camera in (look.front_camera for _, look in drawn):
        moves.append(np.linalg.norm(np.subtract(camera.eye, place.eye)))
        cosine = (np.trace(axes(camera) @ axes(place).T) - 1.0) / 2.0
        turns.append(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    return np.array(moves), np.array(turns)


@pytest.mark.parametrize("suite", suite_names())
def test_the_camera_of_seen_stands_in_its_place(suite):
    place = load_suite(suite).front_camera
    assert all(look.front_camera == place for _, look in looks("seen", 10, suite))


@pytest.mark.parametrize("suite", suite_names())
def test_the_camera_of_shift_is_off_its_place_by_no_more_than_the_file_says(suite):
    data = load_suite(suite)
    shift = data.split("shift").camera
    moves, turns = moves_and_turns(list(looks("shift", 200, suite)), data.front_camera)
    for amounts, largest in ((moves, shift.move), (turns, shift.turn)):
        assert np.all((amounts > 0.0) & (amounts <= largest + 1e-6))
        assert np.mean(amounts > largest / 2) > 0.3


def test_a_shifted_camera_loses_sight_of_nothing_on_the_table(simulate):
    for suite, task in (("tabletop", "stack"), ("tabletop", "open-drawer"), ("moving", "track")):
        for seed in range(12):
            simulation = simulate(task, suite=suite, split="shift", seed=seed)
            size = [simulation.cameras["front"].width, simulation.cameras["front"].height]
            points = [simulation.object_position(name) for name in simulation.object_names]
            pixels = [simulation.project("front", point) for point in points]
            assert np.all((np.array(pixels) > -1.0) & (np.array(pixels) < np.add(size, 1.0)))
            simulation.close()


def test_a_camera_that_must_lose_sight_of_the_scene_is_refused():
    suite, rng = load_suite("tabletop"), np.random.default_rng(0)
    split = suite.split("shift")
    narrow = suite.front_camera.model_copy(update={"field_of_view": 1.0})
    with pytest.raises(SimulationError, match="loses sight of the scene"):
        draw_look(narrow, split, draw_layout(suite, split, rng, clear_path=False), rng)


def test_the_table_of_seen_is_plain_and_that_of_shift_has_a_pattern(simulate):
    for split, plain in (("seen", True), ("shift", False)):
        for seed in range(4):
            simulation = simulate("reach", split=split, seed=seed)
            table = [[x, y, 0.0] for x in (0.3, 0.4, 0.5) for y in np.linspace(-0.15, 0.15, 13)]
            image = simulation.image("front")
            pixels = [simulation.project("front", np.array(point)).astype(int) for point in table]
            colours = np.unique([image[row, column] for column, row in pixels], axis=0)
            dull = np.ptp(colours.astype(int), axis=1) < 30
            grey = dull & (colours.min(axis=1) > 60) & (colours.max(axis=1) < 130)
            assert (np.sum(grey) == 1) == plain, f"{split} {seed}"
            simulation.close()


def test_patterns_of_shift_are_of_two_colours_and_of_every_kind():
    patterns = [look.pattern for _, look in looks("shift", 30)]
    for pattern in patterns:
        assert len(np.unique(pattern.reshape(-1, 3), axis=0)) == 2
        assert 0.2 < np.mean(pattern == pattern[0, 0]) < 0.8
    assert len({pattern.tobytes() for pattern in patterns}) == len(patterns)


def test_the_light_of_shift_comes_from_about_where_the_file_says():
    light = load_suite("tabletop").split("shift").light
    place = np.array(light.direction) / np.linalg.norm(light.direction)
    angles = []
    for _, look in looks("shift", 50):
        direction = np.array(look.light.direction)
        angles.append(np.degrees(np.arccos(direction @ place / np.linalg.norm(direction))))
    assert 0.25 * light.turn < max(angles) <= light.turn


@pytest.mark.parametrize("suite", suite_names())
def test_shift_has_as_many_objects_more_as_its_file_says_and_at_most_one(suite):
    data = load_suite(suite)
    more = data.split("shift").more
    assert more <= 1
    counts = {len(layout.objects) for layout, _ in looks("shift", 40, suite)}
    assert counts == set(range(data.scene.objects[0], data.scene.objects[1] + more + 1))
