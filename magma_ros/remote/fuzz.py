# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Malformed frames by seed: what a hostile or broken peer may send."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np

from magma_ros.remote.wire import ARRAY, DATA, DTYPE, MAX_FRAME, SCALAR, SHAPE, pack

DTYPES = ("|O8", "|V8", "<c8", "<M8[s]", "<f4,<f4", "(9999999,)f4", "|S99999999", "<b2", "<f3", "")
SIZES = (-1, 0, 1, 2**31, 2**63 - 1, True, None, "4", 1.5)


def frames(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Frames of which most are malformed.

    Args:
        whole: A frame that is not, to start from.
        count: How many.
        seed: Of the chance.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    kinds = (_flipped, _cut, _noise, _bomb, _array, _scalar, _nested, _wrong_parts)
    for _ in range(count):
        kind: Callable[[bytes, random.Random], bytes] = chance.choice(kinds)
        yield kind(whole, chance)


def _flipped(whole: bytes, chance: random.Random) -> bytes:
    frame = bytearray(whole)
    reach = chance.choice([200, len(frame)])
    for _ in range(chance.randint(1, 8)):
        frame[chance.randrange(min(reach, len(frame)))] = chance.randrange(256)
    return bytes(frame)


def _cut(whole: bytes, chance: random.Random) -> bytes:
    return whole[: chance.randrange(len(whole))] + chance.choice([b"", b"\x00", b"\xc1"])


def _noise(_: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 7, 64, 4096]))


def _bomb(_: bytes, chance: random.Random) -> bytes:
    """A few bytes that announce many, or many bytes that would become large objects."""
    head = chance.choice([b"\xdd", b"\xdf", b"\xc6", b"\xdb"])
    size = struct.pack(">I", chance.choice([MAX_FRAME, 2**31 - 1, 2**32 - 1, 1 << 16]))
    filling = chance.choice([b"", b"\x80", b"\x90", b"\x91", b"\xc0"])
    return b"\x81\xa1a" + head + size + filling * chance.choice([1, 1000, 1 << 18])


def _array(_: bytes, chance: random.Random) -> bytes:
    data: Any = chance.choice([bytes(8), b"", "text", None, bytes(1 << 16)])
    shape = [chance.choice(SIZES) for _ in range(chance.choice([0, 1, 2, 3, 64]))]
    parts = {ARRAY: True, DATA: data, DTYPE: chance.choice([*DTYPES, "<f4", "<U2", 7, None])}
    parts[SHAPE] = chance.choice([shape, None, {}, "2"])
    if chance.random() < 0.2:
        del parts[chance.choice(list(parts))]
    return _packed({chance.choice(["state", "images", "point"]): parts})


def _scalar(_: bytes, chance: random.Random) -> bytes:
    value = chance.choice([300, -1, 2**63, 1e300, "x", None, [1], float("nan")])
    code = chance.choice([*DTYPES, "|u1", "<f2", "<i8", "<U2", 7])
    return _packed({"state": {SCALAR: True, DATA: value, DTYPE: code}})


def _nested(_: bytes, chance: random.Random) -> bytes:
    inner: Any = chance.choice([[], {}, 0])
    for _level in range(chance.choice([4, 9, 60, 400])):
        inner = [inner] if chance.random() < 0.5 else {"a": inner}
    return _packed({"images": inner})


def _wrong_parts(_: bytes, chance: random.Random) -> bytes:
    """Well-formed frames that hold no observation."""
    strange: list[Any] = [
        *(None, 7, "x", b"\xff\xd8\xff", [1, 2], {"front": 3}, {}),
        *(np.zeros((2, 2)), np.full(6, np.nan), np.zeros((0, 3, 3), np.uint8), np.inf),
        {"id": -1, "time_left": "soon"},
    ]
    keys = ("images", "state", "prompt", "request", "point", "depths", "x" * 500)
    return pack({key: chance.choice(strange) for key in keys if chance.random() < 0.7})


def _packed(message: object) -> bytes:
    return bytes(msgpack.packb(message))
