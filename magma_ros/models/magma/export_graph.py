# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes an ONNX graph whose weights go straight from a checkpoint to a file beside it.

torch.onnx.export holds all weights of a graph in memory, and those of the large Magma are larger
than the memory of the machines they are exported on. Its blocks of layers all look alike, so they
are written here operator by operator, and every weight is converted or quantised and written before
the next one is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from magma_ros.models.export.onnx_graph import OPSET
from magma_ros.models.magma.quantised import BLOCK, Bits, Quantised
from magma_ros.policy.contract import TensorSpec
from magma_ros.types import MagmaError

IR_VERSION = 10
"""Version of ONNX's file format; the first one with that operator set."""

ALIGNMENT = 4096
"""Weights begin at multiples of a memory page, so that they can be mapped."""

INLINE = 1024
"""Constants of at most as many bytes stay in the graph's own file."""

ACTIVATIONS = 4
"""ONNX Runtime's accuracy level of quantised products: on a CPU it may round their activations to 8
bits, in the same blocks, which makes a pass ten times faster than widening the weights each time.
GPUs do not look at it."""

ELEMENT_TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float16: TensorProto.FLOAT16,
    torch.bfloat16: TensorProto.BFLOAT16,
    torch.int32: TensorProto.INT32,
    torch.int64: TensorProto.INT64,
    torch.uint8: TensorProto.UINT8,
    torch.bool: TensorProto.BOOL,
}

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
Compute = Literal["fp32", "fp16", "bf16"]

COMPUTE: dict[Compute, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How weights are kept, and in what the rest is computed.

    Weights of products are quantised in blocks along their inputs (``MatMulNBits``); activations
    at most likewise, each row by itself. Scales of activations that are taken from a whole tensor,
    as ONNX Runtime's dynamic int8 does, would make the rows of a pass depend on each other: tokens
    decoded in parallel would no longer be those decoded one by one, padding would change the
    prompt, and a decoder's few very large activations would round all others away.

    Attributes:
        decoder_bits: Bits of the decoder's weights, or None if they are not quantised.
        vision_bits: Likewise, of the tower's and the projector's products.
        weights: Type of the products' weights that are not quantised.
        compute: Type of everything else.
    """

    decoder_bits: Bits | None
    vision_bits: Bits | None
    weights: torch.dtype
    compute: torch.dtype

    @classmethod
    def of(cls, precision: Precision, compute: Compute | None = None) -> Self:
        """The format that goes by a name; vision keeps 8 bits where the decoder has 4.

        Raises:
            MagmaError: The precision does not go with that type of activations.
        """
        if precision in COMPUTE:
            allowed = (precision, "fp32") if precision == "bf16" else (precision,)
            if compute not in (None, *allowed):
                raise MagmaError(
                    f"precision {precision} computes in {' or '.join(allowed)}, not in {compute}"
                )
            return cls(None, None, COMPUTE[precision], COMPUTE[compute or precision])
        dtype = COMPUTE[compute or "fp32"]
        return cls(4 if precision == "int4" else 8, 8, dtype, dtype)


class GraphWriter:
    """Writes one graph; to be used in a ``with`` statement.

    Args:
        path: The ONNX file; the weights go to a file of the same name that ends in ``.data``.
        compute: Type of the activations.

    Attributes:
        weight_bytes: Bytes of all constants so far.
        has_data: Whether there is a file with weights.
    """

    def __init__(self, path: Path, compute: torch.dtype = torch.float32) -> None:
        self.compute = compute
        self.weight_bytes = 0
        self._path = path
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._count = 0
        self.data_path = path.with_suffix(".data")

    def __enter__(self) -> Self:
        """Open the file for the weights."""
        self._data = self.data_path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; without weights it goes."""
        self._data.close()
        if not self.has_data:
            self.data_path.unlink()

    @property
    def has_data(self) -> bool:
        """Whether any weight went to the other file."""
        return any(t.data_location == TensorProto.EXTERNAL for t in self._constants)

    def op(self, kind: str, *inputs: str, output: str = "", domain: str = "", **fields: Any) -> str:
        """Append an operator with one output; return its name."""
        return self.ops(kind, inputs, [output or self._name(kind)], domain=domain, **fields)[0]

    def ops(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str = "",
        **fields: Any,
    ) -> Sequence[str]:
        """Append an operator; return the names of its outputs."""
        self._nodes.append(
            helper.make_node(kind, inputs, outputs, name=self._name(kind), domain=domain, **fields)
        )
        return outputs

    def names(self, kind: str, count: int) -> list[str]:
        """New names for the outputs of an operator."""
        return [self._name(kind) for _ in range(count)]

    def numbers(self, *values: int) -> str:
        """A constant (K,) int64."""
        return self.constant(torch.tensor(values, dtype=torch.int64))

    def constant(self, value: Tensor | npt.NDArray[Any], name: str = "") -> str:
        """Append a constant as it is; return its name."""
        tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        tensor = tensor.contiguous()
        proto = TensorProto(
            name=name or self._name("constant"),
            data_type=ELEMENT_TYPES[tensor.dtype],
            dims=list(tensor.shape),
        )
        size = tensor.numel() * tensor.itemsize
        self.weight_bytes += size
        content: Any = tensor.reshape(-1).view(torch.uint8).numpy() if size else b""
        if size <= INLINE:
            proto.raw_data = bytes(content)
        else:
            self._put_beside(proto, content, size)
        self._constants.append(proto)
        return str(proto.name)

    def weight(self, value: Tensor, name: str = "") -> str:
        """Append a constant in the type of the activations."""
        return self.constant(value.to(self.compute), name)

    def cast(self, given: str, dtype: torch.dtype, to: torch.dtype | None = None) -> str:
        """Convert what has the type ``dtype`` to ``to``, or to the type of the activations."""
        wanted = to or self.compute
        return given if dtype == wanted else self.op("Cast", given, to=ELEMENT_TYPES[wanted])

    def linear(self, given: str, weight: Tensor | Quantised, bias: Tensor | None = None) -> str:
        """Append a product with the transpose of ``weight`` (out, in), and perhaps a sum.

        Args:
            given: (..., in).
            weight: Quantised, or float in any type, which it keeps.
            bias: (out,) or None.
        """
        if isinstance(weight, Quantised):
            made = self._quantised(given, weight)
        else:
            made = self.op("MatMul", given, self.cast(self.constant(weight.T), weight.dtype))
        return made if bias is None else self.op("Add", made, self.weight(bias))

    def finish(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> None:
        """Write the graph.

        Args:
            inputs: Made by :func:`value`.
            outputs: Likewise.
        """
        graph = helper.make_graph(
            self._nodes, self._path.stem, inputs, outputs, initializer=self._constants
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
        self._data.flush()
        self._path.write_bytes(model.SerializeToString())

    def _quantised(self, given: str, weight: Quantised) -> str:
        outputs, inputs = weight.size
        return self.op(
            "MatMulNBits",
            given,
            self.constant(weight.packed),
            self.weight(torch.from_numpy(weight.scales)),
            self.constant(weight.zeros),
            domain="com.microsoft",
            K=inputs,
            N=outputs,
            bits=weight.bits,
            block_size=BLOCK,
            accuracy_level=ACTIVATIONS,
        )

    def _put_beside(self, proto: TensorProto, content: Any, size: int) -> None:
        begin = math.ceil(self._data.tell() / ALIGNMENT) * ALIGNMENT
        self._data.seek(begin)
        self._data.write(content)
        proto.data_location = TensorProto.EXTERNAL
        for key, entry in (
            ("location", self.data_path.name),
            ("offset", str(begin)),
            ("length", str(size)),
        ):
            proto.external_data.add(key=key, value=entry)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind.lower()}_{self._count}"


def value(spec: TensorSpec, *symbols: str | None) -> onnx.ValueInfoProto:
    """An input or output of a graph.

    Args:
        spec: Its name, type and shape.
        symbols: For each dimension the name of a size that varies, or None; all fixed if not given.
    """
    shape = [
        s or size for s, size in zip(symbols or [None] * len(spec.shape), spec.shape, strict=True)
    ]
    kind = getattr(TensorProto, {"float32": "FLOAT"}.get(spec.dtype, spec.dtype.upper()))
    return helper.make_tensor_value_info(spec.name, kind, shape)


def spec(name: str, dtype: torch.dtype, *shape: int) -> TensorSpec:
    """How the manifest describes a tensor."""
    return TensorSpec.model_validate(
        {"name": name, "dtype": str(dtype).removeprefix("torch."), "shape": shape}
    )
