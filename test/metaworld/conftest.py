# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worlds of Meta-World, closed after the test."""

import os

from magma_ros.metaworld.library import drawing_library

os.environ.setdefault("MUJOCO_GL", drawing_library())  # for gymnasium's own drawing as well

import metaworld  # noqa: F401  # without it, this folder is left out
import pytest

from magma_ros.cli import main
from magma_ros.metaworld.drawing import PART
from magma_ros.metaworld.world import MetaWorld


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A data set of one episode each of two tasks, made by the command."""
    folder = tmp_path_factory.mktemp("made") / "set"
    words = ["--tasks", "reach,coffee-button", "--episodes", "1", "--workers", "1"]
    assert main(["data", "demonstrate", "metaworld-part", "--out", str(folder), *words]) == 0
    return folder


@pytest.fixture
def play():
    """Begin an episode."""
    made = []

    def begin(task="reach", seed=7, drawing=PART):
        made.append(MetaWorld(drawing))
        made[-1].reset(task, "seen", seed)
        return made[-1]

    yield begin
    for world in made:
        world.close()
