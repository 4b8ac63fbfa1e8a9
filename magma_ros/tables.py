# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from magma_ros.types import ACTION_DIMS

if TYPE_CHECKING:
    from magma_ros.doctor.finding import Finding
    from magma_ros.episodes.catalogue import EpisodeSummary
    from magma_ros.models.data.card import DataSummary
    from magma_ros.policy.report import BundleSummary


def doctor_table(findings: Sequence[Finding]) -> Table:
    """One row for each finding."""
    table = Table("", "what", "found", "fix", title="magma doctor")
    for finding in findings:
        mark = "ok" if finding.ok else ("--" if finding.optional else "BAD")
        table.add_row(mark, finding.subject, escape(finding.detail), escape(finding.fix))
    return table


def episodes_table(episodes: Sequence[EpisodeSummary], title: str) -> Table:
    """One row for each recording."""
    columns = ("recording", "begins (UTC)", "seconds", "topics", "messages", "MB", "state")
    table = Table(*columns, title=f"episodes in {title}")
    for episode in episodes:
        begins, seconds = "", ""
        if episode.start is not None and episode.duration is not None:
            begins = f"{datetime.fromtimestamp(episode.start, UTC):%Y-%m-%d %H:%M:%S}"
            seconds = f"{episode.duration:.1f}"
        counts = ("" if n is None else str(n) for n in (episode.topics, episode.messages))
        size, state = (
            f"{episode.size / 1e6:.1f}",
            escape(episode.problem.partition(";")[0] or "whole"),
        )
        name = str(episode.path.relative_to(title))
        table.add_row(escape(name), begins, seconds, *counts, size, state)
    return table


def data_tables(summary: DataSummary, title: str) -> list[Table]:
    """The tasks of a set of demonstrations, and the range of its actions."""
    tasks = Table("suite", "task", "episodes", "steps", "expert success", "astray", title=title)
    for task in summary.tasks:
        counts = str(task.episodes), str(task.steps)
        tasks.add_row(task.suite, task.task, *counts, f"{task.success:.1%}", f"{task.astray:.1%}")
    tasks.add_section()
    counts = str(summary.episodes), str(summary.steps)
    tasks.add_row("all", f"{summary.size / 1e6:.1f} MB", *counts, f"{summary.success:.1%}", "")
    ranges = Table("", *ACTION_DIMS)
    for name in ("q01", "q99"):
        ranges.add_row(name, *(f"{value:.4g}" for value in getattr(summary.statistics, name)))
    return [tasks, ranges]


def bundle_tables(summary: BundleSummary) -> list[Table]:
    """The contract and the stages of a bundle."""
    manifest = summary.manifest
    contract = Table("contract", "", title=f"{manifest.name}: {manifest.description}")
    observation, action = manifest.observation, manifest.action
    cameras = ", ".join(f"{c.name} {c.width} x {c.height}" for c in observation.cameras)
    contract.add_row("cameras", cameras)
    contract.add_row("proprioception", ", ".join(observation.proprioception))
    contract.add_row("instruction", f"at most {observation.max_tokens} words")
    if (point := observation.point) is not None:
        contract.add_row("point", f"of a mark on {point.camera}")
    chunk = f"{action.chunk_length} steps of {action.step_period:g} s in {action.frame}"
    contract.add_row("action chunk", chunk)
    if (trace := manifest.trace) is not None:
        horizon = f"{trace.times[-1]:g} s ahead in {len(trace.times)} points on {trace.camera}"
        contract.add_row("trace", horizon)
    contract.add_row("licence", manifest.licence)
    contract.add_row("made by", manifest.provenance.command)
    stages = Table("stage", "kind", "exit", "MFLOP", "weights [kB]", "compute", "weights")
    for stage in summary.stages:
        spec = stage.spec
        stages.add_row(
            spec.name,
            spec.kind,
            str(spec.depth or ""),
            f"{spec.flops / 1e6:.1f}",
            f"{spec.weight_bytes / 1e3:.0f}",
            f"{100 * stage.flops_share:.0f} %",
            f"{100 * stage.weight_share:.0f} %",
        )
    return [contract, stages]
