# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames on the line between a robot and a policy server: msgpack with NumPy arrays.

The encoding is that of openpi-client 0.1.2, so either end may be openpi's: a message is a msgpack
map with text for its keys; an array in it is the map ``{b"__ndarray__": True, b"data": bytes,
b"dtype": "<f4", b"shape": [K, D]}`` in C order, a NumPy scalar ``{b"__npgeneric__": True, b"data":
number, b"dtype": "<f4"}``. What the messages hold is told in :mod:`magma_ros.remote.messages`.

What a stranger sends is bounded before anything is built from it. A frame is walked once without
an allocation: its values are counted, its nesting is followed, every length is compared with the
bytes that are there. Only then msgpack decodes it. Memory is at most a few times the frame's size
plus :data:`MAX_VALUES` small objects. An array keeps the bytes that it came in and is read-only.
Types of msgpack that openpi never sends (extensions, timestamps) are refused, and so is every dtype
but booleans, integers, floats and text: none can name code to run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from magma_ros.types import MagmaError

MAX_FRAME = 16 << 20
"""Largest frame [bytes]: three uncompressed pictures of 1280 x 720 fit."""

MAX_VALUES = 8192
"""Most values of a frame, keys and members of lists included; an array's elements do not count."""

MAX_NESTING = 8
"""Deepest nesting of maps and lists."""

MAX_TEXT = 16 << 10
"""Longest text [bytes]."""

MAX_AXES = 8
"""Most axes of an array."""

ARRAY, SCALAR = b"__ndarray__", b"__npgeneric__"
"""Keys that mark the maps which stand for an array and for a NumPy scalar."""

DATA, DTYPE, SHAPE = b"data", b"dtype", b"shape"

_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
_TEXT = re.compile(r"([<>])U(\d{1,5})")

_SIZED = {  # tag: what it is, and the bytes of its length
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_FIXED = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8,
    0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
}  # fmt: skip


class WireError(MagmaError):
    """A frame is not one of this protocol, or a message cannot be sent."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Encode a message as one frame.

    Args:
        message: Of text keys; values are None, booleans, numbers, text, bytes, NumPy arrays and
            scalars, and lists and maps of them.

    Raises:
        WireError: It holds something else.
    """
    try:
        packed: bytes = msgpack.packb(message, default=_packed)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"a message cannot be sent: {error}") from None
    return packed


def unpack(frame: bytes, *, limit: int = MAX_FRAME) -> dict[str, Any]:
    """Decode one frame into a message.

    Args:
        frame: As it was received.
        limit: Most bytes accepted.

    Returns:
        The message; arrays are read-only and in this machine's byte order.

    Raises:
        WireError: It is not one map with text keys within the bounds above, or an array in it
            contradicts itself.
    """
    if len(frame) > limit:
        raise WireError(f"the frame has {len(frame)} bytes, but at most {limit} are read")
    _survey(frame)
    try:
        message = msgpack.unpackb(frame, object_pairs_hook=_revived)
    except WireError:
        raise
    except UnicodeDecodeError as error:
        raise WireError(f"a text in the frame is not UTF-8 ({error.reason})") from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"the frame is not valid msgpack ({error})") from None
    if not isinstance(message, dict):
        raise WireError(f"a frame must hold a map, but this one holds {_kind(message)}")
    return message


def _survey(frame: bytes) -> None:
    """Walk a frame without building anything.

    Raises:
        WireError: It is cut short or goes on after its end, or exceeds a bound.
    """
    to_come = [1]  # values still to come, of the frame and of each open map or list in it
    at = values = 0
    while to_come:
        if not to_come[-1]:
            to_come.pop()
            continue
        to_come[-1] -= 1
        values += 1
        kind, length, at = _head(frame, at)
        if kind in {"array", "map"}:
            members = 2 * length if kind == "map" else length
            if values + members > MAX_VALUES:
                raise WireError(f"the frame holds more than {MAX_VALUES} values; send arrays")
            if len(to_come) > MAX_NESTING:
                raise WireError(f"the frame is nested more than {MAX_NESTING} levels deep")
            to_come.append(members)
            continue
        at += length
        if at > len(frame):
            raise WireError(
                f"the frame is cut short: {length} bytes are announced where "
                f"{max(0, len(frame) - at + length)} are left"
            )
        if kind == "str" and length > MAX_TEXT:
            raise WireError(f"a text has {length} bytes, but at most {MAX_TEXT} are read")
    if at < len(frame):
        raise WireError(f"{len(frame) - at} bytes follow the end of the message")


def _head(frame: bytes, at: int) -> tuple[str, int, int]:
    """What a value is, its length (of a map or list, its entries), and where its content begins."""
    if at >= len(frame):
        raise WireError("the frame is cut short: it ends where a value should begin")
    tag = frame[at]
    at += 1
    if tag < 0x80 or tag >= 0xE0:
        return "number", 0, at
    if tag < 0x90:
        return "map", tag & 0x0F, at
    if tag < 0xA0:
        return "array", tag & 0x0F, at
    if tag < 0xC0:
        return "str", tag & 0x1F, at
    if tag in _FIXED:
        return "number", _FIXED[tag], at
    if tag not in _SIZED:
        raise WireError(f"the frame holds a value of msgpack type 0x{tag:02x}, which is not taken")
    kind, width = _SIZED[tag]
    return kind, int.from_bytes(frame[at : at + width], "big"), at + width


def _packed(value: object) -> object:
    """What stands for a value that msgpack does not know.

    Raises:
        WireError: Nothing does.
    """
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biufU":
            raise WireError(f"an array of {value.dtype} cannot be sent; send numbers")
        if isinstance(value, np.generic):
            return {SCALAR: True, DATA: value.item(), DTYPE: value.dtype.str}
        return {ARRAY: True, DATA: value.tobytes(), DTYPE: value.dtype.str, SHAPE: value.shape}
    raise WireError(f"a value of type {type(value).__name__} cannot be sent")


def _revived(pairs: Iterable[tuple[Any, Any]]) -> Any:
    """The map, array or scalar that a map on the wire stands for."""
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise WireError("a map in the frame has a key twice")
    if ARRAY in found:
        return _array(found)
    if SCALAR in found:
        return _scalar(found)
    if strange := [key for key in found if not isinstance(key, str)]:
        raise WireError(f"a key must be text, but one is {_shown(strange[0])}")
    return found


def _array(found: Mapping[Any, Any]) -> Any:
    data, code, shape = found.get(DATA), found.get(DTYPE), found.get(SHAPE)
    if not isinstance(data, bytes) or not isinstance(code, str) or not isinstance(shape, list):
        raise WireError("an array needs its data as bytes, its dtype as text, its shape as a list")
    if len(shape) > MAX_AXES:
        raise WireError(f"an array has {len(shape)} axes, but at most {MAX_AXES} are taken")
    if any(type(side) is not int or not 0 <= side <= MAX_FRAME for side in shape):
        raise WireError(f"an array's shape must be of whole numbers, not {_shown(shape)}")
    text = _TEXT.fullmatch(code)
    size = 4 * int(text[2]) if text else _number(code).itemsize
    if math.prod(shape) * size != len(data):
        raise WireError(
            f"an array of {code} {shape} has {math.prod(shape) * size} bytes, but {len(data)} came"
        )
    if text:
        return _text(data, math.prod(shape), text[1])
    values: npt.NDArray[Any] = np.frombuffer(data, _number(code)).reshape(shape)
    if values.dtype.kind == "b":  # any byte may have come
        values = values.view(np.uint8) != 0
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    values.flags.writeable = False
    return values


def _text(data: bytes, count: int, order: str) -> str:
    """The text in an array of one text."""
    if count != 1 or len(data) > 4 * MAX_TEXT:
        raise WireError(f"an array of {count} texts is not taken; send one, or a list")
    try:
        return data.decode("utf-32-le" if order == "<" else "utf-32-be").rstrip("\0")
    except UnicodeDecodeError as error:
        raise WireError(f"an array of text is not Unicode ({error.reason})") from None


def _scalar(found: Mapping[Any, Any]) -> Any:
    value, code = found.get(DATA), found.get(DTYPE)
    if isinstance(value, str) and isinstance(code, str) and _TEXT.fullmatch(code):
        return value
    if not isinstance(value, bool | int | float) or not isinstance(code, str):
        raise WireError("a NumPy scalar needs a number for its data and text for its dtype")
    try:
        with np.errstate(over="ignore"):
            return _number(code).type(value)
    except (OverflowError, ValueError, TypeError):
        raise WireError(f"{value} is no value of dtype {code}") from None


def _number(code: str) -> np.dtype[Any]:
    """The dtype of numbers called ``code``."""
    if not _NUMBERS.fullmatch(code):
        raise WireError(f"arrays of dtype {_shown(code)} are not taken; send numbers")
    try:
        return np.dtype(code)
    except TypeError:
        raise WireError(f"there is no dtype {_shown(code)}") from None


def _shown(value: object) -> str:
    """A value as short text on one line."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "text", bytes: "bytes", np.ndarray: "an array"}
    return kinds.get(type(value), "a single value")
