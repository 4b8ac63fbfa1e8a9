# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma plan``: what a checkpoint of the large Magma will cost, before anything is made of it."""

from __future__ import annotations

from pathlib import Path

from magma_ros.cli.common import JsonFile, console, names
from magma_ros.files import write_json
from magma_ros.types import MagmaError


def plan(
    *,
    checkpoint: Path | None = None,
    hardware: str = "orin-agx",
    precision: str = "int4",
    exits: str = "4",
    passes: float = 7.0,
    instruction_tokens: int = 24,
    costs: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Predict what each stage costs on a computer, and which depth fits which control rate.

    Needs the checkpoint's config.json alone, no weights.

    Args:
        checkpoint: Folder of the checkpoint; without one, the shape of microsoft/Magma-8B.
        hardware: A file, or the name of one in config/hardware.
        precision: Of the weights: fp32, fp16, bf16, int8 or int4.
        exits: How many exits, evenly spread, or after which layers, separated by commas.
        passes: Mean number of passes in which the seven tokens of an action are decoded; seven is
            the most. A bundle says what it takes.
        instruction_tokens: Tokens that the longest instruction may have; shorter ones are padded.
        costs: Also write them there, to let a small policy of as many exits stand in under the
            modelled clock.
        json_file: Also write the plan there.
    """
    from magma_ros.evaluation.computers.hardware import load_hardware
    from magma_ros.models.magma.configuration import read_shape
    from magma_ros.models.magma.layout import MAGMA_8B
    from magma_ros.models.magma.plan import Costs, even_exits, make_plan
    from magma_ros.models.magma.plan_report import as_dict, tables, verdict, write_costs

    shape = MAGMA_8B if checkpoint is None else read_shape(checkpoint)
    numbers = _numbers(exits)
    if len(numbers) == 1:
        numbers = even_exits(shape.text.layers, numbers[0])
    # The choice is checked there, with a sentence of its own.
    priced = Costs(shape, precision, instruction=instruction_tokens)  # type: ignore[arg-type]
    made = make_plan(priced, load_hardware(hardware), numbers, passes)
    for table in tables(made):
        console.print(table)
    console.print(verdict(made))
    if costs is not None:
        write_costs(made, costs)
    if json_file is not None:
        write_json(as_dict(made), json_file)
    return 0 if made.fits else 1


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in names(text))
    except ValueError as error:
        raise MagmaError(
            f"exits must be whole numbers separated by commas, not {text!r}"
        ) from error
