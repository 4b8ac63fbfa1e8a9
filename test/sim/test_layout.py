# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts: nothing lies too close, the target comes first, pushes have a clear way."""

import itertools

import numpy as np
import pytest

from magma_ros.sim.layout import draw_layout
from magma_ros.sim.suite import load_suite

SUITE = load_suite("tabletop")
SCENE = SUITE.scene


def layouts(split="seen", *, clear_path=False, count=100):
    rng = np.random.default_rng(5)
    return [
        draw_layout(SCENE, SUITE.split(split), rng, clear_path=clear_path) for _ in range(count)
    ]


def test_everything_keeps_its_distance_and_lies_in_the_area():
    gaps = SCENE.gaps
    for layout in layouts():
        cubes = [pose[:2] for pose in layout.cubes.values()]
        for cube in cubes:
            assert np.linalg.norm(cube - layout.zone) >= gaps.cube_to_zone
            assert np.linalg.norm(cube - layout.tray) >= gaps.cube_to_tray
        for one, other in itertools.combinations(cubes, 2):
            assert np.linalg.norm(one - other) >= gaps.cubes
        assert np.linalg.norm(layout.zone - layout.tray) >= gaps.zone_to_tray
        for point in (*cubes, layout.zone, layout.tray):
            assert np.all(point >= SCENE.area.low)
            assert np.all(point <= SCENE.area.high)


@pytest.mark.parametrize("split", ["seen", "shift"])
def test_colours_come_from_the_split_and_the_target_from_its_targets(split):
    spec = SUITE.split(split)
    fewest, most = SCENE.cubes
    drawn = layouts(split)
    for layout in drawn:
        target, *others = layout.cubes
        assert target in spec.targets
        assert set(others) <= set(spec.distractors)
        assert fewest <= len(layout.cubes) <= most
    assert {next(iter(layout.cubes)) for layout in drawn} == set(spec.targets)


def test_shifted_scenes_hold_colours_never_seen_in_training():
    seen = set(SUITE.split("seen").distractors)
    assert any(set(layout.cubes) - seen for layout in layouts("shift"))


def test_nothing_stands_in_the_way_of_a_push():
    for layout in layouts(clear_path=True):
        target, *others = (pose[:2] for pose in layout.cubes.values())
        for share in np.linspace(0.0, 1.0, 50):
            point = target + share * (layout.zone - target)
            assert all(np.linalg.norm(point - o) >= SCENE.path.cubes - 1e-9 for o in others)
            assert np.linalg.norm(point - layout.tray) >= SCENE.path.tray - 1e-9
