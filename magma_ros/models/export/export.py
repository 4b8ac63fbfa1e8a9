# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a bundle: one graph a stage, tokenizer, manifest and model card.

Every graph is compared with PyTorch before the bundle appears under its name; a bundle that does
not load, or whose outputs differ from the network's, never replaces the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from torch import Tensor

from magma_ros.models.export.card import Comparison, write_card
from magma_ros.models.export.evidence import NOTHING, measure
from magma_ros.models.export.folder import bundle_folder, commit_of_code
from magma_ros.models.export.onnx_graph import write_onnx
from magma_ros.models.export.parity import Deviation, ParityError, compare, observations
from magma_ros.models.export.quantise import quantise, weight_bytes
from magma_ros.models.network.config import TraceConfig
from magma_ros.models.network.graphs import StageGraph, run_stages, tensor_spec
from magma_ros.models.training.ancestry import read_ancestry
from magma_ros.models.training.checkpoint import Recipe, latest, load_policy
from magma_ros.models.training.rollout import observation_contract
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import TraceContract
from magma_ros.policy.external_data import external_files
from magma_ros.policy.manifest import Manifest, Provenance, sha256_of, write_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import BundleFile, StageSpec
from magma_ros.sim.simulation import ENV_STEP
from magma_ros.types import MagmaError

Precision = Literal["int8", "fp32"]

TOKENIZER = "tokenizer.json"

LICENCE = "Apache-2.0"

FP32_TOLERANCE = 1e-3
"""Largest difference of any output of an fp32 graph; accumulation order explains about 1e-5."""

INT8_TOLERANCE = 0.05
"""Largest mean difference of the actions of an int8 bundle, on the normalised range [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a bundle comes from.

    Attributes:
        data: What it was trained on.
        command: What made it.
    """

    data: str
    command: str


def export(
    checkpoint: Path,
    out: Path,
    *,
    precision: Precision = "int8",
    episodes: int = 0,
    origin: Origin | None = None,
) -> Path:
    """Write the bundle of a checkpoint.

    Args:
        checkpoint: A checkpoint, or a run's folder, of which the newest checkpoint is taken.
        out: Folder of the bundle; replaced only once the new one is complete.
        precision: Number format of the weights.
        episodes: Episodes per task and exit that are played with the bundle, for its card; 0
            leaves success and latency out of it.
        origin: What it was trained on and by which command; the recipe's demonstrations and
            ``magma export`` if not given.

    Returns:
        ``out``.

    Raises:
        CheckpointError: There is no usable checkpoint.
        ParityError: The outputs of a graph differ from the network's.
        BundleError: The bundle does not load.
        MagmaError: Episodes are asked for of a policy of no suite.
    """
    checkpoint = latest(checkpoint)
    network, recipe = load_policy(checkpoint)
    if episodes and not recipe.config.data.episodes:
        raise MagmaError("no suite plays what this policy learned; export it without --episodes")
    with bundle_folder(out) as scratch:
        graphs = network.stage_graphs()
        scenes = observations(recipe.config, recipe.tokenizer())
        stages = _write_stages(graphs, scenes[0], scratch, precision)
        deviations, largest = compare(graphs, [scratch / s.file for s in stages], scenes)
        _judge(deviations, largest, precision)
        recipe.tokenizer().save(str(scratch / TOKENIZER))
        command = f"magma export --checkpoint {checkpoint} --out {out} --precision {precision}"
        command += f" --episodes {episodes}" if episodes else ""
        manifest = _manifest(recipe, network.bins, stages, scratch, command)
        ancestry = read_ancestry(checkpoint)
        if ancestry is not None:
            manifest = _updated(manifest, data=ancestry.sentence)
            manifest = manifest.model_copy(update={"licence": ancestry.licence})
        if origin is not None:
            manifest = _updated(manifest, data=origin.data, command=origin.command)
        write_manifest(scratch, manifest)
        StagedPolicy.load(scratch).warm_up(runs=1)
        evidence = NOTHING
        if episodes:
            evidence = measure(scratch, checkpoint, recipe.config.data.episodes, episodes)
            manifest = with_metrics(manifest, evidence.metrics)
            write_manifest(scratch, manifest)
        comparison = Comparison(precision, deviations, evidence)
        write_card(scratch, manifest, recipe, comparison, ancestry)
    return out


def _write_stages(
    graphs: list[StageGraph], scene: Mapping[str, Tensor], folder: Path, precision: Precision
) -> list[StageSpec]:
    stages: list[StageSpec] = []
    for graph, given, made in run_stages(graphs, scene):
        path = folder / f"{graph.name}.onnx"
        write_onnx(graph, given, path)
        if precision == "int8":
            single = path.with_suffix(".fp32")
            path.rename(single)
            quantise(single, path)
            single.unlink()
        stages.append(
            StageSpec(
                name=graph.name,
                kind=graph.kind,
                file=path.name,
                sha256=sha256_of(path),
                flops=graph.flops(given),
                weight_bytes=weight_bytes(path),
                inputs=tuple(tensor_spec(name, given[name]) for name in graph.inputs),
                outputs=tuple(tensor_spec(name, made[name]) for name in graph.outputs),
                external=tuple(
                    BundleFile(file=name, sha256=sha256_of(folder / name))
                    for name in sorted(external_files(path))
                ),
                exit=graph.depth,
            )
        )
    return stages


def _judge(deviations: list[Deviation], largest: float, precision: Precision) -> None:
    if precision == "fp32" and largest > FP32_TOLERANCE:
        raise ParityError(
            f"an exported stage differs from PyTorch by {largest:.2g}; report this as a bug"
        )
    worst = max(deviations, key=lambda deviation: deviation.mean)
    if worst.mean > INT8_TOLERANCE:
        raise ParityError(
            f"exit {worst.depth} of the {precision} bundle differs from PyTorch by "
            f"{worst.mean:.3f} on average; export with precision fp32"
        )


def _manifest(
    recipe: Recipe,
    bins: int | None,
    stages: list[StageSpec],
    folder: Path,
    command: str,
) -> Manifest:
    config, statistics = recipe.config, recipe.statistics
    made = "; ".join(
        f"suite {suite}: " + ", ".join(f"{count} {task}" for task, count in tasks.items())
        for suite, tasks in config.data.episodes.items()
    )
    return Manifest(
        name=config.name,
        description=config.description,
        licence=LICENCE,
        created=datetime.now(UTC).date(),
        action=ActionContract(
            kind=config.network.action.kind,
            dims=config.network.action.dims,
            chunk_length=config.network.chunk_length,
            step_period=config.data.step_period,
            frame="base",
            bins=bins,
            q01=statistics.q01,
            q99=statistics.q99,
            mask=statistics.action_mask,
        ),
        observation=observation_contract(config.network),
        trace=_trace_contract(config.network.trace),
        tokenizer=BundleFile(file=TOKENIZER, sha256=sha256_of(folder / TOKENIZER)),
        stages=tuple(stages),
        provenance=Provenance(
            command=command,
            seed=config.data.seed,
            commit=commit_of_code(),
            data=(
                f"scripted demonstrations of {made}"
                if made
                else f"the LeRobot data set {config.data.folder.name}"
            ),
            metrics={},
        ),
    )


def _trace_contract(trace: TraceConfig | None) -> TraceContract | None:
    """The contract of the traces, in seconds instead of steps."""
    if trace is None:
        return None
    return TraceContract(
        camera=trace.camera, times=tuple(round(step * ENV_STEP, 6) for step in trace.steps)
    )


def with_metrics(manifest: Manifest, metrics: Mapping[str, float]) -> Manifest:
    """The same manifest with these figures in it."""
    return _updated(manifest, metrics=dict(metrics))


def _updated(manifest: Manifest, **fields: object) -> Manifest:
    """The same manifest with other words about where it comes from."""
    provenance = manifest.provenance.model_copy(update=fields)
    return manifest.model_copy(update={"provenance": provenance})
