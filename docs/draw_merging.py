# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws ``merging.png`` and prints the tables of docs/merging.md from the evaluations it tells of.

Run it as ``python docs/draw_merging.py runs/merge``, where ``NAME-cells.json`` (the specialists'
tasks) and ``NAME-known.json`` (the base's) of the policies lie. The specialists' own tasks and both
of the base must be among them; others that were not played are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from magma_ros.evaluation.figures.compare import (
    Key,
    RecordedEpisode,
    paired_counts,
    read_evaluation,
)
from magma_ros.evaluation.figures.statistics import wilson_interval
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import whole

SPECIALISTS = {
    "grasping": ("cell-pick", "cell-place", "cell-stack"),
    "pushing": ("cell-push", "cell-open-drawer"),
    "belt": ("cell-conveyor-push", "cell-conveyor-pick"),
}
"""What each specialist learned."""

SPECIAL = tuple(task for tasks in SPECIALISTS.values() for task in tasks)
"""Tasks that some specialist learned."""

MERGES = {
    "mean": "task arithmetic, 1/3",
    "arithmetic-0.6": "task arithmetic, 0.6",
    "arithmetic-0.8": "task arithmetic, 0.8",
    "arithmetic-1.0": "task arithmetic, 1",
    "wsc": "WSC",
    "wsc-mean": "WSC, mean length",
    "fsc": "FSC",
    "dsc": "DSC",
    "ties": "TIES",
    "ties-dsc": "TIES, DSC",
    "projection": "whole projection (ours)",
}
"""What the merged policies are called."""

PLAIN = ("mean", "arithmetic-0.6", "arithmetic-0.8", "arithmetic-1.0")
"""Task arithmetic alone."""

LABELS = {
    "base": "base",
    **{name: f"specialist: {name}" for name in SPECIALISTS},
    "joint": "joint training",
    **MERGES,
}
"""What every policy is called."""

EACH = "each specialist on its own"

Played = dict[Key, RecordedEpisode]


def read_all(folder: Path) -> dict[str, Played]:
    """The episodes of every policy; those of the specialists on their own tasks as one."""
    read = {name: _episodes(folder, name) for name in LABELS}
    for name in ("base", *SPECIALISTS):
        if not read[name]:
            raise SystemExit(f"{folder} lacks {name}-cells.json; play {name} first")
    own = {
        key: episode
        for name, tasks in SPECIALISTS.items()
        for key, episode in read[name].items()
        if episode.task in tasks
    }
    return {EACH: own} | {LABELS[name]: played for name, played in read.items() if played}


def _episodes(folder: Path, name: str) -> Played:
    files = (folder / f"{name}-{part}.json" for part in ("cells", "known"))
    return {e.key: e for file in files if file.exists() for e in read_evaluation(file).episodes}


def is_special(episode: RecordedEpisode) -> bool:
    """Whether a specialist learned the episode's task."""
    return episode.task in SPECIAL


def is_other(episode: RecordedEpisode) -> bool:
    """Whether none did, so that the policy knows the task from the base alone."""
    return not is_special(episode)


def rate(played: Played, which: Callable[[RecordedEpisode], bool]) -> tuple[int, int]:
    """Successes, and episodes."""
    chosen = [episode for episode in played.values() if which(episode)]
    return sum(episode.success for episode in chosen), len(chosen)


def shown(played: Played, which: Callable[[RecordedEpisode], bool]) -> str:
    """A rate with its interval [%], or nothing where nothing was played."""
    done, count = rate(played, which)
    if not count:
        return ""
    low, high = wilson_interval(done, count)
    return f"{100 * done / count:.1f} ({100 * low:.0f} to {100 * high:.0f})"


def against(first: Played, second: Played, which: Callable[[RecordedEpisode], bool]) -> str:
    """How much better the second one is than the first on the same episodes."""
    keys = [key for key, e in first.items() if which(e) and key in second]
    if not keys:
        return ""
    counts = paired_counts([(first[key], second[key]) for key in keys])
    return f"{100 * counts.difference:+.1f} (p = {counts.p_value():.2g})"


def by_task(everything: dict[str, Played]) -> str:
    """Successes of every policy on every task, as Markdown."""
    tasks = dict.fromkeys(e.task for e in everything["base"].values() if is_other(e))
    rows = []
    for label, played in everything.items():
        cells = []
        for task in (*SPECIAL, *tasks):
            done = [episode.success for episode in played.values() if episode.task == task]
            cells.append(str(sum(done)) if done else "")
        rows.append((label, *cells))
    return markdown_table(("policy", *SPECIAL, *tasks), rows)


def overall(everything: dict[str, Played]) -> str:
    """Success on the tasks of the specialists and on the base's, as Markdown."""
    plain = max(
        (MERGES[name] for name in PLAIN if MERGES[name] in everything),
        key=lambda label: rate(everything[label], is_special)[0],
    )
    rows = [
        (
            label,
            shown(played, is_special),
            against(everything[EACH], played, is_special),
            against(everything[plain], played, is_special),
            shown(played, is_other),
            against(everything["base"], played, is_other),
        )
        for label, played in everything.items()
    ]
    heads = ("policy", "learned tasks", f"against {EACH}", f"against {plain}")
    return markdown_table((*heads, "base's tasks", "against the base"), rows)


def draw(everything: dict[str, Played], path: Path) -> None:
    """Draw both rates of every policy but the single specialists."""
    labels = [label for label in everything if not label.startswith("specialist: ")]
    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    kinds = (
        ("tasks that the specialists learned", is_special, "tab:blue", -0.2),
        ("the ten tasks of the base", is_other, "tab:gray", 0.2),
    )
    for name, which, colour, shift in kinds:
        places, heights, spread = _bars([rate(everything[label], which) for label in labels])
        axes.barh([p + shift for p in places], heights, 0.38, label=name, color=colour)
        axes.errorbar(
            heights, [p + shift for p in places], xerr=spread, fmt="none", ecolor="black", capsize=2
        )
    done, count = rate(everything[EACH], is_special)
    axes.axvline(95.0 * done / count, color="tab:blue", linestyle=":", linewidth=1.0)
    axes.set(yticks=range(len(labels)), xlabel="success [%], 95 % intervals", xlim=(0.0, 100.0))
    axes.set_yticklabels(labels)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=2)
    with whole(path) as draft:
        figure.savefig(draft, dpi=120)


def _bars(
    rates: Iterable[tuple[int, int]],
) -> tuple[list[int], list[float], tuple[list[float], list[float]]]:
    places, heights, below, above = [], [], [], []
    for place, (done, count) in enumerate(rates):
        if not count:
            continue
        low, high = wilson_interval(done, count)
        places.append(place)
        heights.append(100.0 * done / count)
        below.append(heights[-1] - 100.0 * low)
        above.append(100.0 * high - heights[-1])
    return places, heights, (below, above)


def main() -> None:
    """Print both tables, and draw."""
    everything = read_all(Path(sys.argv[1]))
    print(overall(everything), by_task(everything), sep="\n\n")
    draw(everything, Path(__file__).with_name("merging.png"))


if __name__ == "__main__":
    main()
