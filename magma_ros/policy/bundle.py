# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the files of a bundle, and refuses whatever differs from the manifest.

The order is fixed: the file is there, its checksum is right, ONNX Runtime can read it, and the
graph's inputs and outputs are those the manifest promises. What passes here can be bound and run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort
from tokenizers import Tokenizer

from magma_ros.policy.contract import BundleError, TensorSpec
from magma_ros.policy.external_data import external_files
from magma_ros.policy.manifest import Manifest, sha256_of
from magma_ros.policy.providers import CPU, CUDA, ON_GPU, RECORD_PLACEMENT, with_options
from magma_ros.policy.stages import BundleFile, GraphSpec, graphs

ORT_DTYPES = {
    "float32": "tensor(float)",
    "float16": "tensor(float16)",
    "bfloat16": "tensor(bfloat16)",
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
    "uint8": "tensor(uint8)",
    "int8": "tensor(int8)",
    "bool": "tensor(bool)",
}
"""ONNX Runtime's names for the manifest's dtypes."""

_log = logging.getLogger(__name__)


def session_options(threads: int) -> ort.SessionOptions:
    """Options for a stage: ``threads`` threads that sleep between runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Within a run, a thread that waits for the next operator spins for a moment: waking it up takes
    # longer than most operators. Between runs none may take a core from the control loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry(RECORD_PLACEMENT, "1")
    options.log_severity_level = 3  # errors only: a missing provider is reported above
    return options


def open_stage(
    folder: Path, stage: GraphSpec, providers: Sequence[str], options: ort.SessionOptions
) -> ort.InferenceSession:
    """Open one stage of the bundle in ``folder``.

    Args:
        folder: The bundle.
        stage: The stage, from the manifest.
        providers: Execution providers, best first, as from :func:`providers.choose`.
        options: As from :func:`session_options`.

    Raises:
        BundleError: The file or one with its weights is missing, altered or not listed, it is no
            ONNX model, or not the graph that the manifest describes.
    """
    path = _checked(folder, stage.file, stage.sha256)
    _check_external(folder, path, stage)
    try:
        usable = with_options(providers, [stage.sha256, *(file.sha256 for file in stage.external)])
        session = ort.InferenceSession(path, options, providers=usable)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise BundleError(
            f"{path} is not an ONNX model this onnxruntime can run ({_one_line(error)}); "
            "export the bundle again"
        ) from error
    if (used := session.get_providers()[0]) != providers[0]:
        _log.warning("%s could not start for %s; it runs on %s", providers[0], stage.name, used)
    _compare(path, "input", session.get_inputs(), stage.inputs)
    _compare(path, "output", session.get_outputs(), stage.outputs)
    return session


def open_graphs(
    folder: Path, manifest: Manifest, providers: Sequence[str], options: ort.SessionOptions
) -> dict[str, ort.InferenceSession]:
    """Open every graph of the bundle in ``folder``, by the name of its file.

    Args:
        folder: The bundle.
        manifest: Its manifest.
        providers: Execution providers, best first, as from :func:`providers.choose`.
        options: As from :func:`session_options`.

    Raises:
        BundleError: As from :func:`open_stage`, or the graphs compute in a type that the
            providers have no operators for.
    """
    _require_operators(folder, manifest, providers)
    return {
        graph.file: open_stage(folder, graph, (CPU,) if graph.host else providers, options)
        for graph in graphs(manifest.stages, manifest.decoding)
    }


def _require_operators(folder: Path, manifest: Manifest, providers: Sequence[str]) -> None:
    """Refuse bfloat16 on the CPU: ONNX Runtime casts float16 there, but not that."""
    made = {tensor.dtype for stage in manifest.stages for tensor in stage.outputs}
    if "bfloat16" in made and not set(providers) & set(ON_GPU):
        raise BundleError(
            f"{folder} computes in bfloat16, which ONNX Runtime's provider for the CPU cannot; run "
            f"it with {CUDA} (docs/gpu.md), or import the checkpoint with --compute fp32"
        )


def open_tokenizer(folder: Path, entry: BundleFile | None) -> Tokenizer:
    """Open the tokenizer of the bundle in ``folder``.

    Raises:
        BundleError: The bundle has none, or the file is missing, altered, or no tokenizer.
    """
    if entry is None:
        raise BundleError(f"{folder} has no tokenizer, because its policy is told nothing")
    path = _checked(folder, entry.file, entry.sha256)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise BundleError(
            f"{path} is not a tokenizer ({_one_line(error)}); export the bundle again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _checked(folder: Path, name: str, sha256: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle; copy or export the bundle again")
    if (found := sha256_of(path)) != sha256:
        raise BundleError(
            f"{path} has checksum {found[:12]}, but the manifest says {sha256[:12]}; "
            "the file was altered or cut short, so copy or export the bundle again"
        )
    return path


def _check_external(folder: Path, path: Path, stage: GraphSpec) -> None:
    """Refuse weights in other files, unless the manifest lists just these with their checksums."""
    try:
        found = external_files(path)
    except (ValueError, OSError) as error:
        raise BundleError(f"{path} is not an ONNX model ({error}); export it again") from error
    listed = {entry.file for entry in stage.external}
    if unlisted := sorted(found - listed):
        raise BundleError(
            f"{path} takes weights from {unlisted[0]!r}, which the manifest does not list; "
            "keep all files in the bundle's folder and export the bundle again"
        )
    if unused := sorted(listed - found):
        raise BundleError(
            f"the manifest lists {unused[0]} for stage {stage.name}, but {path} takes no weights "
            "from it; export the bundle again"
        )
    for entry in stage.external:
        _checked(folder, entry.file, entry.sha256)


def _compare(
    path: Path, kind: str, found: Sequence[ort.NodeArg], promised: Sequence[TensorSpec]
) -> None:
    names, expected = {arg.name for arg in found}, {tensor.name for tensor in promised}
    if names != expected:
        raise BundleError(
            f"{path} has the {kind}s {', '.join(sorted(names))}, but the manifest says "
            f"{', '.join(sorted(expected))}; export the bundle again"
        )
    arguments = {arg.name: arg for arg in found}
    for tensor in promised:
        arg = arguments[tensor.name]
        if arg.type != ORT_DTYPES[tensor.dtype] or not _fits(arg.shape, tensor.shape):
            raise BundleError(
                f"{path} has the {kind} {tensor.name} as {arg.type} {arg.shape}, but the manifest "
                f"says {tensor}; export the bundle again"
            )


def _fits(found: Sequence[int | str | None], promised: Sequence[int]) -> bool:
    """Whether a graph's shape admits the promised one; a symbolic dimension admits any size."""
    return len(found) == len(promised) and all(
        not isinstance(size, int) or size == wanted
        for size, wanted in zip(found, promised, strict=True)
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
