# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long every stage takes: PyTorch eager, fp32 ONNX and int8 ONNX, measured in one run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnxruntime as ort
import torch

from magma_ros.models.export.onnx_graph import write_onnx
from magma_ros.models.export.quantise import quantise
from magma_ros.models.network.graphs import example_inputs, run_stages
from magma_ros.models.training.checkpoint import load_policy
from magma_ros.policy.bundle import session_options
from magma_ros.timing import RUNS, Quartiles, race


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage takes in one runtime.

    Attributes:
        stage: Name of the stage.
        runtime: ``PyTorch``, ``ONNX fp32`` or ``ONNX int8``.
        time: Of its runs.
    """

    stage: str
    runtime: str
    time: Quartiles


def benchmark(checkpoint: Path, *, threads: int = 2, runs: int = RUNS) -> list[Timing]:
    """Time every stage of a checkpoint.

    Args:
        checkpoint: A checkpoint or a run's folder.
        threads: Threads for every runtime.
        runs: Timed runs of each.

    Raises:
        CheckpointError: There is no checkpoint.
    """
    network, recipe = load_policy(checkpoint)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    timings: list[Timing] = []
    try:
        with tempfile.TemporaryDirectory() as scratch:
            scene = example_inputs(recipe.config.network)
            for graph, given, _ in run_stages(network.stage_graphs(), scene):
                single, quantised = Path(scratch, "fp32.onnx"), Path(scratch, "int8.onnx")
                write_onnx(graph, given, single)
                quantise(single, quantised)
                feed = {name: given[name].numpy() for name in graph.inputs}
                contenders: dict[str, Callable[[], object]] = {
                    "PyTorch": partial(graph.run, given),
                    "ONNX fp32": partial(_session(single, threads).run, None, feed),
                    "ONNX int8": partial(_session(quantised, threads).run, None, feed),
                }
                found = race(contenders, runs)
                timings += [Timing(graph.name, runtime, time) for runtime, time in found.items()]
    finally:
        torch.set_num_threads(before)
    return timings


def _session(path: Path, threads: int) -> ort.InferenceSession:
    return ort.InferenceSession(path, session_options(threads))
