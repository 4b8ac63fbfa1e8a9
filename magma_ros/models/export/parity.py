# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares the exported bundle with the network, on scenes of the simulator and on noise."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from tokenizers import Tokenizer
from torch import Tensor

from magma_ros.evaluation.suites import find_suite
from magma_ros.models.network.graphs import StageGraph, example_inputs, run_stages
from magma_ros.models.training.config import TrainingConfig
from magma_ros.models.training.rollout import VALIDATION_SEEDS, observation_contract
from magma_ros.policy.bundle import session_options
from magma_ros.policy.preprocess import Preprocessor
from magma_ros.types import FloatArray, MagmaError

SCENES = 4
"""Scenes per task that are compared."""

SPLIT = "seen"
"""Variation of scenes and instructions."""


class ParityError(MagmaError):
    """The outputs of an exported graph differ from the network's."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one exit's actions lie from PyTorch's, on the normalised range [-1, 1].

    Attributes:
        depth: Index of the exit.
        mean: Mean absolute difference.
        p99: 99th percentile of the absolute difference.
        largest: Largest absolute difference.
    """

    depth: int
    mean: float
    p99: float
    largest: float


def observations(config: TrainingConfig, tokenizer: Tokenizer) -> list[dict[str, Tensor]]:
    """Graph inputs to compare on: noise, then the first scenes of every task."""
    preprocess = Preprocessor(observation_contract(config.network), tokenizer)
    found = [example_inputs(config.network)]
    for suite, task in config.data.tasks:
        for seed in range(VALIDATION_SEEDS, VALIDATION_SEEDS + SCENES):
            with closing(find_suite(suite).make_world()) as world:
                world.reset(task, SPLIT, seed)
                given = preprocess(world.observe())
            found.append({name: torch.from_numpy(value) for name, value in given.items()})
    return found


def compare(
    graphs: list[StageGraph], files: list[Path], scenes: list[dict[str, Tensor]]
) -> tuple[list[Deviation], float]:
    """Run the chained ONNX stages and the network side by side.

    Args:
        graphs: The stages in PyTorch.
        files: Their ONNX files.
        scenes: Graph inputs of observations.

    Returns:
        The deviation of every exit's action with all stages chained, and the largest difference
        of any output of any single stage that was given PyTorch's own inputs.
    """
    sessions = [ort.InferenceSession(path, session_options(1)) for path in files]
    differences: dict[int, list[FloatArray]] = {g.depth: [] for g in graphs if g.depth is not None}
    largest = 0.0
    for scene in scenes:
        chained: dict[str, FloatArray] = {name: value.numpy() for name, value in scene.items()}
        for session, (graph, given, wanted) in zip(
            sessions, run_stages(graphs, scene), strict=True
        ):
            alone = _run(session, graph, {name: given[name].numpy() for name in graph.inputs})
            largest = max(
                largest,
                *(float(np.abs(alone[name] - wanted[name].numpy()).max()) for name in wanted),
            )
            chained |= _run(session, graph, chained)
            if graph.depth is not None:
                difference = np.abs(chained["action"] - wanted["action"].numpy())
                differences[graph.depth].append(difference)
    return [_summary(depth, found) for depth, found in differences.items()], largest


def _run(
    session: ort.InferenceSession, graph: StageGraph, known: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    values = session.run(list(graph.outputs), {name: known[name] for name in graph.inputs})
    return dict(zip(graph.outputs, values, strict=True))


def _summary(depth: int, differences: list[FloatArray]) -> Deviation:
    values = np.concatenate([difference.ravel() for difference in differences])
    return Deviation(
        depth, float(values.mean()), float(np.quantile(values, 0.99)), float(values.max())
    )
