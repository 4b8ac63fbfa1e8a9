# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables that the command line prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from magma_ros.spaces import ACTION_DIMS

if TYPE_CHECKING:
    from magma_ros.doctor.finding import Finding
    from magma_ros.episodes.catalogue import EpisodeSummary
    from magma_ros.episodes.overview import Report
    from magma_ros.models.data.card import DataSummary
    from magma_ros.models.magma.comparison import Agreement, Nearness
    from magma_ros.models.magma.distil import ExitReport
    from magma_ros.models.merging.run import Outcome
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
    table = Table(title=f"episodes in {title}")
    for column in ("recording", "begins (UTC)", "s", "MB"):
        table.add_column(column, no_wrap=True, overflow="fold")
    for column in ("instruction", "policy/human/guard", "take-overs", "outcome", "state"):
        table.add_column(column)
    for episode in episodes:
        begins, seconds = "", ""
        if episode.start is not None and episode.duration is not None:
            begins = f"{datetime.fromtimestamp(episode.start, UTC):%Y-%m-%d %H:%M:%S}"
            seconds = f"{episode.duration:.1f}"
        told = ("",) * 4
        if (happened := episode.happened) is not None:
            told = (
                escape(printable(happened.instruction)),
                shares(happened.shares),
                str(len(happened.interventions)),
                escape(", ".join(filter(None, (happened.outcome.task, happened.outcome.label)))),
            )
        path = episode.path.relative_to(title)
        name = escape(str(path if path.parent == Path() else path.parent))
        state = escape(episode.problem.partition(";")[0] or "whole")
        table.add_row(name, begins, seconds, f"{episode.size / 1e6:.1f}", *told, state)
    return table


def episode_tables(report: Report) -> list[Table]:
    """What was recorded, and what happened when."""
    recorded = Table("topic", "type", "messages", "rate [Hz]", "longest gap [s]")
    recorded.title = escape(str(report.path))
    for topic in report.topics:
        figures = str(topic.messages), f"{topic.rate:.1f}", f"{topic.longest_gap:.2f}"
        recorded.add_row(escape(topic.name), escape(topic.type), *figures)
    events = Table("second", "what", "", title="what happened")
    for event in report.overview.events:
        events.add_row(f"{event.time:.2f}", event.kind, escape(printable(event.text)))
    return [recorded, events]


def shares(by_source: Mapping[str, float]) -> str:
    """Who drove for how much of the time."""
    if not by_source:
        return ""
    percent = (f"{100 * by_source.get(n, 0.0):.0f}" for n in ("policy", "human", "guard"))
    return f"{'/'.join(percent)} %"


def printable(text: str) -> str:
    """Text from outside without characters that move a terminal's cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


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


def exits_table(reports: Sequence[ExitReport]) -> Table:
    """How often exits answer as the last layer does, before and after they were distilled."""
    title = f"before, after; on {reports[0].frames} held-out frames"
    table = Table("layers", "ids as the last layer", "all seven", "mean action error", title=title)
    for report in reports:
        one, other = report.before, report.after
        table.add_row(
            str(report.depth),
            f"{one.tokens:.1%}, {other.tokens:.1%}",
            f"{one.actions:.1%}, {other.actions:.1%}",
            f"{one.error:.4f}, {other.error:.4f}",
        )
    return table


def merge_table(outcome: Outcome) -> Table:
    """What merging found in each layer, and what it scaled."""
    from magma_ros.models.merging.report import header, layer_rows

    table = Table(title=f"{outcome.ancestry.name}: {outcome.ancestry.how}")
    for column in header(outcome):
        table.add_column(column, overflow="fold")
    for row in layer_rows(outcome):
        table.add_row(*row)
    return table


def agreement_tables(found: Agreement) -> list[Table]:
    """How a bundle's tokens agree with those of the network that it was made of."""
    last = found.deepest
    title = f"the deepest exit on {found.observations} observations"
    caption = (
        f"{found.actions:.1%} of actions as the network's; {found.in_parallel:.1%} in parallel as "
        f"one by one; {found.free} tokens that a free head would not have chosen"
    )
    deepest = Table("", *ACTION_DIMS, title=title, caption=caption)
    deepest.add_row("tokens as the network's", *(f"{share:.1%}" for share in last.network.tokens))
    deepest.add_row("mean error of [-1, 1]", *(f"{error:.4f}" for error in last.network.error))
    if last.demonstrations is not None:
        shown = last.demonstrations
        deepest.add_row("tokens as demonstrated", *(f"{share:.1%}" for share in shown.tokens))
        deepest.add_row("mean error to it", *(f"{error:.4f}" for error in shown.error))
    columns = ["exit", "passes", "tokens as the last layer's", "mean error to it"]
    shows = found.demonstrations is not None
    each = Table(*columns, *(["tokens as demonstrated", "mean error to it"] if shows else []))
    for depth, at in enumerate(found.exits, start=1):
        near = (at.network, at.demonstrations)
        each.add_row(str(depth), f"{at.passes:.1f}", *(cell for n in near for cell in _nearness(n)))
    if shows:
        each.add_row("network", "", "", "", *_nearness(found.demonstrations))
    return [deepest, each]


def _nearness(near: Nearness | None) -> tuple[str, ...]:
    """Share of tokens that are the same, and the mean error."""
    return () if near is None else (f"{near.mean_tokens:.1%}", f"{near.mean_error:.4f}")


def bundle_tables(summary: BundleSummary) -> list[Table]:
    """The contract and the stages of a bundle."""
    manifest = summary.manifest
    contract = Table("contract", "", title=f"{manifest.name}: {manifest.description}")
    observation, action = manifest.observation, manifest.action
    cameras = ", ".join(f"{c.name} {c.width} x {c.height}" for c in observation.cameras)
    contract.add_row("cameras", cameras or "none")
    contract.add_row("proprioception", ", ".join(observation.proprioception) or "none")
    told = observation.max_tokens
    contract.add_row("instruction", "none" if told is None else f"at most {told} tokens")
    if (point := observation.point) is not None:
        contract.add_row("point", f"of a mark on {point.camera}")
    place = "" if action.space.kind.of_joints else f" in {action.frame}"
    chunk = f"{action.chunk_length} steps of {action.step_period:g} s{place}"
    contract.add_row("action chunk", chunk)
    contract.add_row("action", f"{action.kind}: {', '.join(action.space.names)}")
    if (trace := manifest.trace) is not None:
        horizon = f"{trace.times[-1]:g} s ahead in {len(trace.times)} points on {trace.camera}"
        contract.add_row("trace", horizon)
    if (decoding := manifest.decoding) is not None:
        contract.add_row("decoding", f"{decoding.length} tokens in parallel")
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
