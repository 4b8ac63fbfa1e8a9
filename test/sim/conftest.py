# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes simulations that are closed after the test."""

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
