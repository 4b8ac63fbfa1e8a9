# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how much memory and time merging takes, for docs/merging.md.

Writes a base and three parents of Magma's layout with random weights, of 2 GB each by default, and
merges them in processes of their own, with one thread each. Their time is that of the processor:
beside other work, what a core alone would take. ``python docs/measure_merge.py [FOLDER]``;
checkpoints in the folder are used again.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from measure_import import SHAPE, peak
from torch import Tensor

from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.reader import INDEX, Checkpoint
from magma_ros.models.magma.synthetic import random_weight, write_checkpoint

PARENTS = 3

IDLE = """
import time
import magma_ros.cli.merging, magma_ros.models.merging.report
time.sleep(1.0)
"""

MERGES = {
    "task arithmetic": (),
    "TIES": ("--method", "ties"),
    "task arithmetic, WSC": ("--magic", "wsc"),
    "TIES, WSC": ("--method", "ties", "--magic", "wsc"),
}
"""Options of each merge."""


def moved(name: str, size: tuple[int, ...], *, seed: int) -> Tensor:
    """A weight of the base and a tenth of a random one."""
    return random_weight(name, size).add_(random_weight(name, size, seed=seed), alpha=0.1)


def write(folder: Path) -> None:
    """Write the base and its parents, unless they are there."""
    if (folder / f"parent-{PARENTS}" / INDEX).is_file():  # written last
        return
    write_checkpoint(folder / "base", SHAPE)
    for seed in range(1, PARENTS + 1):
        write_checkpoint(folder / f"parent-{seed}", SHAPE, weight=partial(moved, seed=seed))


def measure(folder: Path) -> None:
    """Print the table."""
    # In a process of its own: Linux counts the memory of who starts a process as that process's.
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder,))
    writer.start()
    writer.join()
    base = Checkpoint.open(folder / "base")
    largest = max(stored.bytes for stored in base.stored.values())
    print(f"base and {PARENTS} parents of {base.bytes / 1e9:.2f} GB, largest tensor "
          f"{largest / 1e6:.0f} MB")  # fmt: skip
    os.environ["OMP_NUM_THREADS"] = "1"
    idle = peak(sys.executable, "-c", IDLE)
    print(f"idle, all packages loaded: {idle[0] / 1e6:.0f} MB, {idle[1] / 1e6:.0f} MB with files")
    parents = [str(folder / f"parent-{seed}") for seed in range(1, PARENTS + 1)]
    for name, options in MERGES.items():
        begun, before = time.monotonic(), processor_time()
        command = ("-m", "magma_ros.cli", "merge", "--base", str(folder / "base"))
        target = ("--out", str(folder / "merged"), *options)
        held = peak(sys.executable, *command, "--parents", *parents, *target)
        seconds, wall = processor_time() - before, time.monotonic() - begun
        own, together = (value - least for value, least in zip(held, idle, strict=True))
        print(
            f"{name}: {seconds:.0f} s ({wall:.0f} s passed), {own / 1e6:.0f} MB above idle, "
            f"{together / 1e6:.0f} MB with mapped files; "
            f"Magma-8B at this rate {seconds / base.bytes * _magma_8b() / 60:.0f} min"
        )


def processor_time() -> float:
    """Of all processes that were started and have ended [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _magma_8b() -> float:
    """Bytes of Magma-8B's weights."""
    return 2.0 * MAGMA_8B.parameters


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch))
