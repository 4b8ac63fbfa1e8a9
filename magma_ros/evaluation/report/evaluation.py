# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation: a folder with its figures, a page, plots and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure
from rich.console import Console

from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.exits import ExitStudy
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.exits import report_tables
from magma_ros.evaluation.report.replay import Pictures, write_clips, write_sheet
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import FailureReason
from magma_ros.files import make_folder, whole, write_json

CONTENT = "evaluation.json"
EXITS = "exits.json"
PAGE = "report.md"
PLOT = "success.png"
EXITS_PLOT = "exits.png"

NAMED = 12
"""Tasks up to which each has a colour of its own in a plot of all exits."""
SHEET = "failures.png"
CLIPS = "videos"


def write_report(
    played: Evaluation | ExitStudy,
    folder: Path,
    *,
    bundle: Path,
    pictures: Pictures,
    console: Console | None = None,
) -> None:
    """Write everything about an evaluation into a folder; the page comes last.

    Args:
        played: The evaluation, or that of every exit; then tables and pictures of single episodes
            are about the deepest one.
        folder: Where to.
        bundle: The policy, for the pictures.
        pictures: What to take pictures of.
        console: Where to draw progress bars, or None for none.

    Raises:
        MagmaError: Something cannot be written.
    """
    make_folder(folder)
    evaluation = played.deepest if isinstance(played, ExitStudy) else played
    write_json(evaluation.to_json(), folder / CONTENT)
    _plot(evaluation, folder / PLOT)
    introduction = _introduction(evaluation, bundle, every_exit=isinstance(played, ExitStudy))
    parts = [introduction, *(table.markdown() for table in report_tables(played))]
    parts.append(f"![success and failures by task]({PLOT})")
    if isinstance(played, ExitStudy):
        write_json(played.to_json(), folder / EXITS)
        _plot_exits(played, folder / EXITS_PLOT)
        parts.append(f"![success over compute]({EXITS_PLOT})")
    if reasons := _failure_reasons(evaluation):
        parts.append("## Failures\n\n" + _glossary(reasons))
    if pictures.sheet and write_sheet(evaluation, bundle, folder / SHEET, console=console):
        parts.append(f"Start, closest approach and end:\n\n![contact sheet of failures]({SHEET})")
    if pictures.seeds:
        clips = write_clips(evaluation, pictures.seeds, bundle, folder / CLIPS, console=console)
        links = [f"![{clip.stem}]({CLIPS}/{clip.name})" for clip in clips]
        parts.append("## Clips\n\n" + "\n".join(links))
    with whole(folder / PAGE) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _introduction(evaluation: Evaluation, bundle: Path, *, every_exit: bool) -> str:
    """Which policy it was, and the command that plays the same again."""
    spec = evaluation.spec
    words = [
        *("magma eval --suite", ",".join(evaluation.suites), "--tasks", ",".join(evaluation.tasks)),
        *("--split", spec.split, "--episodes", str(spec.episodes), "--seed", str(spec.seed)),
        *("--clock", spec.clock, "--bundle", bundle.name),
    ]
    if every_exit:
        words.append("--per-exit")
    elif depth := spec.options.get("depth"):
        words += ["--depth", f"{depth:g}"]
    else:
        words += ["--gate", spec.gate]
    words += [] if spec.execute is None else ["--execute", str(spec.execute)]
    words += _conditions(spec) if spec.clock == "modelled" else []
    words += ["--patient"] if spec.patient else []
    words += ["--controls"] if spec.controls else []
    return (
        f"# {evaluation.manifest.name}\n\n"
        f"Manifest `{evaluation.checksum}`. Played again with:\n\n"
        f"```bash\n{' '.join(words)}\n```"
    )


def _conditions(spec: EvaluationSpec) -> list[str]:
    """The options that choose the modelled computer."""
    given = asdict(spec.conditions) | {"deadline": spec.deadline}
    return [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name}", str(value))
    ]


def _failure_reasons(evaluation: Evaluation) -> list[FailureReason]:
    """All reasons for which an episode of the suites can fail."""
    suites = map(find_suite, evaluation.suites)
    return list({reason.name: reason for suite in suites for reason in suite.failures()}.values())


def _glossary(reasons: Iterable[FailureReason]) -> str:
    return "\n".join(f"- *{_label(reason)}*: {reason.sentence}" for reason in reasons)


def _label(reason: FailureReason) -> str:
    return reason.name.lower().replace("_", " ")


def _plot(evaluation: Evaluation, path: Path) -> None:
    """Success with intervals, and what the rest of the episodes failed by."""
    rows = [evaluation.summary(task=task) for task in evaluation.tasks]
    places = np.arange(len(rows))
    figure = Figure(figsize=(10.0, 1.6 + 0.4 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    success, failed = figure.subplots(1, 2, sharey=True)
    rates = np.array([row.success for row in rows])
    low, high = np.array([row.interval for row in rows]).T
    spans = np.clip([rates - low, high - rates], 0.0, None)
    success.barh(places, 100 * rates, color="tab:blue", xerr=100 * spans, capsize=3, ecolor="0.3")
    success.set(xlim=(0, 100), xlabel="success [%], 95 % interval")
    success.set_yticks(places, evaluation.tasks)
    success.set_ylim(len(rows) - 0.4, -0.6)  # the first on top, and no margins
    left = np.zeros(len(rows))
    for colour, reason in zip(cycle(TABLEAU_COLORS), _failure_reasons(evaluation), strict=False):
        shares = np.array([100 * row.failures.get(reason.name, 0) / row.episodes for row in rows])
        if np.any(shares):
            failed.barh(places, shares, left=left, label=_label(reason), color=colour)
        left += shares
    failed.set_xlabel("failures [% of episodes]")
    if np.any(left):
        failed.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def _plot_exits(study: ExitStudy, path: Path) -> None:
    """Success over the compute that each exit spends."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    sums = [evaluation.summary() for evaluation in study.exits.values()]
    cost = [100 * (row.flops_fraction or 0.0) for row in sums]
    tasks = study.deepest.tasks
    named = len(tasks) <= NAMED
    for number, task in enumerate(tasks):
        rates = [100 * e.summary(task=task).success for e in study.exits.values()]
        label = task if named else f"each of {len(tasks)} tasks" if number == 0 else None
        colour = None if named else "0.6"
        axes.plot(cost, rates, linewidth=0.8, alpha=0.6, label=label, color=colour)
    low, high = 100 * np.array([row.interval for row in sums]).T
    axes.fill_between(cost, low, high, color="black", alpha=0.15, linewidth=0.0)
    axes.plot(cost, [100 * row.success for row in sums], "o-", color="black", label="all")
    axes.set(xlabel="FLOPs [% of full depth]", ylabel="success [%]", ylim=(-2, 102))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with whole(path) as draft:
        figure.savefig(draft, dpi=110)
