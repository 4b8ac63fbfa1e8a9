# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processor time that other processes have taken, from Linux's proc(5)."""

from __future__ import annotations

import os
from pathlib import Path


def processor_time(process: int) -> float:
    """Processor time of a process and of its descendants that still run [s]."""
    ticks = os.sysconf("SC_CLK_TCK")
    spent: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name in brackets: state, parent, ... utime, stime.
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it ended just now
            continue
        found = int(status.parent.name)
        spent[found] = (int(fields[11]) + int(fields[12])) / ticks
        children.setdefault(int(fields[1]), []).append(found)
    total, waiting = 0.0, [process]
    while waiting:
        found = waiting.pop()
        total += spent.get(found, 0.0)
        waiting += children.get(found, [])
    return total
