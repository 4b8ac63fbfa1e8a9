# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scene that cannot be laid out says so instead of trying for ever."""

import numpy as np
import pytest

from magma_ros.sim.layout import draw_layout
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import Rectangle, load_suite


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
