# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long every stage takes: PyTorch eager, fp32 ONNX and int8 ONNX, measured in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from magma_ros.models.checkpoint import load_policy
from magma_ros.models.graphs import example_inputs, run_stages
from magma_ros.models.quantise import quantise
from magma_ros.policy.bundle import session_options

RUNS = 200
"""Timed runs of each runtime."""

BLOCK = 20
"""Timed runs of one runtime before it is the next one's turn."""

WARM_UP = 5
"""Runs at the beginning of a block that are not counted."""

PAUSE = 0.02
"""Rest before a block [s], in which the threads of the runtime before go to sleep."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage takes in one runtime.

    Attributes:
        stage: Name of the stage.
        runtime: ``PyTorch``, ``ONNX fp32`` or ``ONNX int8``.
        median: Median duration [s].
        low: 25th percentile [s].
        high: 75th percentile [s].
    """

    stage: str
    runtime: str
    median: float
    low: float
    high: float


def benchmark(checkpoint: Path, *, threads: int = 2, runs: int = RUNS) -> list[Timing]:
    """Time every stage of a checkpoint.

    The runtimes take turns in short blocks, so that whatever else the machine does hits all alike.

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
                graph.export(given, single)
                quantise(single, quantised)
                feed = {name: given[name].numpy() for name in graph.inputs}
                contenders: dict[str, Callable[[], object]] = {
                    "PyTorch": partial(graph.run, given),
                    "ONNX fp32": partial(_session(single, threads).run, None, feed),
                    "ONNX int8": partial(_session(quantised, threads).run, None, feed),
                }
                timings += _race(graph.name, contenders, runs)
    finally:
        torch.set_num_threads(before)
    return timings


def _session(path: Path, threads: int) -> ort.InferenceSession:
    return ort.InferenceSession(path, session_options(threads))


def _duration(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _race(stage: str, contenders: dict[str, Callable[[], object]], runs: int) -> list[Timing]:
    times: dict[str, list[float]] = {runtime: [] for runtime in contenders}
    for first in range(0, runs, BLOCK):
        for runtime, act in contenders.items():
            time.sleep(PAUSE)
            for _ in range(WARM_UP):
                act()
            times[runtime] += [_duration(act) for _ in range(min(BLOCK, runs - first))]
    return [
        Timing(stage, runtime, *(float(q) for q in np.quantile(found, [0.5, 0.25, 0.75])))
        for runtime, found in times.items()
    ]
