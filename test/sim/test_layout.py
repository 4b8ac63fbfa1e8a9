# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things lie as far apart as the scene asks; one that has no room for them says so."""

from itertools import combinations

import numpy as np
import pytest

from magma_ros.sim.layout import Layout, draw_layout
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import Rectangle, SceneSpec, load_suite


def test_scene_without_room_is_refused_in_one_sentence():
    suite = load_suite("tabletop")
    tight = suite.scene.model_copy(update={"area": Rectangle(low=(0.4, 0.0), high=(0.5, 0.1))})
    with pytest.raises(SimulationError, match="no room for all its things"):
        draw_layout(
            suite.model_copy(update={"scene": tight}),
            suite.split("seen"),
            np.random.default_rng(0),
            clear_path=False,
        )


def draw_many(split: str, *, clear_path: bool) -> list[Layout]:
    suite, rng = load_suite("tabletop"), np.random.default_rng(1)
    return [draw_layout(suite, suite.split(split), rng, clear_path=clear_path) for _ in range(60)]


@pytest.fixture(scope="module", params=["seen", "varied", "shift"])
def split(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=[False, True], ids=["", "clear"])
def layouts(request, split) -> list[Layout]:
    """Many layouts of the tabletop, one after the other."""
    return draw_many(split, clear_path=request.param)


@pytest.fixture
def scene() -> SceneSpec:
    """What lies on the table."""
    return load_suite("tabletop").scene


def places(layout: Layout) -> list[np.ndarray]:
    return [at.pose[:2] for at in layout.objects.values()]


def test_everything_lies_within_the_area(layouts, scene):
    for layout in layouts:
        for place in (layout.zone, layout.tray, *places(layout)):
            assert np.all(place >= scene.area.low)
            assert np.all(place <= scene.area.high)


def test_everything_keeps_its_distance_from_zone_and_tray(layouts, scene):
    gaps = scene.gaps
    for layout in layouts:
        assert np.linalg.norm(layout.zone - layout.tray) >= gaps.zone_to_tray
        for place in places(layout):
            assert np.linalg.norm(place - layout.zone) >= gaps.object_to_zone
            assert np.linalg.norm(place - layout.tray) >= gaps.object_to_tray


def test_objects_are_apart_but_for_one_pair_face_to_face(layouts, scene):
    shapes = load_suite("tabletop").shapes
    touching = 0
    for layout in layouts:
        close = [
            (one, other)
            for one, other in combinations(layout.objects.values(), 2)
            if np.linalg.norm(one.pose[:2] - other.pose[:2]) < scene.gaps.objects
        ]
        assert len(close) <= 1
        for one, other in close:
            first, second = shapes[one.shape], shapes[other.shape]
            halves = [(first.width + second.width) / 2, (first.length + second.length) / 2]
            distance = np.linalg.norm(one.pose[:2] - other.pose[:2])
            assert np.min(np.abs(np.subtract(halves, distance))) < 1e-9
            assert one.pose[2] == other.pose[2]
        touching += len(close)
    assert 0 < touching < len(layouts)


def test_there_are_as_many_objects_as_the_scene_says(layouts, split, scene):
    more = load_suite("tabletop").split(split).more
    fewest, most = scene.objects
    counts = {len(layout.objects) for layout in layouts}
    assert counts == set(range(fewest, most + more + 1))


def test_nothing_stands_in_the_way_of_a_push(split, scene):
    for layout in draw_many(split, clear_path=True):
        target, *others = places(layout)
        way = layout.zone - target
        start = target - scene.path.behind * way / np.linalg.norm(way)
        along = start + np.linspace(0.0, 1.0, 101)[:, None] * (layout.zone - start)
        obstacles = [(layout.tray, scene.path.tray)]
        obstacles += [(other, scene.path.objects) for other in others]
        for place, gap in obstacles:
            assert np.linalg.norm(along - place, axis=1).min() >= gap - 1e-9
