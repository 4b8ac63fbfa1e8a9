# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exits of a frozen decoder: they learn to answer as the last layer, and nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from magma_ros.cli import main
from magma_ros.models.data.shards import DataError
from magma_ros.models.magma.distil import Distillation, distil
from magma_ros.models.magma.exits import EXITS, Exits
from magma_ros.models.magma.frames import Frame, draw_frames
from magma_ros.models.magma.layout import CheckpointLayoutError, MagmaShape, TextShape, VisionShape
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.synthetic import write_checkpoint
from magma_ros.models.magma.training import fresh_words
from magma_ros.types import MagmaError

SHAPE = MagmaShape(
    vision=VisionShape(depths=(1, 1, 1, 1), widths=(8, 8, 12, 16), image_size=32),
    text=TextShape(width=24, layers=3, heads=2, kv_heads=1, head_width=12, hidden=32),
)
WORDS = fresh_words()
ROWS = torch.tensor(WORDS.answers)
PLAN = Distillation(depths=(1, 2), rank=8, steps=150, batch=16, learning_rate=2e-2)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = MagmaNetwork(SHAPE).eval().requires_grad_(requires_grad=False)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.mul_(5.0)  # so that layers differ and answers depend on the picture
        if name.endswith("layer_scale_parameter"):
            parameter.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    told = ("pick the red cube", "push the blue brick into the white zone")
    return [
        Frame(
            rng.integers(0, 256, (32, 32, 3), np.uint8), told[n % 2], np.zeros(7), ("pick", n // 4)
        )
        for n in range(96)
    ]


@pytest.fixture(scope="module")
def distilled(network, frames):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    exits, reports = distil(network, WORDS, frames, PLAN)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "the backbone is frozen"
    return exits, reports


def last_layer(network):
    model = network.language_model
    return model.model.norm.weight, model.lm_head.weight[ROWS]


def test_an_exit_agrees_with_the_last_layer_more_than_before(distilled):
    _, reports = distilled
    assert [report.depth for report in reports] == [1, 2]
    for report in reports:
        assert report.frames == 24
        assert report.after.tokens > report.before.tokens
        assert report.after.error < report.before.error
        assert 0.0 <= report.after.actions <= report.after.tokens <= 1.0


def test_a_fresh_exit_reads_a_layer_as_the_last_one_is_read(network):
    exits = Exits.fresh([1], *last_layer(network), 4, SHAPE.text)
    states = torch.randn(5, 24)
    wanted = network.logits(states, ROWS)
    torch.testing.assert_close(exits.heads[1](states), wanted)


def test_an_exit_is_one_norm_and_one_matrix(distilled):
    head = distilled[0].heads[2]
    states = torch.randn(5, 24)
    normed = torch.nn.functional.rms_norm(states, (24,), head.norm, SHAPE.text.eps)
    torch.testing.assert_close(normed @ head.head().T, head(states), atol=1e-4, rtol=1e-4)


def test_exits_are_read_as_they_were_written(distilled, network, tmp_path):
    exits, _ = distilled
    exits.save(tmp_path / EXITS)
    found = Exits.load(tmp_path / EXITS, *last_layer(network), SHAPE.text)
    assert list(found.heads) == [1, 2]
    states = torch.randn(5, 24)
    for depth, head in found.heads.items():
        assert torch.equal(head(states), exits.heads[depth](states))


def test_exits_of_another_checkpoint_and_damaged_ones_are_refused(distilled, network, tmp_path):
    exits, _ = distilled
    path = tmp_path / EXITS
    exits.save(path)
    with pytest.raises(CheckpointLayoutError, match="another checkpoint"):
        Exits.load(path, *last_layer(network), replace(SHAPE.text, layers=4))
    norm, rows = last_layer(network)
    with pytest.raises(CheckpointLayoutError, match="another checkpoint"):
        Exits.load(path, norm, rows + 0.01, SHAPE.text)  # the same one, trained further
    Exits.load(path, norm, rows.to(torch.bfloat16), SHAPE.text)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointLayoutError, match="missing or damaged"):
        Exits.load(path, *last_layer(network), SHAPE.text)
    with pytest.raises(CheckpointLayoutError, match="missing or damaged"):
        Exits.load(tmp_path / "none", *last_layer(network), SHAPE.text)


@pytest.mark.parametrize("depth", [0, 3, -1])
def test_there_is_no_exit_but_between_the_layers(network, frames, depth):
    with pytest.raises(CheckpointLayoutError, match="give numbers from 1 to 2"):
        distil(network, WORDS, frames, replace(PLAN, depths=(depth,)))


def test_a_single_episode_is_not_enough_to_learn_from_and_measure_on(network, frames):
    with pytest.raises(MagmaError, match="two episodes"):
        distil(network, WORDS, frames[:4], PLAN)


def test_frames_are_drawn_from_all_episodes(demonstrations, config):
    frames = draw_frames(config.data.folder, "front", 40, seed=0)
    assert len(frames) == 40
    assert {frame.episode[0] for frame in frames} == {"reach", "track"}
    assert frames[0].image.shape == (96, 96, 3)
    assert len(draw_frames(config.data.folder, "wrist", 10**6, seed=0)) == len(demonstrations)
    with pytest.raises(DataError, match="side"):
        draw_frames(config.data.folder, "side", 1, seed=0)


def test_the_command_writes_exits_beside_the_checkpoint_and_says_what_they_are_worth(
    demonstrations, config, tmp_path, capsys
):
    checkpoint, report = tmp_path / "checkpoint", tmp_path / "report.json"
    write_checkpoint(checkpoint, SHAPE)
    data = str(config.data.folder)
    command = ["distill-exits", "--checkpoint", str(checkpoint), "--data", data, "--after", "1"]
    assert main([*command, "--frames", "20", "--steps", "5", "--json", str(report)]) == 0
    assert "held-out frames" in capsys.readouterr().out
    (found,) = json.loads(report.read_text())
    assert found["depth"] == 1
    assert (checkpoint / EXITS).is_file()
    assert main([*command[:-1], "3"]) == 2
    assert "give numbers from 1 to 2" in " ".join(capsys.readouterr().err.split())
