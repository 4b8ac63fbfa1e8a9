# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns a float graph into an int8 one, and counts the bytes of weights a graph reads.

Which operators become int8, and how, was decided by measurement (ONNX Runtime 1.31, AVX-512 VNNI,
two threads; medians):

- Products with constant weights: int8 weights with one scale per output channel, activations
  quantised at run time. Eight products of 77 tokens, 192 to 576 channels: float 1.64 ms, int8 with
  scales fixed beforehand 0.56 ms, with scales from run time 0.43 ms. The same order holds for all
  shapes of magma-nano; so no calibration data is needed, either. Weight-only int8 in blocks
  (``MatMulNBits``): 1.83 ms.
- Narrow products stay float: they take no time, and they carry positions and measured values.
  Rounding them as well moves magma-nano's actions by 0.0021 instead of 0.0016 on average.
- Depthwise convolutions stay float. Four ConvNeXt blocks with int8 products only, and with int8
  convolutions as well: 1.79 and 1.94 ms on 24 x 24 x 48, 0.75 and 0.95 ms on 12 x 12 x 96, 0.66 and
  0.65 ms on 6 x 6 x 192.
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

PRODUCTS = ("MatMul", "Gemm")
"""Operators that become int8."""

NARROW = 8
"""Products with fewer inputs or outputs than this stay float."""


def quantise(source: Path, target: Path) -> None:
    """Write the int8 version of the graph in ``source`` to ``target``."""
    root = logging.getLogger()
    level = root.level
    # The quantiser advises, through the root logger, a pre-processing that the exporter has done.
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_exclude=_narrow_products(onnx.load(source).graph),
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)
    save(tidy(onnx.load(target)), target)


def _narrow_products(graph: onnx.GraphProto) -> list[str]:
    """Names of the products with fewer than ``NARROW`` inputs or outputs."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    return [
        # The quantiser first makes a MatMul of that name and an Add from a Gemm.
        f"{node.name}_MatMul" if node.op_type == "Gemm" else node.name
        for node in graph.node
        if node.op_type in PRODUCTS and min(weights.get(node.input[1], (NARROW,))) < NARROW
    ]


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what no run needs: traces of the source code, and shapes inferred along the way."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for entry in (*model.graph.node, *model.graph.input, *model.graph.output):
        entry.doc_string = ""
        del entry.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check a graph and write it."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def weight_bytes(path: Path) -> int:
    """Bytes of all constants of a graph."""
    model = onnx.load(path)
    return sum(numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer)
