# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows a plan: tables, a sentence, plain data, and costs for the modelled clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from magma_ros.evaluation.report.tables import Grid
from magma_ros.files import whole
from magma_ros.models.magma.plan import RATES, SPARE, Plan, Reach

NEVER = "none"


def tables(plan: Plan) -> list[Grid]:
    """The stages, the exits, and the depth for each control rate."""
    return [_stages(plan), _exits(plan), _rates(plan)]


def verdict(plan: Plan) -> str:
    """Whether it fits into the memory, in a sentence."""
    needed, memory = plan.reaches[-1].memory, plan.hardware.memory
    takes = f"All exits together take {needed / 1e9:.1f} GB of memory"
    if memory is None:
        return f"{takes}; the profile does not say how much the computer has."
    has = f"the computer has {memory / 1e9:.0f} GB"
    if plan.fits:
        return f"{takes}; {has}."
    return (
        f"{takes}, but {has}, {SPARE:.0%} of which must stay free: it does not fit. "
        "Choose fewer layers or a smaller precision."
    )


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, in SI units."""
    return {
        "format": "magma-plan/1",
        "hardware": plan.hardware.model_dump(),
        "precision": plan.costs.precision,
        "passes": plan.passes,
        "stages": [
            {
                "name": stage.name,
                "flops": stage.work.flops,
                "bytes": stage.work.weight_bytes,
                "times": stage.work.times,
                "memory": stage.resident,
                "seconds": seconds,
            }
            for stage, seconds in plan.stages
        ],
        "exits": [
            {
                "layers": reach.layers,
                "on_the_way": {"p50": reach.on_the_way[0], "p99": reach.on_the_way[1]},
                "alone": {"p50": reach.alone[0], "p99": reach.alone[1]},
                "flops": reach.flops,
                "bytes": reach.moved,
                "memory": reach.memory,
            }
            for reach in plan.reaches
        ],
        "depth_at_rate": {
            f"{rate:g}": {
                "on_the_way": _layers(plan.deepest(rate)),
                "alone": _layers(plan.deepest(rate, alone=True)),
            }
            for rate in RATES
        },
        "fits": plan.fits,
    }


def write_costs(plan: Plan, path: Path) -> None:
    """Write the costs for :class:`magma_ros.evaluation.computers.hardware.CostTable`.

    Raises:
        MagmaError: The file cannot be written.
    """
    layers = ", ".join(str(reach.layers) for reach in plan.reaches)
    description = (
        f"Magma in {plan.costs.precision} with exits after layers {layers}, "
        f"{plan.passes:g} passes an action"
    )
    content = plan.cost_table(description).model_dump(mode="json", exclude={"think"})
    with whole(path) as draft:
        draft.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _stages(plan: Plan) -> Grid:
    rows = [
        (
            stage.name,
            f"{stage.work.times * stage.work.flops / 1e12:.3f}",
            f"{stage.work.times * stage.work.weight_bytes / 1e9:.2f}",
            f"{stage.resident / 1e9:.2f}",
            f"{1e3 * seconds:.0f}",
        )
        for stage, seconds in plan.stages
    ]
    caption = (
        f"An action is decoded in {plan.passes:g} passes. Operations are twice the multiply-adds; "
        "a stage takes the longer of arithmetic and reading."
    )
    header = ("stage", "TFLOP", "GB read", "GB held", "ms")
    return Grid(f"{plan.costs.precision} on {plan.hardware.description}", header, rows, caption)


def _exits(plan: Plan) -> Grid:
    rows = [
        (
            f"{reach.layers} layers",
            f"{reach.flops / 1e12:.2f}",
            f"{reach.moved / 1e9:.1f}",
            f"{reach.memory / 1e9:.1f}",
            _spread(reach.on_the_way),
            _spread(reach.alone),
        )
        for reach in plan.reaches
    ]
    header = ("exit after", "TFLOP", "GB read", "GB held", "ms on the way", "ms alone")
    caption = (
        "Median / 99th percentile. On the way: every earlier exit is decoded, as the gate needs. "
        "Alone: in a bundle with that exit only."
    )
    return Grid("Until an action is there", header, rows, caption)


def _rates(plan: Plan) -> Grid:
    rows = [
        (
            f"{rate:g} Hz",
            f"{1e3 / rate:.0f}",
            _named(plan.deepest(rate)),
            _named(plan.deepest(rate, alone=True)),
        )
        for rate in RATES
    ]
    header = ("control rate", "period [ms]", "deepest exit on the way", "deepest exit alone")
    caption = "In layers; 99 of 100 control steps reach it within the period."
    return Grid("Which depth fits which control rate", header, rows, caption)


def _spread(times: tuple[float, float]) -> str:
    return f"{1e3 * times[0]:.0f} / {1e3 * times[1]:.0f}"


def _layers(reach: Reach | None) -> int | None:
    return None if reach is None else reach.layers


def _named(reach: Reach | None) -> str:
    return NEVER if reach is None else str(reach.layers)
