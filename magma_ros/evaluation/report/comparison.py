# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of a comparison of two policies."""

from __future__ import annotations

from magma_ros.evaluation.figures.compare import Comparison
from magma_ros.evaluation.report.tables import Grid, number, percentage


def comparison_table(comparison: Comparison) -> Grid:
    """One row for each pairing."""
    rows = []
    for pairing in comparison.pairings:
        counts = pairing.counts
        low, high = counts.difference_interval()
        depths = " → ".join(number(depth, 2) for depth in pairing.mean_depths)
        rows.append(
            (
                pairing.control.value,
                pairing.task,
                str(counts.pairs),
                percentage((counts.both + counts.only_first) / counts.pairs),
                percentage((counts.both + counts.only_second) / counts.pairs),
                f"{counts.only_first} / {counts.only_second}",
                f"{100 * counts.difference:+.1f}",
                f"{100 * low:+.1f} to {100 * high:+.1f}",
                f"{counts.p_value():.3f}",
                number(pairing.flops_ratio, 2),
                depths,
            )
        )
    (path_a, name_a), (path_b, name_b) = comparison.first, comparison.second
    return Grid(
        f"A: {name_a} ({path_a})   B: {name_b} ({path_b})",
        ("control", "task", "pairs", "A", "B", "only A / B", "B - A [points]", "95 % interval",
         "p", "FLOPs B / A", "depth"),
        rows,
        "Same scenes, pair by pair. Success: done to the object in the policy's instruction. "
        "Interval: Newcombe's for paired rates. p: McNemar's exact test. FLOPs: a decision.",
        text_columns=2,
    )  # fmt: skip
