# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model card: description, origin, measured figures and limitations of a bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from magma_ros.evaluation.report.exits import report_tables
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.machine import processor_name
from magma_ros.models.data.config import AggregationConfig, DataConfig, Episodes
from magma_ros.models.export.benchmark import Timing
from magma_ros.models.export.evidence import THREADS, Evidence
from magma_ros.models.export.parity import Deviation
from magma_ros.models.training.ancestry import Ancestry
from magma_ros.models.training.checkpoint import Recipe
from magma_ros.models.training.config import shipped_recipe
from magma_ros.policy.manifest import Manifest
from magma_ros.share import share_directory
from magma_ros.timing import RUNS

CARD = "MODEL_CARD.md"

TABLETOP = """\
- It knows one simulated arm, one table, small prisms in five colours, and the words listed in
  `tokenizer.json`. It has never seen a real camera image."""

DEMONSTRATED = """\
- It knows the robot, the camera, the scenes and the words (`tokenizer.json`) of its demonstrations
  alone."""

LIMITS = """\
- It has no memory: each plan follows from one observation.
- Its figures come from the simulator it was trained in. They say nothing about another robot.
- It is no safety function. Whatever it proposes must pass a guard before it reaches an arm."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The bundle beside PyTorch.

    Attributes:
        precision: Number format of the weights.
        deviations: Differences between the actions of each exit.
        evidence: Success rates and latencies of the bundle.
    """

    precision: str
    deviations: Sequence[Deviation]
    evidence: Evidence


def write_card(
    folder: Path,
    manifest: Manifest,
    recipe: Recipe,
    comparison: Comparison,
    ancestry: Ancestry | None = None,
) -> None:
    """Write ``MODEL_CARD.md`` into a bundle.

    Args:
        folder: Of the bundle.
        manifest: Of the bundle.
        recipe: What its network was trained with.
        comparison: The bundle beside PyTorch.
        ancestry: What its checkpoint was merged of, if it was.
    """
    origin = _origin(manifest, recipe)
    if ancestry is not None:
        origin = f"{ancestry.section()}\n\n```bash\n{manifest.provenance.command}\n```"
    sections = [
        f"# {manifest.name}",
        manifest.description,
        _facts(manifest, comparison.precision),
        "## Input and output\n\n" + _contract(manifest),
        "## How it was made\n\n" + origin,
        "## Stages\n\n" + _stages(manifest),
        "## Success\n\n" + _success(comparison.evidence),
        f"## {comparison.precision} against PyTorch\n\n" + _deviations(comparison.deviations),
        "## Latency\n\n" + _latency(comparison.evidence.timings),
        "## Limits\n\n"
        + (DEMONSTRATED if recipe.config.data.lerobot else TABLETOP)
        + "\n"
        + LIMITS,
    ]
    (folder / CARD).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _facts(manifest: Manifest, precision: str) -> str:
    size = sum(stage.weight_bytes for stage in manifest.stages)
    rows = [
        ("weights", f"{size / 1e6:.1f} MB, {precision}"),
        ("exits", str(manifest.exits)),
        ("licence", manifest.licence),
        ("created", str(manifest.created)),
        ("commit", manifest.provenance.commit),
    ]
    return markdown_table(("", ""), rows)


def _contract(manifest: Manifest) -> str:
    cameras = ", ".join(
        f"`{camera.name}` {camera.height} x {camera.width}"
        for camera in manifest.observation.cameras
    )
    action = manifest.action
    binned = f"Magma's action format ({action.bins} bins on [-1, 1])"
    scale = binned if action.bins else "on [-1, 1]"
    ranges = [
        (name, f"{low:.4g}", f"{high:.4g}", "yes" if scaled else "passes through")
        for name, low, high, scaled in zip(
            action.space.names, action.q01, action.q99, action.mask, strict=True
        )
    ]
    frame = "" if action.space.kind.of_joints else f" in the {action.frame} frame"
    return (
        f"RGB images from {cameras}; the measured values "
        f"{', '.join(f'`{name}`' for name in manifest.observation.proprioception)} in SI units; an "
        f"instruction of at most {manifest.observation.max_tokens} words.\n\n"
        f"A plan of {action.chunk_length} steps of {action.step_period} s{frame}, "
        f"{scale}:\n\n" + markdown_table(("dimension", "q01", "q99", "normalised"), ranges)
    )


def _origin(manifest: Manifest, recipe: Recipe) -> str:
    config = recipe.config
    begun = "from scratch"
    if (start := config.start) is not None:
        begun = f"further from {start.bundle or start.checkpoint}"
    shown = config.corrections is None or config.corrections.demonstrations
    shown = shown and bool(config.data.episodes)
    seeds = f" ({_seeds(config.data)})" if shown else ""
    train = f"magma train --config {_recipe_file(config.name)}\n"
    return (
        f"Trained {begun} on {manifest.provenance.data}{seeds}."
        + "".join(_round(config.data.seed, aggregation) for aggregation in config.aggregation)
        + f" {config.optimiser.steps} optimiser steps of {config.optimiser.batch} samples, "
        f"seed {config.seed}. Evaluation seeds (0 to 999,999) were never trained on.\n\n"
        "```bash\n"
        f"{train if config.corrections is None else ''}"
        f"{manifest.provenance.command}\n"
        "```"
    )


def _recipe_file(name: str) -> str:
    """Where the recipe is: beside the shipped bundles, or wherever its maker keeps it."""
    path = shipped_recipe(name)
    return f"{name}.train.yaml" if path is None else str(path.relative_to(share_directory()))


def _round(seed: int, aggregation: AggregationConfig) -> str:
    count = sum(sum(tasks.values()) for tasks in aggregation.episodes.values())
    return (
        f" After step {aggregation.after} came {count} episodes of split {aggregation.split} in "
        "which policy and expert drove in turn and the expert labelled every step "
        f"({_span(seed + aggregation.seed_offset, aggregation.episodes)})."
    )


def _seeds(data: DataConfig) -> str:
    if data.lerobot:  # what the expert failed in is left out
        return f"the first successes from seed {data.seed} on"
    return _span(data.seed, data.episodes)


def _span(first: int, episodes: Episodes) -> str:
    most = max(count for tasks in episodes.values() for count in tasks.values())
    return f"seeds {first} to {first + most - 1}"


def _stages(manifest: Manifest) -> str:
    rows = [
        (
            stage.name,
            "" if stage.depth is None else str(stage.depth),
            f"{stage.flops / 1e6:.0f}",
            f"{stage.weight_bytes / 1e6:.2f}",
        )
        for stage in manifest.stages
    ]
    return markdown_table(("stage", "exit", "MFLOP", "weights [MB]"), rows)


def _success(evidence: Evidence) -> str:
    if evidence.study is None:
        return "Not measured for this export."
    tables = report_tables(evidence.study)
    return (
        "The world waits while the policy thinks (ideal clock). Honesty controls at the deepest "
        "exit: with black cameras, and with another object named, the task must fail.\n\n"
        + "\n\n".join(table.markdown(level=3) for table in tables)
    )


def _deviations(deviations: Sequence[Deviation]) -> str:
    rows = [(str(d.depth), f"{d.mean:.4f}", f"{d.p99:.4f}", f"{d.largest:.4f}") for d in deviations]
    return (
        "Absolute difference of the actions on the normalised range [-1, 1], all stages chained, "
        "on validation scenes:\n\n" + markdown_table(("exit", "mean", "99 %", "largest"), rows)
    )


def _latency(timings: Sequence[Timing]) -> str:
    if not timings:
        return "Not measured for this export."
    runtimes = list(dict.fromkeys(timing.runtime for timing in timings))
    rows = []
    for stage, group in groupby(timings, key=lambda timing: timing.stage):
        found = {timing.runtime: timing for timing in group}
        rows.append((stage, *(str(found[runtime].time) for runtime in runtimes)))
    sums = [sum(t.time.median for t in timings if t.runtime == runtime) for runtime in runtimes]
    rows.append(("sum of medians", *(f"{1e3 * total:.2f}" for total in sums)))
    rows.append(("speed-up", *(f"{sums[0] / total:.2f}" for total in sums)))
    return (
        f"Median and quartiles [ms] of {RUNS} runs taken in turns, batch 1, {THREADS} threads of "
        f"{processor_name()} ({os.cpu_count()} cores):\n\n"
        + markdown_table(("stage", *runtimes), rows)
    )
