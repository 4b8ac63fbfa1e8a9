# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a stage as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from magma_ros.models.export.optimise import streamlined
from magma_ros.models.export.quantise import save, tidy
from magma_ros.models.network.graphs import StageGraph

OPSET = 23
"""ONNX operator set; the first with RMS norm, rotation and attention as one operator each."""


def write_onnx(graph: StageGraph, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a stage in the form that ONNX Runtime runs fastest.

    Args:
        graph: The stage.
        tensors: Example inputs by name, which fix the shapes.
        path: File to write.
    """
    final = not any(name.startswith("state") for name in graph.outputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            streamlined(graph.module, final=final),
            tuple(tensors[name] for name in graph.inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            verbose=False,
        )
    assert program is not None
    save(tidy(program.model_proto), path)
