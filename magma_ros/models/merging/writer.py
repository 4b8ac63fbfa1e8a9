# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes safetensors piece by piece, so that no tensor has to be in memory whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from magma_ros.files import write_json
from magma_ros.models.magma.reader import DTYPES, INDEX, SINGLE, StoredTensor
from magma_ros.models.training.checkpoint import AVERAGE
from magma_ros.types import MagmaError

Pieces = Callable[[str], Iterable[Tensor]]
"""The elements of the tensor of that name, in order."""

ALIGNMENT = 8
"""Bytes of which the length of a header is a multiple."""


def write_weights(folder: Path, stored: Mapping[str, StoredTensor], pieces: Pieces) -> None:
    """Write tensors into files of the same names as those that ``stored`` lie in.

    Args:
        folder: Where to.
        stored: Names, shapes, types and files.
        pieces: Their content.

    Raises:
        MagmaError: A file cannot be written.
    """
    for file in dict.fromkeys(tensor.file for tensor in stored.values()):
        inside = {name: tensor for name, tensor in stored.items() if tensor.file == file}
        try:
            _write(folder / file.name, inside, pieces)
        except OSError as error:
            raise MagmaError(f"cannot write {folder / file.name}: {error.strerror}") from error
    names = {name: tensor.file.name for name, tensor in stored.items()}
    if not {SINGLE, AVERAGE} & set(names.values()):
        total = sum(tensor.bytes for tensor in stored.values())
        write_json({"metadata": {"total_size": total}, "weight_map": names}, folder / INDEX)


def _write(path: Path, stored: Mapping[str, StoredTensor], pieces: Pieces) -> None:
    """Write one file: length of the header, header, then tensor after tensor."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in stored.items():
        begin, end = end, end + tensor.bytes
        shape = list(tensor.size)
        header[name] = {"dtype": tensor.dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, tensor in stored.items():
            written = 0
            for piece in pieces(name):
                content = piece.to(DTYPES[tensor.dtype]).contiguous().flatten()
                written += len(content)
                content.view(torch.uint8).numpy().tofile(file)
            assert written == math.prod(tensor.size), name
