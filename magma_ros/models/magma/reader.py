# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a checkpoint of Magma's layout, one tensor at a time.

Opening one reads only the headers of its shards and checks every name, shape and dtype against the
configuration. A tensor is mapped into memory when it is asked for, and its pages are given back
with it, so that reading needs little more memory than the largest tensor. Nothing in the folder is
ever run: no pickle is read, and no Python file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from safetensors import SafetensorError, safe_open
from torch import Tensor

from magma_ros.files import read_json
from magma_ros.models.magma.configuration import REMEDY, read_shape
from magma_ros.models.magma.layout import (
    EMBEDDING,
    CheckpointLayoutError,
    MagmaShape,
    is_unused,
)
from magma_ros.models.magma.quantised import Bits, Quantised, quantise

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
"""Endings of files that pickles are kept in."""

PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
"""How pickles of protocols 2 to 5 begin."""

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Types that weights may be stored in, by their names in safetensors."""

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")]


class CheckpointError(CheckpointLayoutError):
    """The weights of a checkpoint are missing, damaged, or not those that its shape needs."""


class _Index(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    weight_map: Annotated[dict[str, FileName], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor is stored.

    Attributes:
        file: The shard.
        dtype: As safetensors calls it.
        size: Its shape.
    """

    file: Path
    dtype: str
    size: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Bytes that it takes on disk."""
        return math.prod(self.size) * DTYPES[self.dtype].itemsize


class Checkpoint:
    """A checkpoint whose files have been checked; :meth:`open` makes one.

    Attributes:
        folder: Where it lies.
        shape: Its sizes; the rows of its vocabulary are those of its embedding.
        stored: Where each tensor is stored that a control step needs.
    """

    def __init__(self, folder: Path, shape: MagmaShape, stored: Mapping[str, StoredTensor]) -> None:
        self.folder = folder
        self.shape = shape
        self.stored = stored

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Check the files in ``folder``, without reading weights.

        Raises:
            CheckpointLayoutError: A file is missing, cut short or a pickle, the configuration is
                of another architecture, or a tensor is missing, unexpected or mis-shaped.
        """
        if not folder.is_dir():
            raise CheckpointError(f"there is no folder {folder}; {REMEDY}")
        refuse_pickles(folder)
        shape = read_shape(folder)
        found = _stored(folder)
        if (embedding := found.get(EMBEDDING)) is not None and embedding.size:
            shape = replace(shape, text=replace(shape.text, vocabulary=embedding.size[0]))
        _require_fit(folder, shape, found)
        return cls(folder, shape, {name: found[name] for name in shape.tensors()})

    @property
    def bytes(self) -> int:
        """Bytes of all tensors that a control step needs."""
        return sum(tensor.bytes for tensor in self.stored.values())

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """One tensor.

        Args:
            name: One of :attr:`stored`.
            dtype: Floating type to convert it to, or None to leave it as it is stored; it is then
                a view of the file.

        Raises:
            CheckpointError: It holds a value that is not finite, or exceeds ``dtype``.
        """
        stored = self.stored[name]
        tensor, low, high = _finite(name, stored)
        wanted = dtype or tensor.dtype
        if max(-low, high) > torch.finfo(wanted).max:
            raise CheckpointError(
                f"{name} in {stored.file} reaches {max(-low, high):.3g}, more than the "
                f"{torch.finfo(wanted).max:.6g} of {str(wanted).removeprefix('torch.')}; "
                "use bfloat16 or float32"
            )
        return tensor.to(wanted)

    def quantised(self, name: str, bits: Bits) -> Quantised:
        """The weight of a product, rounded to so many bits; see :meth:`tensor`."""
        return quantise(self.tensor(name), bits)

    def tensors(
        self, names: Iterable[str] | None = None, dtype: torch.dtype | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Name and content of one tensor after the other; like :meth:`tensor`.

        Args:
            names: Which, in this order; None for all in the order of the network.
            dtype: As for :meth:`tensor`.
        """
        for name in self.stored if names is None else names:
            yield name, self.tensor(name, dtype)


def finite_tensor(name: str, stored: StoredTensor) -> Tensor:
    """A tensor as it is stored, as a view of its file.

    Raises:
        CheckpointError: It holds a value that is not finite.
    """
    return _finite(name, stored)[0]


def _finite(name: str, stored: StoredTensor) -> tuple[Tensor, float, float]:
    """A stored tensor with its least and its largest value."""
    # Opened for every tensor, so that the pages of the file are unmapped together with it.
    with _opened(stored.file) as shard:
        tensor: Tensor = shard.get_tensor(name)
    low, high = (float(value) for value in torch.aminmax(tensor))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CheckpointError(
            f"{name} in {stored.file} holds values that are not finite; download or train it again"
        )
    return tensor, low, high


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder with a pickle in it, which could run code when somebody loads it.

    Raises:
        CheckpointError: There is one, by its name or by how it begins.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _is_pickle(path):
            raise CheckpointError(
                f"{path} is or may be a pickle, which can run any code; remove it from the folder, "
                "since weights are read from safetensors alone"
            )


def _is_pickle(path: Path) -> bool:
    if path.suffix in PICKLES:
        return True
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # what torch.save writes
            return any(name.endswith(".pkl") for name in archive.namelist())
    return start.startswith(PICKLE_STARTS) and path.suffix != ".safetensors"


def _stored(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor that the shards hold."""
    weight_map = _weight_map(folder)
    files = sorted(set(weight_map.values()))
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise CheckpointError(
            f"{folder} lacks {_first_of(missing)}, {len(missing)} of {len(files)} shards that "
            f"{INDEX} lists; download what is missing"
        )
    found = {name: tensor for file in files for name, tensor in tensors_in(folder / file)}
    for name, file in weight_map.items():
        if name not in found or found[name].file != folder / file:
            raise CheckpointError(
                f"{folder / INDEX} says that {file} holds {name}, but it does not; "
                "download index and shards from the same release"
            )
    return found


def _weight_map(folder: Path) -> dict[str, str]:
    if (folder / INDEX).is_file():
        return dict(read_json(folder / INDEX, _Index, error=CheckpointError).weight_map)
    if (folder / SINGLE).is_file():
        return {name: SINGLE for name, _ in tensors_in(folder / SINGLE)}
    raise CheckpointError(f"{folder} has neither {INDEX} nor {SINGLE}; {REMEDY}")


def tensors_in(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    """Name and place of every tensor of a safetensors file.

    Raises:
        CheckpointError: It is cut short or no such file.
    """
    with _opened(path) as shard:
        for name in shard.keys():  # noqa: SIM118 - it is no mapping
            part = shard.get_slice(name)
            yield name, StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} is cut short or no safetensors file ({reason}); download or train it again"
        ) from error


def _require_fit(folder: Path, shape: MagmaShape, found: Mapping[str, StoredTensor]) -> None:
    wanted = shape.tensors()
    if missing := [name for name in wanted if name not in found]:
        raise CheckpointError(f"{folder} lacks the tensor {_first_of(missing)}; {REMEDY}")
    if extra := [name for name in found if name not in wanted and not is_unused(name)]:
        raise CheckpointError(
            f"{folder} holds {_first_of(extra)}, which Magma of this configuration has not; "
            f"{REMEDY}"
        )
    for name, size in wanted.items():
        tensor = found[name]
        if tensor.size != size:
            raise CheckpointError(
                f"{name} in {tensor.file} is {product_of(tensor.size)}, but the configuration "
                f"needs {product_of(size)}; {REMEDY}"
            )
        if tensor.dtype not in DTYPES:
            raise CheckpointError(
                f"{name} in {tensor.file} is stored as {tensor.dtype}; only {', '.join(DTYPES)} "
                "are read, so take the checkpoint before it was quantised"
            )
    if shape.image_token >= shape.text.vocabulary:
        raise CheckpointError(
            f"{folder} has {shape.text.vocabulary} rows of vocabulary, but the image's token is "
            f"{shape.image_token}; {REMEDY}"
        )


def _first_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def product_of(size: tuple[int, ...]) -> str:
    """A shape as part of a sentence."""
    return " x ".join(map(str, size)) or "a single number"
