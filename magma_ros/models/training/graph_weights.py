# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of a stage back from its ONNX graph, under the names of the exported module.

The exporter keeps the names of what it does not touch (norms, biases, convolutions); a constant
that it transposed, packed or quantised has lost its name. What such a product is follows from the
graph: from the named bias that is added to it, or, as Llama's layers have none, from what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import NodeProto, numpy_helper
from torch import Tensor

from magma_ros.policy.contract import BundleError
from magma_ros.policy.external_data import external_files
from magma_ros.types import FloatArray

STAGE = "stage."
"""What the names of a stage's weights begin with in its graph."""

PRODUCTS = ("MatMulInteger", "MatMul", "Gemm")

QUERIES = "queries"
"""The first look's queries; the exporter repeats them for the batch, so they are nameless too."""


def graph_weights(path: Path) -> dict[str, Tensor]:
    """The float weights of one stage, by their names in the exported module.

    Quantised ones are multiplied out; linear layers are (outputs, inputs), as in PyTorch.

    Raises:
        BundleError: The graph cannot be read, or keeps its weights in another file.
    """
    if external_files(path):
        raise BundleError(f"{path} keeps its weights in another file; export it as one file")
    return _Graph(path).weights()


class _Graph:
    """A graph with its constants and who makes what."""

    def __init__(self, path: Path) -> None:
        self._path = path
        graph = onnx.load(path).graph
        self._nodes = list(graph.node)
        self._outputs = [output.name for output in graph.output]
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers = {name: node for node in graph.node for name in node.input}

    def weights(self) -> dict[str, Tensor]:
        """See :func:`graph_weights`."""
        found = {
            _plain(name): _tensor(value)
            for name, value in self._constants.items()
            if name.startswith(STAGE) and value.dtype == np.float32 and not name.endswith("_scale")
        }
        for node in self._products():
            found[self._name(node)] = _tensor(self._matrix(node))
        for state in self._outputs:
            maker = self._makers[state]
            if maker.op_type == "Concat" and maker.input[0] in self._constants:
                found[QUERIES] = _tensor(self._constants[maker.input[0]])
        return found

    def _products(self) -> Iterator[NodeProto]:
        """The products with a constant matrix that is the weight of a linear layer."""
        for node in self._nodes:
            if node.op_type not in PRODUCTS or node.input[1] not in self._constants:
                continue
            name = node.input[1]
            linear = not name.startswith(STAGE) or name.endswith((".weight", "_quantized"))
            if self._constants[name].ndim == 2 and (linear or node.op_type == "Gemm"):
                yield node

    def _matrix(self, node: NodeProto) -> FloatArray:
        """The (outputs, inputs) weights of a product."""
        values = self._constants[node.input[1]]
        if node.op_type == "MatMulInteger":
            scale = self._constants[node.input[1].removesuffix("_quantized") + "_scale"]
            zero = self._constants[node.input[3]].astype(np.float32)
            values = (values.astype(np.float32) - zero) * scale
        rows_are_outputs = any(a.name == "transB" and a.i for a in node.attribute)
        return np.asarray(values if rows_are_outputs else values.T, np.float32)

    def _name(self, node: NodeProto) -> str:
        """Name of the weight of a product."""
        if node.op_type == "Gemm" and len(node.input) > 2:
            return _weight_of(node.input[2])
        if (bias := self._bias(node)) is not None:
            return _weight_of(bias)
        source = self._source(node)
        if source.op_type == "Attention":
            return f"{self._layer(self._source(source))}.out.weight"
        if source.op_type in PRODUCTS:
            return f"{self._layer(source)}.down.weight"
        layer, norm = _plain(source.input[1]).removesuffix(".weight").rsplit(".", 1)
        if norm == "between":
            return f"{layer}.gate_up.weight"
        outputs, inputs = self._matrix(node).shape
        return f"{layer}.{('queries', 'pairs', 'packed')[outputs // inputs - 1]}.weight"

    def _layer(self, node: NodeProto) -> str:
        """Name of the layer that a product without bias belongs to."""
        return self._name(node).rsplit(".", 2)[0]

    def _bias(self, node: NodeProto) -> str | None:
        """Name of the bias that is added to a product, or None."""
        while (reader := self._readers.get(node.output[0])) is not None:
            if reader.op_type == "Add":
                names = [name for name in reader.input if name.endswith(".bias")]
                return names[0] if names else None
            if reader.op_type not in {"Cast", "Mul"}:
                return None
            node = reader
        return None

    def _source(self, node: NodeProto) -> NodeProto:
        """The nearest norm, attention or product that a node's first input comes from."""
        while True:
            maker = self._makers.get(node.input[0])
            if maker is None:
                raise BundleError(
                    f"{self._path} holds a product that none of this project's layers has; "
                    "only bundles that magma export wrote can be trained on"
                )
            if maker.op_type in {"RMSNormalization", "Attention", *PRODUCTS}:
                return maker
            node = maker


def _plain(name: str) -> str:
    """A weight's name within its stage; views lie in ``vision``, whatever that was called once."""
    return re.sub(r"^[^.]+\.towers\.", "vision.towers.", name.removeprefix(STAGE))


def _weight_of(bias: str) -> str:
    return _plain(bias).removesuffix("bias") + "weight"


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.array(values))
