# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Python containers behind sequence fields.

They are what rclpy users expect (``array.array``, ``list``) and also have the one method that
rosbags' serialiser asks of a numeric sequence: ``view``, its bytes. So a message is serialised
from the very memory that the user filled, at the cost of a copy whatever its size.
"""

from array import array
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

TYPECODES = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}


class Numbers(array):  # type: ignore[type-arg]  # takes none before Python 3.12
    """A sequence of numbers: an ``array.array`` that rosbags can serialise."""

    @classmethod
    def of(cls, typecode: str, value: Any) -> Self:
        """The numbers in ``value``: bytes-like, a NumPy array, another array or an iterable.

        Raises:
            TypeError: An element is not a number of the right kind.
            OverflowError: An element is out of the type's range.
        """
        if isinstance(value, cls) and value.typecode == typecode:
            return value
        if isinstance(value, (bytes, bytearray, memoryview)) and typecode != "B":
            raise TypeError("bytes fit sequences of uint8 only")
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value, np.dtype(typecode)).ravel().view(np.uint8).data
        if isinstance(value, (bytes, bytearray, memoryview)):
            numbers = cls(typecode)
            numbers.frombytes(value)
            return numbers
        return cls(typecode, value)

    def view(self, _dtype: object) -> memoryview | bytes:
        """The memory of all elements."""
        return memoryview(self).cast("B") if self else b""

    def __copy__(self) -> Self:
        return type(self)(self.typecode, self)

    def __deepcopy__(self, _memo: object) -> Self:
        return self.__copy__()


class Booleans(list[bool]):
    """A sequence of booleans."""

    def view(self, _dtype: object) -> bytes:
        """One byte for each element."""
        return bytes(self)


class Octets(list[bytes]):
    """A sequence of ``byte`` fields; as in rclpy, each is a ``bytes`` of length one."""

    @classmethod
    def split(cls, data: bytes) -> Self:
        """One element for each byte of ``data``."""
        return cls(data[i : i + 1] for i in range(len(data)))

    def view(self, _dtype: object) -> bytes:
        """One byte for each element."""
        return b"".join(self)


def checked_list(value: Iterable[Any], element: type) -> list[Any]:
    """``value`` as a list, if all its elements are of the given class.

    Raises:
        TypeError: It is a string, or an element is something else.
    """
    if isinstance(value, str):
        raise TypeError("a string is not a sequence of elements")
    items = value if isinstance(value, list) else list(value)
    for item in items:
        if not isinstance(item, element):
            raise TypeError(f"{item!r} is not a {element.__name__}")
    return items
