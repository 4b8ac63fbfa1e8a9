# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fits somebody's ONNX graph to the names, types and shapes that a bundle promises.

Around the graph come the few operators that its training had outside of it: images are scaled and
their axes ordered, measured values normalised and parted, and the action is given its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper, shape_inference

from magma_ros.policy.contract import TensorSpec
from magma_ros.types import FloatArray, MagmaError

PREFIX = "policy/"
"""Goes before every name of the foreign graph, so that none is one of ours."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


class ForeignError(MagmaError):
    """Somebody's policy cannot be turned into a bundle."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the foreign graph.

    Attributes:
        name: Its name.
        dtype: Element type, as ONNX numbers it.
        shape: Sizes; None where the graph leaves one open.
    """

    name: str
    dtype: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({TensorProto.DataType.Name(self.dtype).lower()} [{sizes}])"


@dataclass(frozen=True, slots=True)
class Scaling:
    """``(x - mean) / std`` of each value.

    Attributes:
        mean: Means, one for all or one each.
        std: Standard deviations, likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def ports(model: onnx.ModelProto) -> tuple[list[Port], list[Port]]:
    """What a graph takes, without its constants, and what it gives."""
    constants = {tensor.name for tensor in model.graph.initializer}
    given = [_port(info) for info in model.graph.input if info.name not in constants]
    return given, [_port(info) for info in model.graph.output]


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file with all its weights.

    Raises:
        ForeignError: It is missing or is none.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx raise errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise ForeignError(f"{path} is not a readable ONNX file ({reason})") from error
    return model


@dataclass
class Adapter:
    """The foreign graph with what comes before and after it, piece by piece.

    Args:
        model: The foreign graph.
    """

    model: onnx.ModelProto
    _before: list[onnx.NodeProto] = field(default_factory=list)
    _after: list[onnx.NodeProto] = field(default_factory=list)
    _weights: list[onnx.TensorProto] = field(default_factory=list)
    _given: dict[str, TensorSpec] = field(default_factory=dict)
    _open: dict[str, Port] = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self.model = compose.add_prefix(self.model, PREFIX)
        self._open = {port.name: port for port in ports(self.model)[0]}
        self._nodes = self._before

    def image(
        self, port: Port, given: TensorSpec, unit: tuple[float, float], scaling: Scaling | None
    ) -> None:
        """Feed a camera's image (1, H, W, 3) uint8, or its frames (1, T, H, W, 3).

        Args:
            port: Where to.
            given: What a bundle gives.
            unit: What black and the brightest level become.
            scaling: What comes after that, of each colour, or None.
        """
        value = self._take(given)
        low, high = unit
        if port.dtype in FLOATS:
            value = self._to(value, TensorProto.FLOAT)
            if (low, high) != (0.0, 255.0):
                value = self._op("Mul", value, self._number((high - low) / 255.0))
            if low:
                value = self._op("Add", value, self._number(low))
            value = self._scaled(value, scaling)
        self._feed(port, self._ordered(port, value, given))

    def depth(self, port: Port, given: TensorSpec, scaling: Scaling | None) -> None:
        """Feed a depth image (1, H, W, 1) float32 [m]."""
        value = self._scaled(self._take(given), scaling)
        self._feed(port, self._ordered(port, value, given))

    def values(
        self, port: Port, given: TensorSpec, columns: Sequence[int], scaling: Scaling | None
    ) -> None:
        """Feed some columns of the measured values (1, P) float32, or of their frames."""
        value = self._take(given)
        if tuple(columns) != tuple(range(given.shape[-1])):
            value = self._op("Gather", value, self._whole(columns), axis=-1)
        self._feed(port, self._scaled(value, scaling))

    def passed(self, port: Port, given: TensorSpec) -> None:
        """Feed what a bundle gives as it is: tokens, or their mask."""
        self._feed(port, self._take(given))

    def constant(self, port: Port, value: float) -> None:
        """Feed the same number everywhere."""
        self._feed(port, self._constant(np.full(_closed(port), value, np.float32)))

    def action(self, port: Port, shape: tuple[int, int, int], columns: Sequence[int]) -> None:
        """Give ``columns`` of an output as the action (1, K, D)."""
        self._nodes = self._after
        value = self._to(PREFIX + port.name, TensorProto.FLOAT)
        steps, width = shape[1], port.shape[-1]
        value = self._op("Reshape", value, self._whole((1, -1, width or len(columns))))
        if tuple(columns) != tuple(range(width or len(columns))):
            value = self._op("Gather", value, self._whole(columns), axis=2)
        value = self._op("Slice", value, self._whole([0]), self._whole([steps]), self._whole([1]))
        self._nodes.append(helper.make_node("Identity", [value], ["action"]))

    def finished(self, action: TensorSpec) -> tuple[onnx.ModelProto, tuple[TensorSpec, ...]]:
        """The whole graph, and what it takes.

        Raises:
            ForeignError: An input was not fed, or the graph does not fit together.
        """
        if self._open:
            left = next(iter(self._open.values()))
            raise ForeignError(f"nothing is said of the input {_bare(left)}")
        theirs = self.model.graph
        graph = helper.make_graph(
            [*self._before, *theirs.node, *self._after],
            "policy",
            [_info(tensor) for tensor in self._given.values()],
            [_info(action)],
            [*theirs.initializer, *self._weights],
            sparse_initializer=theirs.sparse_initializer,
        )
        model = helper.make_model(
            graph,
            opset_imports=self.model.opset_import,
            functions=self.model.functions,
            ir_version=self.model.ir_version,
        )
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ForeignError(f"the answers do not fit the graph ({reason})") from error
        return model, tuple(self._given.values())

    def _take(self, given: TensorSpec) -> str:
        self._given[given.name] = given
        return given.name

    def _feed(self, port: Port, value: str) -> None:
        """Lead a value to an input, in its type and shape."""
        wanted = self._open.pop(PREFIX + port.name)
        value = self._to(value, port.dtype)
        shape = self._whole([-1 if size is None else size for size in (1, *port.shape[1:])])
        value = self._op("Reshape", value, shape)
        self._nodes.append(helper.make_node("Identity", [value], [wanted.name]))

    def _ordered(self, port: Port, value: str, given: TensorSpec) -> str:
        """The axes of an image as an input has them: its colours last, or before its rows."""
        if port.shape[-1] == given.shape[-1]:
            return value
        *before, rows, columns, colours = range(len(given.shape))
        return self._op("Transpose", value, perm=[*before, colours, rows, columns])

    def _scaled(self, value: str, scaling: Scaling | None) -> str:
        if scaling is None:
            return value
        value = self._op("Sub", value, self._constant(np.array(scaling.mean, np.float32)))
        return self._op("Div", value, self._constant(np.array(scaling.std, np.float32)))

    def _to(self, value: str, dtype: int) -> str:
        return self._op("Cast", value, to=dtype)

    def _op(self, kind: str, *inputs: str, **attributes: object) -> str:
        self._count += 1
        name = f"adapt_{self._count}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _number(self, value: float) -> str:
        return self._constant(np.array(value, np.float32))

    def _whole(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: FloatArray | np.ndarray) -> str:
        self._count += 1
        name = f"adapt_{self._count}"
        self._weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def cost(model: onnx.ModelProto) -> tuple[int, int]:
    """Operations of one run, those of products and convolutions, and bytes of all weights."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    stored = sum(numpy_helper.to_array(t).nbytes for t in model.graph.initializer)
    shapes = dict(weights)
    inferred = shape_inference.infer_shapes(model).graph
    for info in (*inferred.value_info, *inferred.input, *inferred.output):
        sizes = [size.dim_value or 1 for size in info.type.tensor_type.shape.dim]
        shapes[info.name] = tuple(sizes)
    return sum(_operations(node, shapes) for node in model.graph.node), stored


def _operations(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    made = math.prod(shapes.get(node.output[0], ())) if node.output else 0
    if node.op_type in ("MatMul", "Gemm"):
        left = shapes.get(node.input[0], (0,))
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        return 2 * made * (left[0] if turned else left[-1])
    if node.op_type == "Conv":
        return 2 * made * math.prod(shapes.get(node.input[1], (0, 0))[1:])
    return 0


def _port(info: onnx.ValueInfoProto) -> Port:
    tensor = info.type.tensor_type
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return Port(info.name, tensor.elem_type, tuple(sizes))


def _bare(port: Port) -> Port:
    return Port(port.name.removeprefix(PREFIX), port.dtype, port.shape)


def _closed(port: Port) -> list[int]:
    if None in port.shape[1:]:
        raise ForeignError(
            f"the input {port} has no fixed size, so no constant can be given to it; export the "
            "graph with fixed sizes"
        )
    return [1, *(size for size in port.shape[1:] if size is not None)]


def _info(tensor: TensorSpec) -> onnx.ValueInfoProto:
    dtype = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}
    return helper.make_tensor_value_info(tensor.name, dtype[tensor.dtype], tensor.shape)
