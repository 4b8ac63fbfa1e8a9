# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how much memory reading and importing a checkpoint takes, for docs/magma-8b.md.

Writes a checkpoint of Magma's layout with random weights, of 2 GB by default, and runs both in
processes of their own. ``python docs/measure_import.py [FOLDER]``
"""

from __future__ import annotations

import multiprocessing
import re
import subprocess
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

IDLE = """
import time
import magma_ros.cli.importing, magma_ros.models.magma.export, onnxruntime
time.sleep(1.0)
"""

READ = """
import sys
from pathlib import Path
import magma_ros.cli.importing, magma_ros.models.magma.export, onnxruntime
from magma_ros.models.magma.reader import Checkpoint
for _ in Checkpoint.open(Path(sys.argv[1])).tensors():
    pass
"""

EVERY = 0.02
"""Time between two looks at a process [s]."""

FIELD = re.compile(r"^(RssAnon|RssFile):\s+(\d+) kB$", re.MULTILINE)


def peak(*command: str) -> tuple[float, float]:
    """Largest memory of a process [bytes]: its own, and that with the files mapped into it.

    Pages of a mapped file are given up when others need the memory.
    """
    own = together = 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        held = {name: 1024.0 * int(size) for name, size in FIELD.findall(status.read_text())}
        own = max(own, held.get("RssAnon", 0.0))
        together = max(together, sum(held.values()))
        time.sleep(EVERY)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed")
    return own, together


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
    print(f"checkpoint {size / 1e9:.2f} GB, largest tensor {largest / 1e6:.0f} MB")
    idle = peak(sys.executable, "-c", IDLE)
    print(f"idle, all packages loaded: {idle[0] / 1e6:.0f} MB, {idle[1] / 1e6:.0f} MB with files")
    runs = {"read every tensor": (sys.executable, "-c", READ, str(checkpoint))}
    for precision in ("fp16", "int8", "int4"):
        command = ("-m", "magma_ros.cli", "import", "--checkpoint", str(checkpoint))
        target = ("--out", str(folder / precision), "--precision", precision, "--compute", "fp16")
        runs[f"import in {precision}"] = (sys.executable, *command, *target)
    for name, command in runs.items():
        own, together = (held - least for held, least in zip(peak(*command), idle, strict=True))
        print(
            f"{name}: {own / 1e6:.0f} MB above idle, {together / 1e6:.0f} MB with mapped files "
            f"({together / size:.0%} of the checkpoint)"
        )
    print(f"Magma-8B: {2 * MAGMA_8B.parameters / 1e9:.1f} GB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch))
