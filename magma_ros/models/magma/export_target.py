# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of a checkpoint, and whether there is room to make it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from magma_ros.models.magma.export_graph import Compute, NumberFormat, Precision
from magma_ros.models.magma.layout import EMBEDDING, HEAD, LANGUAGE_MODEL, MagmaShape
from magma_ros.models.magma.quantised import BLOCK
from magma_ros.types import MagmaError


class ImportRefusedError(MagmaError):
    """A checkpoint cannot become the bundle that was asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is made of a checkpoint.

    Attributes:
        precision: Number format of the weights.
        compute: Type of the activations, or None for what goes with ``precision``.
        exits: After how many layers an exit sits; the last one is added. Without any they sit where
            some were distilled, or else there are four, evenly spread.
        camera: Name of the camera.
        height: Of its pictures as the policy takes them [px].
        width: Likewise.
        statistics: Name of the data whose statistics say what actions mean.
        step_period: Time between two actions [s], or None for that of the statistics.
        hold: Steps for which an action goes on unless another comes. An action of one step would be
            over before it is decoded, if decoding takes longer than a step.
        instruction_tokens: Tokens that the longest instruction may have.
        beginnings: Tokens of the text's beginning at the start of the prompt.
        name: Of the policy.
        licence: SPDX expression for the weights.
    """

    precision: Precision = "int8"
    compute: Compute | None = None
    exits: tuple[int, ...] = ()
    camera: str = "front"
    height: int = 256
    width: int = 256
    statistics: str = "bridge"
    step_period: float | None = None
    hold: int = 4
    instruction_tokens: int = 24
    beginnings: int = 2
    name: str = "magma-8b"
    licence: str = "MIT"

    @property
    def numbers(self) -> NumberFormat:
        """How weights are kept."""
        return NumberFormat.of(self.precision, self.compute)

    def depths(self, layers: int, distilled: Iterable[int] = ()) -> tuple[int, ...]:
        """After how many layers exits sit, the last one included.

        Args:
            layers: Of the decoder.
            distilled: After how many an exit has weights of its own.

        Raises:
            ImportRefusedError: There is no such layer.
        """
        evenly = (max(1, layers * part // 4) for part in (1, 2, 3))
        given = self.exits or tuple(distilled) or tuple(evenly)
        if wrong := [depth for depth in given if not 0 < depth <= layers]:
            raise ImportRefusedError(
                f"there is no exit after {wrong[0]} of {layers} layers; "
                f"give numbers from 1 to {layers}"
            )
        return tuple(sorted({*given, layers}))


def bundle_bytes(shape: MagmaShape, numbers: NumberFormat, table_itemsize: int) -> int:
    """Size of the bundle, but for its small files.

    Args:
        shape: Of the checkpoint.
        numbers: How weights are kept.
        table_itemsize: Bytes of an entry of the embedding, which is kept as it is.
    """
    total = 0.0
    for name, size in shape.tensors().items():
        count = math.prod(size)
        bits = numbers.decoder_bits if name.startswith(LANGUAGE_MODEL) else numbers.vision_bits
        if name == EMBEDDING:
            total += count * table_itemsize
        elif name == HEAD:
            continue  # but for a few rows
        elif len(size) != 2:
            total += count * numbers.compute.itemsize
        elif bits is None:
            total += count * numbers.weights.itemsize
        else:
            total += count * (bits / 8 + (numbers.compute.itemsize + bits / 8) / BLOCK)
    return round(total)


def working_bytes(shape: MagmaShape) -> int:
    """Memory that an import takes at a time: a layer in float32, or a matrix in three copies.

    The copies are the stored weight, its transpose, and what becomes of it.
    """
    text = shape.text
    layer = text.width * (2 * text.query_width + 2 * text.kv_width + 3 * text.hidden)
    largest = max(
        math.prod(size) for name, size in shape.tensors().items() if name not in (EMBEDDING, HEAD)
    )
    return 4 * max(layer + largest, 3 * largest)


def require_room(out: Path, disk: int, memory: int) -> None:
    """Refuse an import that there is no room for, before it begins.

    Args:
        out: Folder of the bundle.
        disk: Bytes that it takes.
        memory: Bytes of memory that making it takes.

    Raises:
        ImportRefusedError: There is not enough room.
    """
    home = next(folder for folder in out.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(home).free
    if disk > free:
        raise ImportRefusedError(
            f"the bundle takes {disk / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free on the "
            f"disk of {home}; make room, or choose a smaller precision"
        )
    available = available_memory()
    if available is not None and memory > available:
        raise ImportRefusedError(
            f"the import takes {memory / 1e9:.1f} GB of memory, but only {available / 1e9:.1f} GB "
            "are free; end other programs"
        )


def available_memory() -> int | None:
    """Bytes of memory that may be used without swapping, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    found = fields.get("MemAvailable")
    return None if found is None else 1024 * int(found.split()[0])
