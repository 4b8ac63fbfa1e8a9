# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network of the large Magma: its weights' names, its shapes, its decoding in blocks."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from magma_ros.models.magma.layout import (
    HEAD,
    MAGMA_8B,
    TRUNK,
    CheckpointLayoutError,
    MagmaShape,
    TextShape,
    VisionShape,
    layer_prefix,
    layer_tensors,
)
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import (
    checkpoint_name,
    drop,
    empty_network,
    fill,
    parameter_name,
)

SMALL = MagmaShape(
    vision=VisionShape(depths=(1, 1, 2, 1), widths=(8, 12, 16, 24), image_size=64),
    text=TextShape(width=32, layers=3, heads=4, kv_heads=2, head_width=8, hidden=48, vocabulary=64),
)


class RandomTensors:
    """A checkpoint of random weights, every one distinct, layer scale included."""

    def __init__(self, shape):
        generator = torch.Generator().manual_seed(0)
        self.tensors = {
            name: 0.3 * torch.randn(size, generator=generator) + (len(size) == 1) * 0.5
            for name, size in shape.tensors().items()
        }

    def tensor(self, name):
        return self.tensors[name]


@pytest.fixture(scope="module")
def tensors():
    return RandomTensors(SMALL)


@pytest.fixture(scope="module")
def network(tensors):
    network = empty_network(SMALL)
    fill(network, tensors)
    return network


def test_every_tensor_of_the_checkpoint_is_a_parameter_of_the_network_and_the_other_way_round():
    network = empty_network(MAGMA_8B)
    there = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert {parameter_name(n): size for n, size in MAGMA_8B.tensors().items()} == there
    assert {checkpoint_name(n): size for n, size in there.items()} == MAGMA_8B.tensors()


def test_the_full_network_has_as_many_weights_as_the_released_one_and_takes_no_memory():
    network = empty_network(MAGMA_8B)
    assert all(parameter.is_meta for parameter in network.parameters())
    count = sum(parameter.numel() for parameter in network.parameters())
    tower = sum(parameter.numel() for parameter in network.vision_tower.parameters())
    pooled_head = 2 * 3072 + 1024 * 3072  # in the checkpoint, but not executed
    assert tower == pytest.approx(843.39e6, abs=5e3)
    assert tower + pooled_head == pytest.approx(846.54e6, abs=5e3)
    assert count + pooled_head == pytest.approx(8.906e9, abs=1e6)


def test_the_tower_computes_what_timm_computes_with_these_names(network, tensors):
    pixels = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    weights = {n.removeprefix(TRUNK): t for n, t in tensors.tensors.items() if n.startswith(TRUNK)}
    torch.testing.assert_close(network.vision_tower(pixels), timm_tower(pixels, weights))


def timm_tower(pixels, weights):
    """ConvNeXt's stem and stages, written out with timm's names; eps is that of xxlarge."""

    def norm(x, name):
        size = x.shape[-1:]
        return functional.layer_norm(
            x, size, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5
        )

    def convolve(x, name, **how):
        x = x.permute(0, 3, 1, 2)
        x = functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)
        return x.permute(0, 2, 3, 1)

    def linear(x, name):
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = norm(convolve(pixels.permute(0, 2, 3, 1), "stem.0", stride=4), "stem.1")
    for stage, depth in enumerate(SMALL.vision.depths):
        here = f"stages.{stage}"
        if stage:
            x = convolve(norm(x, f"{here}.downsample.0"), f"{here}.downsample.1", stride=2)
        for block in (f"{here}.blocks.{index}" for index in range(depth)):
            inner = convolve(x, f"{block}.conv_dw", padding=3, groups=x.shape[-1])
            inner = functional.gelu(linear(norm(inner, f"{block}.norm"), f"{block}.mlp.fc1"))
            x = x + weights[f"{block}.gamma"] * linear(inner, f"{block}.mlp.fc2")
    return x


def test_one_picture_has_the_shapes_of_the_release():
    shape = replace(SMALL, vision=replace(SMALL.vision, image_size=512))
    network = MagmaNetwork(shape).eval()
    with torch.inference_mode():
        tiles = pixels_of(torch.zeros(1, 256, 256, 3, dtype=torch.uint8), shape)
        assert tiles.shape == (1, 1, 1, 3, 512, 512)
        sizes = []
        features = network.vision_tower.embeddings(tiles.flatten(0, 2))
        for stage in network.vision_tower.encoder.stages:
            features = stage(features)
            sizes.append(tuple(features.shape[1:]))
        assert sizes == [(8, 128, 128), (12, 64, 64), (16, 32, 32), (24, 16, 16)]
        assert network.vision_tower(tiles.flatten(0, 2)).shape == (1, 16, 16, 24)
        assert network.see(tiles).shape == (1, 272, 32)
        prefix, suffix = torch.ones(1, 23, dtype=torch.int64), torch.ones(1, 18, dtype=torch.int64)
        prompt = network.prompt(tiles, prefix, suffix)
        assert prompt.shape == (1, 313, 32)
        hidden, past = network.think(prompt, network.layers)
        assert hidden.shape == (1, 313, 32)
        assert [tuple(tensor.shape) for tensor in past[0]] == [(1, 2, 313, 8)] * 2
        _, past = network.think(network.embed(suffix[:, :1]), network.layers, past)
        assert past[-1].keys.shape == (1, 2, 314, 8)
        assert network.logits(hidden[:, -1:]).shape == (1, 1, 64)
        assert network.logits(hidden[:, -1:], torch.arange(7)).shape == (1, 1, 7)


def test_tiles_are_stitched_to_one_map_and_every_row_ends_with_the_separator(network):
    image = torch.randint(0, 256, (1, 100, 150, 3), generator=torch.Generator().manual_seed(2))
    tiles = pixels_of(image, SMALL, rows=2, columns=1)
    tokens = network.see(tiles).reshape(
        4, 3, -1
    )  # 2 rows of features a tile, 2 columns and the end
    separator = network.multi_modal_projector.row_seperator.flatten()
    assert all(torch.equal(row[-1], separator) for row in tokens)
    upper = network.see(tiles[:, :1]).reshape(2, 3, -1)
    lower = network.see(tiles[:, 1:]).reshape(2, 3, -1)
    torch.testing.assert_close(tokens, torch.cat([upper, lower]))
    left_right = network.see(tiles.transpose(1, 2)).reshape(2, 5, -1)
    torch.testing.assert_close(left_right[:, :2], upper[:, :2])
    torch.testing.assert_close(left_right[:, 2:4], lower[:, :2])


def test_a_picture_is_normalised_and_then_stretched_over_all_tiles():
    image = torch.randint(0, 256, (1, 48, 80, 3), generator=torch.Generator().manual_seed(3))
    tiles = pixels_of(image, SMALL, rows=1, columns=3)
    mean, std = (torch.tensor(v) for v in (SMALL.image_mean, SMALL.image_std))
    normalised = ((image / 255.0 - mean) / std).permute(0, 3, 1, 2)
    canvas = functional.interpolate(normalised, size=(64, 192), mode="bilinear")
    torch.testing.assert_close(torch.cat(list(tiles[0, 0]), dim=-1), canvas[0])


def test_blocks_of_layers_compute_what_llama_computes_at_once(network):
    embedded = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(4))
    whole = network.language_model(inputs_embeds=embedded, use_cache=False).logits
    hidden, first = network.think(embedded[:, :6], range(2))
    hidden, last = network.think(hidden, range(2, 3))
    torch.testing.assert_close(network.logits(hidden), whole[:, :6])
    hidden, _ = network.think(embedded[:, 6:], range(2), first)
    hidden, _ = network.think(hidden, range(2, 3), last)
    torch.testing.assert_close(network.logits(hidden), whole[:, 6:])


def test_tokens_are_chosen_among_the_allowed_ones_as_without_a_cache(network):
    rows = torch.tensor([5, 9, 33, 40])
    prompt = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(5))
    chosen = network.choose(prompt, rows, 4)
    for count in range(4):
        read = torch.cat([prompt, network.embed(chosen[:, :count])], dim=1)
        logits = network.language_model(inputs_embeds=read, use_cache=False).logits[:, -1]
        assert torch.equal(rows[logits[:, rows].argmax(-1)], chosen[:, count])


def test_a_block_of_layers_is_held_alone(tensors):
    network = empty_network(SMALL)
    names = [layer_prefix(1) + name for name, _ in layer_tensors(SMALL.text)]
    fill(network, tensors, names, torch.bfloat16)
    held = {checkpoint_name(n): p for n, p in network.named_parameters() if not p.is_meta}
    assert held.keys() == set(names)
    assert all(value.dtype == torch.bfloat16 for value in held.values())
    drop(network, names)
    assert all(parameter.is_meta for parameter in network.parameters())


def test_what_does_not_fit_the_network_is_refused_by_name(tensors):
    with pytest.raises(CheckpointLayoutError, match="nonsense"):
        fill(empty_network(SMALL), tensors, ["nonsense"])
    other = replace(SMALL, text=replace(SMALL.text, vocabulary=65))
    with pytest.raises(CheckpointLayoutError, match=r"lm_head.weight has the shape \(64, 32\)"):
        fill(empty_network(other), tensors, [HEAD])
