# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The exported parts equal the trained ones, and the graphs are smaller for it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto

from magma_ros.models.export.onnx_graph import write_onnx
from magma_ros.models.export.optimise import streamlined
from magma_ros.models.export.parity import compare, observations
from magma_ros.models.export.quantise import NARROW, quantise
from magma_ros.models.network.config import NetworkConfig
from magma_ros.models.network.graphs import StageGraph, run_stages
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.training.checkpoint import Recipe

from .conftest import recipe_dict


@pytest.fixture(scope="module")
def graphs(recipe: Recipe) -> list[StageGraph]:
    """The stages of a coarse-to-fine network, every weight of which matters."""
    content = recipe_dict(Path())["network"]
    coarse, wrist = content["views"]
    coarse["height"] = coarse["width"] = 16
    fine = coarse | {"name": "front_fine", "height": 32, "width": 32}
    content["views"] = [coarse, wrist, fine]
    content["stages"] = [{"look": ["front", "wrist"]}, {"think": 1}]
    content["stages"] += [{"look": ["front_fine"]}, {"think": 2}]
    network = MagmaPolicy(NetworkConfig.model_validate(content), len(recipe.vocabulary) + 2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():  # FiLM and biases start at zero
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.stage_graphs()


@pytest.fixture(scope="module")
def scenes(recipe: Recipe) -> list[dict[str, torch.Tensor]]:
    """Graph inputs of the simulator's cameras."""
    return observations(recipe.config, recipe.tokenizer())


@pytest.fixture(scope="module")
def files(
    graphs: list[StageGraph],
    scenes: list[dict[str, torch.Tensor]],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """The exported stages."""
    folder = tmp_path_factory.mktemp("graphs")
    paths = []
    for graph, given, _ in run_stages(graphs, scenes[-1]):
        paths.append(folder / f"{graph.name}.onnx")
        write_onnx(graph, given, paths[-1])
    return paths


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_exported_stages_equal_the_network_on_observations(
    graphs: list[StageGraph], files: list[Path], scenes: list[dict[str, torch.Tensor]]
) -> None:
    deviations, largest = compare(graphs, files, scenes)
    assert [deviation.depth for deviation in deviations] == [1, 2]
    assert largest < 1e-4


def test_the_trained_network_stays_as_it_is(graphs: list[StageGraph]) -> None:
    before = {name: value.clone() for name, value in graphs[0].module.state_dict().items()}
    kinds = [type(part) for part in graphs[0].module.modules()]
    streamlined(graphs[0].module, final=False)
    assert [type(part) for part in graphs[0].module.modules()] == kinds
    after = graphs[0].module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_layer_needs_four_products_and_one_operator_for_norm_and_attention(
    files: list[Path],
) -> None:
    found = operators(files[1])
    assert found["RMSNormalization"] == 3  # two in the layer, one in the action head
    assert found["Attention"] == 1
    assert found["RotaryEmbedding"] == 2
    # Queries with keys and values, output, gate with up, down; bins and a trace of two products.
    assert found["MatMul"] + found["Gemm"] == 4 + 1 + 2


def test_towers_convolve_only_depthwise(files: list[Path]) -> None:
    model = onnx.load(files[0])
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    kernels = [weights[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert len(kernels) == 4
    assert all(inputs == 1 for _, inputs, *_ in kernels)


def test_the_last_layer_works_only_for_the_tokens_that_are_read(
    graphs: list[StageGraph], scenes: list[dict[str, torch.Tensor]]
) -> None:
    *_, (graph, given, _) = run_stages(graphs, scenes[-1])
    module = streamlined(graph.module, final=True)
    lengths: list[int] = []
    for layer in module.stage.layers:
        layer.down.register_forward_hook(lambda _, __, made: lengths.append(made.shape[1]))
    with torch.inference_mode():
        module(*(given[name] for name in graph.inputs))
    assert lengths == [given[graph.inputs[0]].shape[1], 4]


def test_wide_products_become_int8_and_narrow_ones_stay_float(
    files: list[Path], tmp_path: Path
) -> None:
    for path in files:
        quantise(path, tmp_path / "int8.onnx")
        model = onnx.load(tmp_path / "int8.onnx")
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        found = operators(tmp_path / "int8.onnx")
        assert found["MatMulInteger"] >= 5
        for node in model.graph.node:
            if node.op_type == "MatMulInteger":
                assert weights[node.input[1]].data_type == TensorProto.INT8
                assert min(weights[node.input[1]].dims) >= NARROW
            if node.op_type in {"MatMul", "Gemm"} and node.input[1] in weights:
                assert min(weights[node.input[1]].dims) < NARROW


def test_exporting_twice_gives_the_same_bytes(
    graphs: list[StageGraph],
    files: list[Path],
    scenes: list[dict[str, torch.Tensor]],
    tmp_path: Path,
) -> None:
    graph, given, _ = next(run_stages(graphs, scenes[-1]))
    write_onnx(graph, given, tmp_path / "again.onnx")
    quantise(files[0], tmp_path / "one.onnx")
    quantise(tmp_path / "again.onnx", tmp_path / "two.onnx")
    assert files[0].read_bytes() == (tmp_path / "again.onnx").read_bytes()
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_int8_graphs_say_nearly_the_same(
    graphs: list[StageGraph],
    files: list[Path],
    scenes: list[dict[str, torch.Tensor]],
    tmp_path: Path,
) -> None:
    graph, given, wanted = next(run_stages(graphs, scenes[-1]))
    quantise(files[0], tmp_path / "int8.onnx")
    session = ort.InferenceSession(tmp_path / "int8.onnx")
    found = session.run(list(graph.outputs), {n: given[n].numpy() for n in graph.inputs})
    state = wanted["state_0"].numpy()
    assert float(np.abs(found[0] - state).mean()) < 0.05 * float(np.abs(state).mean())
