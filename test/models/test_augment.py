# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A turned image is what a turned camera would have seen, and the labels turn with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from magma_ros.models.data.augment import augment, turn_image, turn_points
from magma_ros.models.data.config import AugmentationConfig, TiltConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.statistics import Statistics
from magma_ros.sim.simulation import Simulation

FIELD_OF_VIEW = 34.0
STILL = AugmentationConfig(brightness=0.0, contrast=0.0, colour=0.0, proprioception=0.0)


def turn_about_y(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]])


def test_a_turned_image_shows_what_a_turned_camera_sees() -> None:
    simulation = Simulation("reach", seed=3)
    camera = simulation.cameras["front"]
    before = torch.from_numpy(simulation.image("front").copy()).float().unsqueeze(0)
    eye, way = np.array(camera.eye), np.array(camera.look_at) - np.array(camera.eye)
    # What is seen turns by 3 degrees when the camera turns by as much the other way.
    right = np.cross(way, camera.up)
    up = np.cross(right, way) / np.linalg.norm(np.cross(right, way))
    angle = math.radians(3.0)
    turned = way * math.cos(angle) + np.cross(up, way) * math.sin(angle)
    aside = camera.model_copy(update={"look_at": tuple(eye + turned)})
    wanted = torch.from_numpy(simulation.world.render(aside).copy()).float().unsqueeze(0)
    simulation.close()
    found = turn_image(before, turn_about_y(3.0), camera.field_of_view)
    inside = (slice(None), slice(8, -8), slice(12, -12))
    unturned = (before[inside] - wanted[inside]).abs().mean()
    assert (found[inside] - wanted[inside]).abs().mean() < 0.3 * unturned


def test_points_turn_with_the_image() -> None:
    image = torch.zeros(1, 64, 64, 3)
    image[0, 40, 20] = 255.0
    turned = turn_image(image, turn_about_y(4.0), FIELD_OF_VIEW)
    row, column = divmod(int(turned[0, ..., 0].argmax()), 64)
    (place,) = turn_points(
        torch.tensor([[[20.5 / 64, 40.5 / 64]]]), turn_about_y(4.0), FIELD_OF_VIEW
    )
    assert np.allclose(place[0] * 64, [column + 0.5, row + 0.5], atol=1.0)
    assert abs(column - 20) > 4


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_labels_move_only_with_the_camera(demonstrations: Demonstrations, share: float) -> None:
    statistics = Statistics.of(demonstrations.actions, demonstrations.proprioception)
    batch = demonstrations.batch(np.arange(8), statistics)
    tilt = TiltConfig(camera="front", field_of_view=FIELD_OF_VIEW, degrees=5.0, share=share)
    config = STILL.model_copy(update={"tilt": tilt})
    std = torch.tensor(statistics.std)
    varied = augment(batch, config, std, torch.Generator().manual_seed(0), trace_camera="front")
    moved = (varied.labels.pixels["front"] - batch.labels.pixels["front"]).abs().amax(dim=(1, 2))
    assert torch.equal(varied.labels.actions, batch.labels.actions)
    assert torch.equal(varied.labels.pixels["wrist"], batch.labels.pixels["wrist"])
    assert (moved < 0.25).all()
    assert bool((moved > 1e-4).all()) is (share == 1.0)
    still = torch.allclose(varied.labels.traces, batch.labels.traces, atol=1e-5)
    assert still is (share == 0.0)
