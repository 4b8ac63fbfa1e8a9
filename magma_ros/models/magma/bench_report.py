# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows what was measured of Magma-8B's shape, precision beside precision."""

from __future__ import annotations

from collections.abc import Sequence

from magma_ros.evaluation.bench.stages import StagesBench
from magma_ros.evaluation.report.tables import Grid
from magma_ros.models.magma.bench import Timed


def step_table(found: Sequence[Timed]) -> Grid:
    """The parts of a control step, with its tokens decoded one by one and in parallel."""
    rows = [
        ("instruction", *(_typical(each.one_by_one, "look_words") for each in found)),
        ("vision and projector", *(_typical(each.one_by_one, "look_image") for each in found)),
        ("prompt through all layers", *(_typical(each.one_by_one, "think") for each in found)),
        ("decoding, one by one", *(_typical(each.one_by_one, "decode") for each in found)),
        ("decoding, in parallel", *(_typical(each.in_parallel, "decode") for each in found)),
        ("of it the deepest exit", *(_deepest(each.in_parallel) for each in found)),
        ("passes, first to last exit", *(_passes(each.in_parallel) for each in found)),
        ("step, one by one", *(str(each.one_by_one.step) for each in found)),
        ("its floor", *(_floor(each.one_by_one) for each in found)),
        ("step, in parallel", *(str(each.in_parallel.step) for each in found)),
        ("its floor", *(_floor(each.in_parallel) for each in found)),
    ]
    first, other = found[0].one_by_one, found[0].in_parallel
    return Grid(
        "Control step [ms]",
        ("", *(each.precision for each in found)),
        rows,
        f"{first.steps} steps one by one and {other.steps} in parallel on "
        f"{first.ceilings.provider}, {first.threads} threads of {first.processor}. "
        "Medians, and of whole steps the median / 99th percentile. Every exit is decoded on the "
        "way. One by one takes seven passes; in parallel as many as random weights need on noise.",
    )


def placement(timed: Timed) -> str:
    """Which operators of which stages do not run where the others run, as a sentence."""
    if timed.on_cpu is None:
        return "This ONNX Runtime does not say which operators run on the CPU."
    found = {stage: counts for stage, counts in timed.on_cpu.items() if counts}
    if not found:
        return f"{timed.precision}: no operator falls back to the CPU."
    told = (
        f"{stage} {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}"
        for stage, counts in found.items()
    )
    return f"{timed.precision}: on the CPU run {'; '.join(told)}."


def rates_table(found: Sequence[Timed]) -> Grid:
    """How many decisions are late at each control rate, with the gate and at full depth."""
    rows = [
        (
            each.precision,
            f"{1.0 / gated.deadline:g} Hz",
            f"{gated.late_in_full} of {each.in_parallel.steps}",
            f"{gated.late} of {gated.steps}",
            f"{gated.depth:.2f} of {each.in_parallel.exits}",
            str(gated.step),
        )
        for each in found
        for gated in each.in_parallel.gated
    ]
    return Grid(
        "Late decisions",
        ("", "control rate", "full depth", "adaptive gate", "its depth", "its time [ms]"),
        rows,
        "Late is what takes longer than the period. The gate has no calibration, which random "
        "weights cannot have: it goes as deep as the period lets it.",
    )


def _typical(bench: StagesBench, name: str) -> str:
    return _ms(sum(s.time.p50 for s in bench.stages if s.name.startswith(name)))


def _deepest(bench: StagesBench) -> str:
    return _ms(bench.stages[-1].time.p50)


def _passes(bench: StagesBench) -> str:
    return ", ".join(f"{s.passes:.1f}" for s in bench.stages if s.name.startswith("decode"))


def _floor(bench: StagesBench) -> str:
    return _ms(sum(stage.floor for stage in bench.stages))


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"
