# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Heat maps finer than the tokens find what is a few pixels wide, and say where it is in space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from magma_ros.models.export.optimise import streamlined
from magma_ros.models.network.config import LossConfig, NetworkConfig
from magma_ros.models.network.graphs import example_inputs, run_stages
from magma_ros.models.network.losses import POSITION_UNIT, Batch, Labels, policy_losses
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.network.network import Inputs
from magma_ros.models.network.places import cells, spots, waves

from .conftest import recipe_dict

SIDE = 32


def network_of(**changes: Any) -> NetworkConfig:
    content = recipe_dict(Path("nowhere"))["network"]
    front = content["views"][0] | {"patch": 2, "depths": [1, 1, 1], "channels": [8, 8, 16]}
    content |= {
        "cameras": content["cameras"][:1],
        "views": [front | {"fine": 1}],
        "grounding": 4,
        "places": "front",
        "trace": None,
        "stages": [{"look": ["front"]}, {"think": 1}, {"think": 1}],
    }
    return NetworkConfig.model_validate(content | changes)


@pytest.fixture
def policy() -> MagmaPolicy:
    torch.manual_seed(0)
    return MagmaPolicy(network_of(), vocabulary=20)


def inputs_of(count: int = 2) -> Inputs:
    images = {"front": torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8)}
    return Inputs(images, torch.randn(count, 6), torch.full((count, 12), 3))


def test_heat_maps_are_drawn_at_the_resolution_of_the_stage_that_is_named(
    policy: MagmaPolicy,
) -> None:
    output = policy(inputs_of())
    assert output.heat["front"].shape == (2, 4, 16 * 16)
    assert output.places.shape == (2, 6)
    rows, columns = policy.config.view("front").grid
    assert (rows, columns) == (4, 4)
    plain = MagmaPolicy(network_of(places=None), vocabulary=20)
    first = policy.stages[0](*inputs_of())[0].shape[1]
    assert first == plain.stages[0](*inputs_of())[0].shape[1] + 1  # the token of the places


def test_the_exported_stages_say_what_the_network_says(policy: MagmaPolicy) -> None:
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    scene = example_inputs(policy.config)
    for graph, given, wanted in run_stages(policy.stage_graphs(), scene):
        fast = streamlined(graph.module, final=not any("state" in name for name in graph.outputs))
        with torch.inference_mode():
            found = fast(*(given[name] for name in graph.inputs))
        for name, value in zip(graph.outputs, found, strict=True):
            torch.testing.assert_close(value, wanted[name], atol=1e-3, rtol=1e-3)


def test_a_look_with_fine_maps_is_written_as_onnx(policy: MagmaPolicy, tmp_path: Path) -> None:
    import onnxruntime as ort

    from magma_ros.models.export.onnx_graph import write_onnx

    scene = example_inputs(policy.config)
    graph, given, wanted = next(iter(run_stages(policy.stage_graphs(), scene)))
    write_onnx(graph, given, tmp_path / "look.onnx")
    session = ort.InferenceSession(tmp_path / "look.onnx")
    found = session.run(list(graph.outputs), {n: given[n].numpy() for n in graph.inputs})
    np.testing.assert_allclose(found[0], wanted["state_0"].numpy(), atol=1e-4)


def test_places_in_the_picture_survive_half_precision() -> None:
    place = torch.tensor([0.3127, 0.7391])
    grid = cells((48, 48))
    weights = torch.softmax(-2000.0 * (grid - place).square().sum(dim=-1), dim=0)[None, None]
    with torch.autocast("cpu", torch.bfloat16):
        found = spots(weights, grid)
    assert (found - place).abs().max() < 0.1 / 48
    near = waves(place + torch.tensor([[0.0, 0.0], [1.0 / 192, 0.0]])).bfloat16().float()
    assert (near[0] - near[1]).abs().max() > 0.3  # one pixel aside


def dots(count: int, rng: np.random.Generator) -> Batch:
    """Pictures with three dots, red, green and blue, which are target, goal and hand."""
    places = rng.uniform(0.15, 0.85, (count, 3, 2))
    images = np.full((count, SIDE, SIDE, 3), 60, np.uint8)
    for image, three in zip(images, places, strict=True):
        for colour, (column, row) in enumerate(three):
            left, top = int(column * SIDE), int(row * SIDE)
            image[top - 1 : top + 2, left - 1 : left + 2, colour] = 255
    spaced = 0.5 * np.concatenate(
        [places[:, 0] - places[:, 2], places[:, 1] - places[:, 2]], axis=1
    )
    positions = np.zeros((count, 6))
    positions[:, [0, 1, 3, 4]] = spaced
    labels = Labels(
        actions=torch.zeros(count, 4, 7),
        valid=torch.ones(count, 4, dtype=torch.bool),
        positions=torch.tensor(positions, dtype=torch.float32),
        pixels={"front": torch.tensor(places, dtype=torch.float32)},
        traces=torch.zeros(count, 0, 2, 2),
        traced=torch.zeros(count, 0, dtype=torch.bool),
    )
    inputs = Inputs(
        {"front": torch.tensor(images)}, torch.zeros(count, 6), torch.full((count, 12), 3)
    )
    return Batch(inputs, labels)


def test_three_labelled_maps_learn_to_find_and_to_place(policy: MagmaPolicy) -> None:
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(policy.parameters(), lr=4e-3)
    weights = LossConfig(heat=1.0, position=1.0)
    unlearned = dots(64, rng)
    for _ in range(90):
        batch = dots(32, rng)
        losses = policy.losses(batch, weights)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
    with torch.inference_mode():
        output = policy(unlearned.inputs)
    found = spots(torch.softmax(output.heat["front"][:, :3], dim=-1), cells((16, 16)))
    missed = (found - unlearned.labels.pixels["front"]).norm(dim=-1) * SIDE
    assert missed.median() < 1.5
    away = (output.places * POSITION_UNIT - unlearned.labels.positions).abs()
    assert away.mean() < 0.04
    assert policy_losses(output, unlearned.labels, policy.config.views, weights).terms["heat"] < 4.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"grounding": 2}, "places need grounding of 3 or more"),
        ({"places": "wrist"}, "places must name a view of the first look"),
        ({"point": {"camera": "front"}}, "fine maps need grounding, and take no point"),
        ({"grounding": 0, "places": None}, "fine maps need grounding"),
    ],
)
def test_networks_that_cannot_be_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        network_of(**change)


def test_fine_maps_come_from_a_stage_before_the_last() -> None:
    views = [network_of().views[0].model_dump() | {"fine": 3}]
    with pytest.raises(ValidationError, match="fine maps at a stage before the last"):
        network_of(views=views)
