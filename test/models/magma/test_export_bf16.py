# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in bfloat16: cast where a CPU computes, computed with where a GPU does, or refused."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from magma_ros.cli import main
from magma_ros.models.magma.comparison import compare, noise
from magma_ros.models.magma.export import import_checkpoint
from magma_ros.models.magma.export_graph import NumberFormat
from magma_ros.models.magma.export_target import Target
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.prompt import ActionPrompt, read_tokenizer
from magma_ros.policy.providers import CUDA
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import MagmaError

SIDE = 48
BFLOAT16 = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint):
    return Checkpoint.open(tiny_checkpoint)


@pytest.fixture(scope="module")
def make(checkpoint, tmp_path_factory):
    def bundle(**fields):
        out = tmp_path_factory.mktemp("bundles") / "made"
        return import_checkpoint(
            checkpoint, out, Target(height=SIDE, width=SIDE, exits=(2,), **fields)
        )

    return bundle


@pytest.fixture(scope="module")
def in_bf16(make):
    """A bundle that keeps and computes in bfloat16."""
    return make(precision="bf16")


def weight_types(path):
    graph = onnx.load(path, load_external_data=False).graph
    inner = {name for node in graph.node if node.op_type == "MatMul" for name in node.input}
    return {t.data_type for t in graph.initializer if t.name in inner}


def test_weights_in_bf16_are_cast_for_a_cpu_and_give_the_tokens_of_fp32(make, checkpoint):
    bundle = make(precision="bf16", compute="fp32")
    graph = onnx.load(bundle / "think_1.onnx", load_external_data=False).graph
    kept = [t for t in graph.initializer if t.data_type == onnx.TensorProto.BFLOAT16]
    assert len(kept) == 2 * 7  # products of two layers
    found = compare(checkpoint, bundle, noise(read_manifest(bundle), 4), threads=1)
    assert (found.actions, found.in_parallel) == (1.0, 1.0)  # stored in bf16, so nothing is lost


def test_graphs_in_bf16_are_sound_and_every_product_in_them_is_of_bf16(in_bf16):
    for path in sorted(in_bf16.glob("*.onnx")):
        onnx.checker.check_model(str(path))
        model = onnx.load(path, load_external_data=False)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        if not path.stem.startswith("decode"):  # an exit's head is in float32
            assert weight_types(path) <= {onnx.TensorProto.BFLOAT16}
    outputs = {t.name: t.dtype for s in read_manifest(in_bf16).stages for t in s.outputs}
    assert {outputs[name] for name in ("words", "state_0", "state_1", "memory_2")} == {"bfloat16"}


@torch.inference_mode()
def test_graphs_in_bf16_compute_what_the_network_does_as_far_as_bf16_reaches(in_bf16, checkpoint):
    image = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    prompt = ActionPrompt()
    tokenizer = read_tokenizer(checkpoint.folder / "tokenizer.json", prompt)
    parts = (prompt.prefix(tokenizer), prompt.suffix(tokenizer, "pick up the red cube"))
    length = read_manifest(in_bf16).observation.max_tokens
    padded = np.array([[*parts[1], *[0] * (length - len(parts[1]))]])
    known = {"image_front": image, "tokens": padded}
    for name in ("look_words", "look_image", "think_1", "think_2"):
        graph = ReferenceEvaluator(str(in_bf16 / f"{name}.onnx"))
        made = graph.run(None, {each: known[each] for each in graph.input_names})
        known |= dict(zip(graph.output_names, made, strict=True))

    network = empty_network(checkpoint.shape)
    fill(network, checkpoint)
    ids = (torch.tensor([part]) for part in parts)
    hidden = network.prompt(pixels_of(torch.from_numpy(image), network.shape), *ids)
    hidden, _ = network.think(hidden, network.layers)
    wanted = hidden[0, len(parts[0]) :].numpy()
    assert known["state_2"].dtype == BFLOAT16
    error = np.abs(known["state_2"][0, : len(wanted)].astype(np.float32) - wanted)
    # Bfloat16 keeps 8 bits, and an error of half the last of them enters at every operator.
    assert 0.0 < error.mean() / np.abs(wanted).mean() < 0.03


def test_what_computes_in_bf16_is_refused_on_a_cpu_by_the_provider_that_it_needs(in_bf16):
    with pytest.raises(MagmaError, match=f"bfloat16, which .* the CPU cannot; run it with {CUDA}"):
        StagedPolicy.load(in_bf16)


def test_what_is_kept_in_bf16_computes_in_bf16_or_fp32(tiny_checkpoint, tmp_path, capsys):
    assert NumberFormat.of("bf16").compute == torch.bfloat16
    assert NumberFormat.of("int4", "bf16").compute == torch.bfloat16
    arguments = ["import", "--checkpoint", str(tiny_checkpoint), "--out", str(tmp_path / "made")]
    assert main([*arguments, "--precision", "bf16", "--compute", "fp16"]) == 2
    assert "precision bf16 computes in bf16 or fp32, not in fp16" in capsys.readouterr().err
