# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A data set made elsewhere trains a bundle by naming its folder, whatever version it is in."""

import pytest

from magma_ros.share import find_bundle
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.spaces import ACTION_DIMS

NAMES = {"observation.state": PROPRIOCEPTION, "action": ACTION_DIMS}
CAMERAS = {"camera": "observation.images.front", "others": ("observation.images.wrist",)}


@pytest.fixture(autouse=True)
def extras(needs):
    needs("train", "lerobot")


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_set_made_elsewhere_trains(version, elsewhere, tmp_path):
    from magma_ros.models.data.config import CorrectionConfig
    from magma_ros.models.training.checkpoint import read_recipe
    from magma_ros.models.training.corrections import Tuning, recipe_for, train_on_episodes

    folder = elsewhere(
        version=version,
        lengths=(6, 5),
        scale=0.001,
        names=NAMES,
        tasks=("pick the red cube", "push the blue cube to the white zone"),
        **CAMERAS,
    ).write()
    bundle = find_bundle("magma-nano")
    checkpoint, learned = train_on_episodes(
        recipe_for(bundle),
        bundle,
        CorrectionConfig(episodes=(folder,), human=1, before=1.0),
        Tuning(steps=2, batch=4),
        tmp_path / "run",
    )
    assert (learned.episodes, learned.human) == (2, 11)
    assert read_recipe(checkpoint).config.start.bundle == bundle
