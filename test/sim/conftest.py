# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes simulations that are closed after the test, and a small bundle."""

import runpy
from pathlib import Path

import pytest

from magma_ros.sim.simulation import Simulation


@pytest.fixture
def simulate():
    made = []

    def make(task="pick", **kwargs):
        made.append(Simulation(task, **{"seed": 0, **kwargs}))
        return made[-1]

    yield make
    for simulation in made:
        simulation.close()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A small real bundle: random weights, five stages, three exits, four steps a chunk."""
    builder = Path(__file__).parents[1] / "policy" / "conftest.py"
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    folder.mkdir()
    runpy.run_path(str(builder))["build_bundle"](folder)
    return folder
