# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files beside an ONNX model that hold weights for it.

ONNX lets a tensor live in another file (``TensorProto.external_data``), which a checksum of the
model does not cover. This reads just enough of the model's protocol buffer to name those files, so
that a robot needs neither the ``onnx`` package nor the weights in memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_MESSAGES: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
"""Fields that lead to tensors (onnx.proto3): of each message, the number and kind of the inner one.

An ``Entry`` (StringStringEntryProto) has its key in field 1 and its value in field 2.
"""

_MAX_DEPTH = 100

Buffer = mmap.mmap | bytes


def external_files(path: Path) -> frozenset[str]:
    """The locations of external data that a model names, as they stand there.

    Raises:
        ValueError: The file is no protocol buffer of a model.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return frozenset()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return frozenset(_locations(content, 0, len(content), "Model", 0))


def _locations(data: Buffer, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deep")
    for number, first, last in _fields(data, start, end):
        inner = _MESSAGES[kind].get(number)
        if inner == "Entry":
            entry = {field: bytes(data[a:b]) for field, a, b in _fields(data, first, last)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode()
        elif inner is not None:
            yield from _locations(data, first, last, inner, depth + 1)


def _fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, beginning and end of every field with a length (wire type 2) of a message."""
    while start < end:
        key, start = _varint(data, start, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            _, start = _varint(data, start, end)
        elif wire == 2:
            length, start = _varint(data, start, end)
            if length > end - start:
                raise ValueError("a field is longer than the file")
            yield number, start, start + length
            start += length
        elif wire in (1, 5):
            start += 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field has the unknown wire type {wire}")
    if start > end:
        raise ValueError("a field is longer than the file")


def _varint(data: Buffer, start: int, end: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for count, place in enumerate(range(start, min(end, start + 10))):
        byte = data[place]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + 1
    raise ValueError("a number does not end")
