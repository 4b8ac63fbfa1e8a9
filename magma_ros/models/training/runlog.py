# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a training run: losses as CSV, closed-loop checks as CSV, curves as PNG."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from magma_ros.files import make_folder, read_text
from magma_ros.models.network.losses import Losses
from magma_ros.types import MagmaError

LOSSES, CHECKS, CURVES = "losses.csv", "checks.csv", "curves.png"

EVERY = 20
"""Steps over which a row is averaged."""


class RunLog:
    """Appends to the record; rows after the step that is resumed from are dropped first.

    Args:
        run: Folder of the run; made if it is not there.
        step: Step that is resumed from.
        batch: Samples per step.
    """

    def __init__(self, run: Path, step: int, batch: int) -> None:
        self._run, self._batch = run, batch
        make_folder(run)
        self._pending: list[Losses] = []
        self._since = time.perf_counter()
        self._note = ""
        for name in (LOSSES, CHECKS):
            if (run / name).exists():
                rows = _read(run / name)
                _write(run / name, (row for row in rows if int(row["step"]) <= step))

    def add(self, step: int, losses: Losses) -> str:
        """Count a step's losses; return a short note for the progress bar."""
        self._pending.append(losses)
        if step % EVERY == 0:
            means = _means(self._pending)
            rate = self._batch * len(self._pending) / (time.perf_counter() - self._since)
            self._append(LOSSES, step, means | {"rate": rate})
            self._note = f"loss {means['total']:.3f}  error {means['error']:.4f}  {rate:.0f}/s"
            self._pending = []
            self._since = time.perf_counter()
        return self._note

    def add_check(self, step: int, successes: dict[str, float]) -> None:
        """Count a closed-loop check; its duration is left out of the rate."""
        self._append(CHECKS, step, successes)
        self._since = time.perf_counter()
        self._pending = []

    def draw(self) -> None:
        """Draw the curves anew."""
        rows = _read(self._run / LOSSES) if (self._run / LOSSES).exists() else []
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        steps = [int(row["step"]) for row in rows]
        for term in list(rows[0])[1:-1] if rows else ():
            left.semilogy(steps, [float(row[term]) for row in rows], label=term.replace("_", " "))
        left.set(xlabel="step", title="training losses")
        if rows:
            left.legend()
        checks = _read(self._run / CHECKS) if (self._run / CHECKS).exists() else []
        for task in checks[0].keys() - {"step"} if checks else ():
            points = [(int(row["step"]), float(row[task])) for row in checks]
            right.plot(*np.transpose(points), marker="o", label=task)
        right.set(xlabel="step", ylim=(-0.05, 1.05), title="success on validation scenes")
        if checks:
            right.legend()
        figure.savefig(self._run / CURVES, dpi=100)

    def _append(self, name: str, step: int, values: dict[str, float]) -> None:
        row = {"step": str(step), **{key: f"{value:.5g}" for key, value in values.items()}}
        path = self._run / name
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def _means(losses: list[Losses]) -> dict[str, float]:
    """The total and every term, each its mean over these steps."""
    rows = [{"total": step.total, **step.terms} for step in losses]
    return {name: float(torch.stack([row[name] for row in rows]).mean()) for name in rows[0]}


def _read(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(read_text(path).splitlines(), strict=True))
        for row in rows:
            int(row["step"])
            [float(value) for value in row.values()]
    except (csv.Error, ValueError, KeyError, TypeError) as error:
        raise MagmaError(f"{path} is damaged ({error}); move it away to begin anew") from error
    return rows


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    kept = list(rows)
    if not kept:
        path.unlink()
        return
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    unfinished.replace(path)
