# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that stands on the table gets one mark, and nothing else does."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.perception.error import PerceptionError
from magma_ros.perception.proposals import ProposalConfig, View, proposal_of, propose
from magma_ros.sim.simulation import Simulation

HEIGHT, WIDTH, FOCAL = 120, 160, 200.0
CAMERA = np.array([[FOCAL, 0.0, 79.5], [0.0, FOCAL, 59.5], [0.0, 0.0, 1.0]])
ABOVE = 1.0
"""The camera looks straight down from this height [m], its x along the base frame's."""
DOWN = np.diag([1.0, -1.0, -1.0])


def scene(*boxes, table=(110, 110, 120)):
    """A view of boxes (left, top, right, bottom [px], height [m], colour) on a table."""
    depth = np.full((HEIGHT, WIDTH), ABOVE, np.float32)
    picture = np.full((HEIGHT, WIDTH, 3), table, np.uint8)
    for left, top, right, bottom, height, colour in boxes:
        depth[top:bottom, left:right] = ABOVE - height
        picture[top:bottom, left:right] = colour
    return View(depth, CAMERA, picture, CAMERA, np.array([0.0, 0.0, ABOVE]), DOWN)


CONFIG = ProposalConfig()
RED, GREEN, DARK_RED = (200, 30, 30), (30, 160, 40), (100, 15, 15)


def test_things_are_found_from_left_to_right_with_a_point_inside_and_their_outline():
    found = propose(scene((100, 40, 120, 60, 0.04, RED), (30, 70, 50, 80, 0.04, RED)), CONFIG)
    assert [p.point for p in found] == [
        pytest.approx((40.0 * 256 / WIDTH, 75.0 * 256 / HEIGHT)),
        pytest.approx((110.0 * 256 / WIDTH, 50.0 * 256 / HEIGHT)),
    ]
    low, high = found[1].outline.min(axis=0), found[1].outline.max(axis=0)
    np.testing.assert_allclose(low * [WIDTH, HEIGHT] / 256, [100.5, 40.5])
    np.testing.assert_allclose(high * [WIDTH, HEIGHT] / 256, [119.5, 59.5])
    # Seen from 0.96 m above it, and 30 pixels to the right of the middle.
    expected = [0.96 * 30.0 / FOCAL, 0.96 * 10.0 / FOCAL, 0.04]
    np.testing.assert_allclose(found[1].position, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([], 0),
        ([(30, 30, 50, 50, 0.02, RED)], 0),
        ([(30, 30, 34, 34, 0.04, RED)], 0),
        ([(30, 30, 50, 50, 0.30, RED)], 0),
        ([(30, 30, 50, 50, 0.04, RED), (50, 30, 70, 50, 0.04, GREEN)], 2),
        ([(30, 30, 50, 50, 0.04, RED), (50, 30, 70, 50, 0.04, DARK_RED)], 1),
        ([(30, 30, 50, 50, 0.04, RED), (50, 30, 70, 50, 0.09, RED)], 2),
        ([(30, 30, 50, 50, 0.04, RED), (50, 30, 52, 50, 0.30, GREEN)], 0),
    ],
    ids=["nothing", "flat", "tiny", "tall", "touching", "in shade", "behind", "in the hand"],
)
def test_what_counts_as_one_thing(boxes, count):
    assert len(propose(scene(*boxes), CONFIG)) == count


def test_the_robot_is_not_marked_and_hides_only_what_is_behind_it():
    view = scene((30, 30, 50, 50, 0.04, RED), (44, 30, 60, 90, 0.10, GREEN))
    (found,) = propose(view, CONFIG, robot=lambda points: points[:, 2] > 0.09)
    assert found.point[0] == pytest.approx(37.0 * 256 / WIDTH)


def test_a_point_lies_on_the_thing_even_where_its_middle_does_not():
    view = scene((30, 30, 70, 70, 0.04, RED), (36, 36, 70, 64, 0.0, RED))
    (found,) = propose(view, CONFIG)
    column, row = np.array(found.point) * [WIDTH, HEIGHT] / 256
    assert view.depth[int(row), int(column)] < ABOVE - 0.03


def test_nothing_is_marked_outside_the_area_or_outside_the_picture():
    boxes = (20, 30, 40, 50, 0.04, RED), (100, 30, 120, 50, 0.04, RED)
    (found,) = propose(scene(*boxes), replace(CONFIG, lower=(0.0, -1.0)))
    assert found.position[0] > 0.0
    view = scene(*boxes)
    # The picture's camera sees the left half alone, larger.
    picture = np.repeat(np.repeat(view.picture[:, :80], 2, axis=0), 2, axis=1)
    matrix = np.array([[2 * FOCAL, 0.0, 159.5], [0.0, 2 * FOCAL, 119.5], [0.0, 0.0, 1.0]])
    (found,) = propose(replace(view, picture=picture, picture_matrix=matrix), CONFIG)
    assert found.point == pytest.approx((30.0 * 256 / 80, 40.0 * 256 / HEIGHT), abs=1.0)


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 0.0, -np.inf])
def test_what_was_not_measured_is_nothing(unknown):
    view = scene((30, 30, 50, 50, 0.04, RED))
    view.depth[:, 60:] = unknown
    assert len(propose(view, CONFIG)) == 1
    view.depth[:] = unknown
    assert propose(view, CONFIG) == []


@pytest.mark.parametrize("area", [{"lower": (1.0,)}, {"lower": (0.5, 0.0), "upper": (0.4, 1.0)}])
def test_an_area_without_corners_or_size_is_refused(area):
    with pytest.raises(PerceptionError, match="give the least x and y, and greater ones"):
        ProposalConfig(**area)


def test_what_others_found_is_marked_inside_its_outline_as_far_as_it_is_in_the_picture():
    corners = np.array([[-40.0, 20.0], [60.0, 20.0], [60.0, 30.0], [-40.0, 30.0]])
    found = proposal_of(corners, (160, 120))
    assert found.point == pytest.approx((48.0, 53.0), abs=1.0)
    bent = np.array([[0, 0], [100, 0], [100, 10], [10, 10], [10, 100], [0, 100]], float)
    column, row = np.array(proposal_of(bent, (160, 120)).point) / 256 * [160, 120]
    assert column < 10.0 or row < 10.0
    assert proposal_of(corners - [100.0, 0.0], (160, 120)) is None


@pytest.fixture
def script(request):
    """The functions of the script that measures this for docs/marks.md."""
    return runpy.run_path(str(Path(request.config.rootpath) / "docs" / "measure_marks.py"))


def test_in_simulated_scenes_nearly_every_object_gets_exactly_one_mark(script):
    """Of 300 scenes all do (docs/marks.md); a few are enough to notice that something broke."""
    scenes = [(split, seed) for split in ("seen", "shift") for seed in range(6)]
    counts = [script["measure"]("pick", split, seed) for split, seed in scenes]
    objects, once, stray = (sum(column) for column in list(zip(*counts, strict=True))[:3])
    assert once >= 0.95 * objects
    assert stray == 0


def test_the_simulation_counts_its_objects_as_they_are_numbered(script):
    for task in ("pick", "stack"):
        simulation = Simulation(task, seed=7)
        view = script["look"](simulation)
        found = propose(view, script["CONFIG"])
        marked = [script["marked"](simulation, view, proposal) for proposal in found]
        assert tuple(marked) == simulation.from_left("front")
        simulation.close()
