# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What this computer reaches at best in ONNX Runtime: of arithmetic, and of reading weights.

Both are measured with matrix products through the same provider, threads and binding as a policy's
stages: square ones, whose weights are used by many rows, and such of a single row, which do nothing
but read them. On a CPU it is one product; on a GPU, where starting a graph takes as long as one, it
is a chain of them. They are the roof of the roofline model (Williams et al. 2009, CACM 52(4)).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from magma_ros.policy import providers as execution
from magma_ros.policy.bundle import session_options
from magma_ros.policy.pipeline import BFLOAT16
from magma_ros.timing import race
from magma_ros.types import MagmaError

Numbers = Literal["float32", "float16", "bfloat16", "int8"]

ITEM_BYTES: dict[Numbers, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}

ROWS = 512
"""Rows of the product that measures arithmetic; a prompt of Magma has 313."""

WIDTH, LARGE_WIDTH = 4096, 8192
"""Rows and columns of the weights on a CPU, and on a GPU or of what no cache may hold: 64 MB in
float32, and 128 MB in 16 bits."""

_KINDS: dict[Numbers, int] = {"float32": 1, "float16": 10, "bfloat16": BFLOAT16, "int8": 1}
"""ONNX's numbers of the types of what comes in and goes out."""

CHAIN, WEIGHTS = 16, 4
"""Products in a graph for a GPU, and how many different weights they take in turns: more than its
caches hold."""

RUNS = 20
"""Timed runs of each product, of which the fastest quarter counts."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The best rates of a provider.

    Attributes:
        provider: ONNX Runtime's name of it.
        numbers: Type of the products.
        flops: Operations a second [1/s].
        bandwidth: Bytes of weights a second [1/s].
    """

    provider: str
    numbers: Numbers
    flops: float
    bandwidth: float

    def floor(self, flops: float, weight_bytes: float) -> float:
        """The least time in which so much can be computed and read [s]."""
        return max(flops / self.flops, weight_bytes / self.bandwidth)


def measure_ceilings(
    providers: Sequence[str],
    threads: int,
    *,
    numbers: Numbers = "float32",
    width: int | None = None,
) -> Ceilings:
    """Measure them; needs the package onnx.

    Args:
        providers: As of a policy, best first.
        threads: As of a policy.
        numbers: Type of the products: float32; float16 or bfloat16 where a GPU computes in it; or
            int8, by which rows are quantised as they come, as in ONNX Runtime's dynamic
            quantisation.
        width: Columns and rows of the weights; by default more than caches hold in float32 on a
            CPU and in 16 bits on a GPU. Weights of int8 for a CPU are then as in its cache.

    Raises:
        MagmaError: The provider has no such product; a CPU has none of bfloat16.
    """
    usable = execution.choose(providers)
    on_gpu = usable[0] in execution.ON_GPU
    if numbers == "bfloat16" and not on_gpu:
        raise MagmaError(
            f"ONNX Runtime multiplies in bfloat16 only with {execution.CUDA}; measure in float32"
        )
    width = width or (LARGE_WIDTH if on_gpu else WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "product.onnx"
        chain = CHAIN if on_gpu else 1
        _write_product(path, numbers, width, chain)
        options = session_options(threads)
        listed = execution.with_options(usable, [numbers, str(width)])
        try:
            session = ort.InferenceSession(path, options, providers=listed)
        except Exception as error:  # ONNX Runtime's errors share no base class
            reason = " ".join(str(error).split())
            raise MagmaError(f"{usable[0]} runs no product in {numbers}: {reason}") from error
        contenders = {str(rows): _bound(session, numbers, rows, width) for rows in (ROWS, 1)}
        times = race(contenders, RUNS)
    size = chain * width * width * ITEM_BYTES[numbers]
    return Ceilings(
        session.get_providers()[0],
        numbers,
        chain * 2.0 * ROWS * width * width / times[str(ROWS)].low,
        size / times["1"].low,
    )


def _write_product(path: Path, numbers: Numbers, width: int, chain: int = 1) -> None:
    """Write products one after the other; there is but one in int8."""
    import onnx
    from onnx import helper, numpy_helper

    draw = np.random.default_rng(0)
    if numbers == "int8":
        drawn = draw.integers(-127, 128, (width, width), np.int8)
        weights = [numpy_helper.from_array(drawn, "w")]
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["rows", "scale", "zero"]),
            helper.make_node("MatMulInteger", ["rows", "w", "zero"], ["sums"]),
            helper.make_node("Cast", ["sums"], ["real"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", ["real", "scale"], ["y"]),
        ]
    else:
        # Scaled, so that what comes out is as large as what came in, however long the chain is.
        real = draw.standard_normal((width, width), np.float32) / np.float32(width**0.5)
        kind, shape = _KINDS[numbers], (width, width)
        rolled = [_as(np.roll(real, turn), numbers) for turn in range(min(chain, WEIGHTS))]
        weights = [
            helper.make_tensor(f"w{turn}", kind, shape, each.tobytes(), raw=True)
            for turn, each in enumerate(rolled)
        ]
        names = ["x", *(f"y{place}" for place in range(1, chain)), "y"]
        nodes = [
            helper.make_node("MatMul", [given, f"w{place % len(weights)}"], [made])
            for place, (given, made) in enumerate(pairwise(names))
        ]
    kind = _KINDS[numbers]
    ends = [helper.make_tensor_value_info(name, kind, ["n", width]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def _as(values: npt.NDArray[np.float32], numbers: Numbers) -> npt.NDArray[np.generic]:
    """What comes in and goes out: in bfloat16 as the upper halves of float32, NumPy lacks it."""
    if numbers == "bfloat16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype("float32" if numbers == "int8" else numbers)


def _bound(
    session: ort.InferenceSession, numbers: Numbers, rows: int, width: int
) -> Callable[[], None]:
    memory = execution.memory_of([session])
    given, result = (
        ort.OrtValue.ortvalue_from_shape_and_type([rows, width], _KINDS[numbers], memory)
        for _ in range(2)
    )
    given.update_inplace(_as(np.ones((rows, width), np.float32), numbers))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", given)
    binding.bind_ortvalue_output("y", result)

    def run() -> None:
        session.run_with_iobinding(binding)

    return run
