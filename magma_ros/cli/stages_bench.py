# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench stages``: every stage against what the computer can do at best."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter, validators

from magma_ros.cli.common import Bundle, JsonFile, console, names
from magma_ros.doctor import require
from magma_ros.files import write_json
from magma_ros.share import find_bundle


def stages(
    *,
    bundle: Bundle = "magma-nano",
    providers: str = "TensorrtExecutionProvider,CUDAExecutionProvider",
    threads: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=128))] = 2,
    steps: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 200,
    deadline: float | None = None,
    numbers: Literal["float32", "float16", "bfloat16", "int8"] = "float32",
    gate: str = "adaptive",
    json_file: JsonFile = None,
) -> int:
    """Time every stage of a bundle against the least that is possible, and whole control steps.

    The least is measured here, too: rates of arithmetic and of reading weights.

    Args:
        bundle: Policy bundle.
        providers: Execution providers, best first, separated by commas; the CPU is always the last.
        threads: Of the policy.
        steps: Control steps at full depth, and as many with the gate on top.
        deadline: Of those with the gate [s]; by default 60 % of the median at full depth.
        numbers: In which the best rates are measured: what the bundle computes in. In another
            type a stage may well be faster than its floor.
        gate: Name of the gate.
        json_file: Also write the result there.
    """
    require("train")  # for onnx
    from magma_ros.evaluation.bench.stages import stages_table, time_stages
    from magma_ros.gate.gates import make_gate

    folder = find_bundle(bundle)
    bench = time_stages(
        folder,
        make_gate(gate, bundle=folder),
        providers=names(providers),
        threads=threads,
        steps=steps,
        deadline=deadline,
        numbers=numbers,
    )
    console.print(stages_table(bench))
    if json_file is not None:
        write_json(bench.to_json(), json_file)
    return 0
