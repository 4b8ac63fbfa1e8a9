# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how much memory reading and importing a checkpoint takes, for docs/magma-8b.md.

Writes a checkpoint of Magma's layout with random weights, of 2 GB by default, and runs both in
processes of their own. ``python docs/measure_import.py [FOLDER]``
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.synthetic import scaled, write_checkpoint

SHAPE = replace(scaled(3 / 8, layers=16), vision=replace(scaled(3 / 8).vision, image_size=512))
"""A billion weights: three eighths of Magma-8B's widths, and half of its layers."""

START = "import torch; import magma_ros.models.magma.reader"

READ = """
import sys
from pathlib import Path
from magma_ros.models.magma.reader import Checkpoint
for _ in Checkpoint.open(Path(sys.argv[1])).tensors():
    pass
"""


def peak(*command: str) -> tuple[float, float]:
    """Largest resident memory of a process [bytes], and how long it took [s]."""
    began = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:4])} failed")
    return 1024.0 * usage.ru_maxrss, time.monotonic() - began


def measure(folder: Path) -> None:
    """Print the table."""
    checkpoint = folder / "checkpoint"
    # In a process of its own: Linux counts the memory of who starts a process as that process's.
    writer = multiprocessing.get_context("spawn").Process(
        target=write_checkpoint, args=(checkpoint, SHAPE)
    )
    writer.start()
    writer.join()
    opened = Checkpoint.open(checkpoint)
    size, largest = opened.bytes, max(stored.bytes for stored in opened.stored.values())
    start, _ = peak(sys.executable, "-c", START)
    print(f"checkpoint {size / 1e9:.2f} GB, largest tensor {largest / 1e6:.0f} MB")
    print(f"an idle process {start / 1e6:.0f} MB")
    runs = {"read every tensor": (sys.executable, "-c", READ, str(checkpoint))}
    for precision in ("fp16", "int4"):
        command = ("-m", "magma_ros.cli", "import", "--checkpoint", str(checkpoint))
        target = ("--out", str(folder / precision), "--precision", precision, "--compute", "fp16")
        runs[f"import in {precision}"] = (sys.executable, *command, *target)
    for name, command in runs.items():
        held, seconds = peak(*command)
        print(
            f"{name}: peak {held / 1e6:.0f} MB, {(held - start) / 1e6:.0f} MB above idle, "
            f"{(held - start) / size:.0%} of the checkpoint, {seconds:.0f} s"
        )
    print(f"Magma-8B: {2 * MAGMA_8B.parameters / 1e9:.1f} GB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch))
