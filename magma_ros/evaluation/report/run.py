# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The closing report of one run: a summary, a page of prose, a plot, a clip."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from magma_ros.perception.overlay import COLOURS, draw_paths
from magma_ros.types import FloatArray, ImageArray, Mode

CLIP = "clip.gif"
PLOT = "plot.png"
REPORT = "report.md"
SUMMARY = "summary.json"

INK = (40, 44, 52)
CAPTION_SIZE = 14
LEGEND_SIZE = 11
LAST_FRAME_MS = 1500

INSET_SHARE = 0.4
"""Height of the policy's view, as a share of the spectator's."""

VIEW_LIFETIME = 1.0
"""Time after which a predicted trace is no longer shown [s]."""


@dataclass(slots=True)
class RunRecord:
    """The measurements of a run, in the order of time.

    Every series is a list of (time since the start of the record [s], value).

    Attributes:
        task: Name of the task.
        seed: Seed of the scene.
        instruction: Instruction of the run.
        outcome: ``SUCCEEDED``, ``TIMED_OUT`` or ``RUNNING``.
        elapsed: Duration from the first motion to the outcome [s].
        plans: Status values of every plan: reason, depth, slack [s], model time [s], overhead [s]
            and the fraction of full-depth FLOPs.
        speeds: Linear speed sent to the robot [m/s].
        heights: Height of the end effector [m].
        modes: Mode names with the sentence that explains them.
        frames: Spectator's images, (H, W, 3) uint8.
        views: Images given to the policy, with the traces that it predicted.
    """

    task: str = ""
    seed: int = 0
    instruction: str = ""
    outcome: str = "RUNNING"
    elapsed: float = 0.0
    plans: list[tuple[float, PlanRecord]] = field(default_factory=list)
    speeds: list[tuple[float, float]] = field(default_factory=list)
    heights: list[tuple[float, float]] = field(default_factory=list)
    modes: list[tuple[float, str, str]] = field(default_factory=list)
    frames: list[tuple[float, ImageArray]] = field(default_factory=list)
    views: list[tuple[float, PolicyView]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One decision of the gate, as reported by the policy."""

    reason: str
    depth: int
    slack: float
    model_time: float
    overhead: float
    flops_fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class PolicyView:
    """An image the policy was given, and the trace it drew.

    Attributes:
        image: (H, W, 3) uint8.
        paths: (N, 2) expected positions of each mark in pixels of ``image``.
    """

    image: ImageArray
    paths: Mapping[str, FloatArray]


def summarise(record: RunRecord) -> dict[str, Any]:
    """The figures of a run as plain data; times in seconds."""
    plans = [plan for _, plan in record.plans]
    return {
        "success": record.outcome == "SUCCEEDED",
        "outcome": record.outcome,
        "task": record.task,
        "seed": record.seed,
        "instruction": record.instruction,
        "elapsed": record.elapsed,
        "plans": len(plans),
        "late": sum(plan.slack < 0.0 for plan in plans),
        "mean_depth": _mean([plan.depth for plan in plans]),
        "flops_fraction": _mean([plan.flops_fraction for plan in plans]),
        "reasons": dict(Counter(plan.reason for plan in plans)),
        "slack": _spread([plan.slack for plan in plans]),
        "model_time": _spread([plan.model_time for plan in plans]),
        "overhead": _spread([plan.overhead for plan in plans]),
        "longest_command_gap": _longest_gap(record),
        "final_mode": record.modes[-1][1] if record.modes else "",
    }


def write_report(record: RunRecord, folder: Path) -> dict[str, Any]:
    """Write summary, page, plot and clip into ``folder``; the summary comes last.

    Whoever finds ``summary.json`` therefore finds a complete report.

    Returns:
        The summary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(record)
    if record.frames:
        write_clip(captioned_frames(record), folder / CLIP)
    _write_plot(record, folder / PLOT)
    (folder / REPORT).write_text(_page(record, summary))
    draft = folder / f".{SUMMARY}"
    draft.write_text(json.dumps(summary, indent=2) + "\n")
    draft.replace(folder / SUMMARY)
    return summary


def write_clip(frames: list[ImageArray], path: Path, rate: float = 8.0) -> None:
    """Write an animated GIF of (H, W, 3) uint8 ``frames`` shown at ``rate`` [Hz]."""
    from PIL import Image

    images = [Image.fromarray(frame).quantize(64) for frame in frames]
    durations = [round(1000.0 / rate)] * (len(images) - 1) + [LAST_FRAME_MS]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0)


def captioned_frames(record: RunRecord) -> list[ImageArray]:
    """The spectator's images with the instruction, the last decision and the predicted trace."""
    from PIL import Image, ImageDraw

    frames = []
    for time, frame in record.frames:
        views = [seen for when, seen in record.views if time - VIEW_LIFETIME < when <= time]
        image = Image.fromarray(_with_inset(frame, views[-1]) if views else frame)
        draw = ImageDraw.Draw(image)
        draw.text((8, 6), f'"{record.instruction}"', fill=INK, font_size=CAPTION_SIZE)
        plans = [plan for when, plan in record.plans if when <= time and plan.depth]
        if plans:
            decided = f"exit {plans[-1].depth}"
            if np.isfinite(slack := plans[-1].slack):  # there is none where the world waits
                decided += f", {1e3 * slack:.0f} ms to spare"
            draw.text((8, 8 + CAPTION_SIZE), decided, fill=INK, font_size=CAPTION_SIZE)
        frames.append(np.asarray(image))
    return frames


def _with_inset(frame: ImageArray, view: PolicyView) -> ImageArray:
    """The spectator's image with the policy's view, enlarged, in its lower left corner."""
    from PIL import Image, ImageDraw

    scale = INSET_SHARE * len(frame) / len(view.image)
    inset = cv2.resize(view.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    inset = draw_paths(inset, {mark: scale * path for mark, path in view.paths.items()})
    inset = cv2.copyMakeBorder(inset, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=INK)
    image, top = Image.fromarray(frame), len(frame) - len(inset)
    image.paste(Image.fromarray(inset), (0, top))
    draw, size = ImageDraw.Draw(image), LEGEND_SIZE
    for row, mark in enumerate(view.paths):
        place = 6, top + 4 + row * size
        draw.text(place, mark, COLOURS[mark], font_size=size, stroke_width=1, stroke_fill=INK)
    return np.asarray(image)


def _write_plot(record: RunRecord, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    depth, slack, speed = figure.subplots(3, 1, sharex=True)
    times = [time for time, _ in record.plans]
    depth.step(times, [plan.depth for _, plan in record.plans], where="post", color="tab:blue")
    depth.set_ylabel("exit taken")
    depth.yaxis.get_major_locator().set_params(integer=True)
    slack.plot(times, [1e3 * plan.slack for _, plan in record.plans], ".", color="tab:green")
    slack.axhline(0.0, color="tab:red", linewidth=1.0)
    slack.set_ylabel("slack [ms]\n(below 0: late)")
    speed.plot(*_columns(record.speeds), color="tab:orange", label="commanded speed [m/s]")
    speed.plot(*_columns(record.heights), color="tab:purple", label="gripper height [m]")
    speed.set_xlabel("time [s]")
    speed.legend(loc="upper right", fontsize="small")
    for time, mode, _ in _mode_changes(record):
        for axis in (depth, slack, speed):
            axis.axvline(time, color="0.6", linewidth=0.8, linestyle=":")
        depth.text(time, depth.get_ylim()[1], f" {mode}", va="top", fontsize="small")
    figure.suptitle(f"{record.instruction!r}: {record.outcome.lower().replace('_', ' ')}")
    figure.savefig(path, dpi=110)


def _page(record: RunRecord, summary: dict[str, Any]) -> str:
    lines = [
        f"# {record.instruction or record.task}",
        "",
        f"{_sentence(record)} (task {record.task}, seed {record.seed}).",
        "",
        f"![spectator's view]({CLIP})" if record.frames else "",
        f"![depth, slack and speed over time]({PLOT})",
        "",
        "| figure | median | p99 | worst |",
        "|---|---|---|---|",
        *(
            f"| {label} [ms] | {_ms(summary[key], 'median')} | {_ms(summary[key], tail)} "
            f"| {_ms(summary[key], worst)} |"
            for label, key, tail, worst in (
                ("slack before the deadline", "slack", "p1", "min"),
                ("time in the model", "model_time", "p99", "max"),
                ("camera stamp to verdict, minus model", "overhead", "p99", "max"),
            )
        ),
        "",
        f"- {summary['plans']} plans, {summary['late']} late",
        f"- mean depth {summary['mean_depth']:.2f}",
        f"- {100 * summary['flops_fraction']:.0f} % of full compute",
        f"- longest gap between commands in motion {1e3 * summary['longest_command_gap']:.0f} ms",
        f"- why thinking stopped: {summary['reasons']}",
        *(f"- {time:.2f} s: {mode}, {why}" for time, mode, why in _mode_changes(record)),
        "",
    ]
    return "\n".join(lines)


def _mode_changes(record: RunRecord) -> list[tuple[float, str, str]]:
    """The changes of mode, without messages that repeat it for another source."""
    changes: list[tuple[float, str, str]] = []
    for entry in record.modes:
        if not changes or changes[-1][1:] != entry[1:]:
            changes.append(entry)
    return changes


def _sentence(record: RunRecord) -> str:
    return f"{record.outcome.capitalize().replace('_', ' ')} after {record.elapsed:.1f} s"


def _columns(series: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [time for time, _ in series], [value for _, value in series]


def _mean(values: list[float] | list[int]) -> float:
    return float(np.mean(values)) if values else 0.0


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    array: FloatArray = np.array(values)
    p1, median, p99 = np.percentile(array, [1, 50, 99])
    return {
        "min": float(array.min()),
        "p1": float(p1),
        "median": float(median),
        "p99": float(p99),
        "max": float(array.max()),
    }


def _ms(spread: dict[str, float], key: str) -> str:
    return f"{1e3 * spread[key]:.1f}" if spread else "-"


def _longest_gap(record: RunRecord) -> float:
    """Between commands while somebody drives; at rest the guard leaves the robot to others [s]."""
    changes = [time for time, *_ in record.modes]
    gaps = [0.0]
    for (start, _), (end, _) in pairwise(record.speeds):
        mode = bisect_right(changes, start) - 1
        if mode >= 0 and record.modes[mode][1] in (Mode.AUTO.name, Mode.TELEOP.name):
            gaps.append(end - start)
    return max(gaps)
