# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Suites of other cells: the same scenes and sentences, seen from another place."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from magma_ros.sim.expert import Expert
from magma_ros.sim.suite import Variation, load_suite, suite_names

from .test_tasks import run

CELLS = [name for name in suite_names() if name.startswith("cell-")]
TASKS = [(suite, task) for suite in CELLS for task in load_suite(suite).tasks]


@pytest.mark.parametrize("split", ["seen", "shift"])
@pytest.mark.parametrize(("suite", "task"), TASKS)
def test_a_cell_changes_nothing_of_a_scene_but_camera_and_table(simulate, suite, task, split):
    data = load_suite(suite)
    there = simulate(task, suite=suite, split=split, seed=7)
    here = simulate(data.tasks[task].of, suite=data.scenes_of, split=split, seed=7)
    assert there.instruction == here.instruction
    assert there.object_names == here.object_names
    for name in here.object_names:
        np.testing.assert_array_equal(there.object_position(name), here.object_position(name))
    assert there.task.step_limit == here.task.step_limit
    first, second = there.observation().images, here.observation().images
    assert np.abs(first["front"].astype(int) - second["front"]).mean() > 20
    there.close()
    here.close()


@pytest.mark.parametrize(("suite", "task"), TASKS)
def test_the_expert_does_the_tasks_of_a_cell_in_sight_of_its_camera(simulate, suite, task):
    for seed in range(3):
        simulation = simulate(task, suite=suite, seed=seed)
        camera = simulation.cameras["front"]
        pixel = simulation.project("front", simulation.object_position(simulation.target_name))
        assert np.all((np.array(pixel) > 0) & (np.array(pixel) < (camera.width, camera.height)))
        run(simulation, Expert())
        assert simulation.succeeded(), (suite, task, seed)
        simulation.close()


def test_every_split_of_a_cell_has_its_table_and_no_other_mount():
    for name in CELLS:
        suite, other = load_suite(name), load_suite(load_suite(name).scenes_of)
        assert len({split.table for split in suite.splits.values()}) == 1
        assert suite.split("seen").table != other.split("seen").table
        assert suite.split("shift").light == other.split("shift").light
        assert suite.front_camera.eye != other.front_camera.eye
        assert suite.front_camera.field_of_view == other.front_camera.field_of_view


def test_a_variation_of_nothing_is_the_other_suite():
    tasks = {"x": {"of": "pick"}}
    whole = Variation.model_validate({"scenes_of": "tabletop", "tasks": tasks}).whole()
    other = load_suite("tabletop").model_dump()
    assert whole["tasks"]["x"] == other["tasks"]["pick"] | {"of": "pick"}
    for name in ("front_camera", "splits", "scene", "picture"):
        assert whole[name] == other[name]


def test_a_camera_without_a_place_is_refused():
    data = {"scenes_of": "tabletop", "front_camera": {"eye": [1, 0, 1]}, "tasks": {}}
    with pytest.raises(ValidationError, match=r"front_camera\.look_at"):
        Variation.model_validate(data)
