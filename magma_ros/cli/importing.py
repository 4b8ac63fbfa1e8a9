# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma import``: from a released checkpoint to a bundle."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from magma_ros.cli.common import JsonFile, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import write_json
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.models.magma.comparison import Example
    from magma_ros.models.magma.export_target import Target
    from magma_ros.models.magma.reader import Checkpoint


def import_(
    *,
    checkpoint: Path,
    out: Path,
    precision: Literal["fp32", "fp16", "bf16", "int8", "int4"] = "int8",
    compute: Literal["fp32", "fp16", "bf16"] | None = None,
    exits: str = "",
    statistics: str = "bridge",
    step_period: float | None = None,
    hold: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))] = 4,
    camera: str = "front",
    image: str = "256x256",
    instruction_tokens: int = 24,
    single_beginning: Annotated[bool, Parameter(negative="")] = False,
    name: str = "magma-8b",
    licence: str = "MIT",
    compare: int = 0,
    data: Path | None = None,
    json_file: JsonFile = None,
) -> int:
    """Turn a checkpoint like microsoft/Magma-8B into a bundle, one weight after the other.

    Args:
        checkpoint: Folder with config.json, tokenizer.json and the safetensors.
        out: Folder of the bundle; replaced only once the new one is complete.
        precision: How weights are kept; int8 and int4 in blocks with a scale each.
        compute: What the rest is computed in: fp32 for a CPU, fp16 or bf16 for a GPU. What is kept
            in bf16 computes in bf16, unless this is fp32.
        exits: After how many layers an exit sits, separated by commas; by default where magma
            distill-exits trained some, or else four, evenly.
        statistics: Data set whose statistics say what actions mean, for example bridge.
        step_period: Time between two actions [s]; that of the statistics by default.
        hold: Steps for which an action goes on unless another comes; at least one more than fit
            into the time from a picture to its action.
        camera: Name of the camera.
        image: Width x height that its pictures are resized to first [px].
        instruction_tokens: Tokens that the longest instruction may have.
        single_beginning: Begin the prompt with one token of the text's beginning, not with two as
            the official runs do.
        name: Of the policy.
        licence: SPDX expression for the weights.
        compare: Observations on which the bundle is compared with the network in PyTorch
            afterwards, which goes into the manifest together with the mean number of passes; takes
            memory for the whole network in float32.
        data: Demonstrations to compare on, as magma data generate writes them; noise by default.
        json_file: Also write there what the comparison finds.
    """
    require("train")
    from magma_ros.models.magma.export import import_checkpoint
    from magma_ros.models.magma.export_target import Target
    from magma_ros.models.magma.reader import Checkpoint
    from magma_ros.policy.manifest import read_manifest

    width, height = _size(image)
    target = Target(
        precision=precision,
        compute=compute,
        exits=_depths(exits),
        camera=camera,
        height=height,
        width=width,
        statistics=statistics,
        step_period=step_period,
        hold=hold,
        instruction_tokens=instruction_tokens,
        beginnings=1 if single_beginning else 2,
        name=name,
        licence=licence,
    )
    opened = Checkpoint.open(checkpoint)
    with complaints.status("begins") as status:
        import_checkpoint(
            opened,
            out,
            target,
            command=shlex.join(["magma", *sys.argv[1:]]),
            tell=lambda step: status.update(f"writing {step}"),
        )
    console.print(read_manifest(out).description, markup=False, highlight=False)
    console.print(f"bundle written to {out}; magma bundle verify {out} runs it once")
    if compare:
        _compare(opened, out, target, _examples(out, compare, data), json_file)
    return 0


def _examples(out: Path, count: int, data: Path | None) -> list[Example]:
    """What a bundle is compared on: frames of demonstrations, or noise."""
    from magma_ros.models.magma.comparison import noise, recorded
    from magma_ros.policy.manifest import read_manifest

    manifest = read_manifest(out)
    return list(noise(manifest, count) if data is None else recorded(data, manifest, count))


def _compare(
    checkpoint: Checkpoint,
    out: Path,
    target: Target,
    examples: list[Example],
    json_file: Path | None,
) -> None:
    """Compare a bundle with the network; say how they agree, and note it in the manifest."""
    from rich.progress import track

    from magma_ros.models.magma.comparison import compare, note
    from magma_ros.tables import agreement_tables

    watched = track(examples, "comparing", console=complaints)
    found = compare(checkpoint, out, watched, beginnings=target.beginnings)
    note(out, found)
    for table in agreement_tables(found):
        console.print(table)
    if json_file is not None:
        write_json(found.to_json(), json_file)


def _size(text: str) -> tuple[int, int]:
    """Width and height from text like 256x256."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise MagmaError(f"give the size of the image as width x height, as in 256x256, not {text}")
    return int(parts[0]), int(parts[1])


def _depths(text: str) -> tuple[int, ...]:
    """Numbers of layers from text like 8,16,24."""
    parts = names(text)
    if not all(part.isdecimal() for part in parts):
        raise MagmaError(f"give the exits as numbers of layers, as in 8,16,24, not {text}")
    return tuple(map(int, parts))
