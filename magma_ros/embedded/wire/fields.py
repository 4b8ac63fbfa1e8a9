# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How one field of a message behaves: its default, what it accepts, what it holds.

A message keeps each field in a slot ``_name``, in the form that rosbags serialises. The property
``name`` converts between that form and what rclpy shows to users; mostly they are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc

from magma_ros.embedded.wire.containers import (
    TYPECODES,
    Booleans,
    Numbers,
    Octets,
    checked_list,
)

IDL_NAMES = {"bool": "boolean", "byte": "octet", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Field:
    """One field of a message class.

    Attributes:
        name: The field's name.
        type_name: Its type as ``get_fields_and_field_types`` shows it.
        default: Makes the initial content of the slot.
        accept: Turns what a user assigns into the slot's content, or raises.
        receive: Turns what rosbags deserialised into the slot's content; ``None``: as it is.
        show: Turns the slot's content into what a user reads; ``None``: as it is.
    """

    name: str
    type_name: str
    default: Callable[[], Any]
    accept: Callable[[Any], Any]
    receive: Callable[[Any], Any] | None = None
    show: Callable[[Any], Any] | None = None

    @property
    def slot(self) -> str:
        """The attribute that holds the content."""
        return f"_{self.name}"

    def as_property(self) -> property:
        """The property through which users read and assign the field."""
        slot, accept, show = self.slot, self.accept, self.show

        def get(message: object) -> Any:
            content = getattr(message, slot)
            return content if show is None else show(content)

        def assign(message: object, value: Any) -> None:
            try:
                content = accept(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise AssertionError(
                    f"The {self.name!r} field must be of type {self.type_name!r}: {error}"
                ) from error
            setattr(message, slot, content)

        return property(get, assign)


def make_field(name: str, desc: FieldDesc, nested: Callable[[str], type], default: Any) -> Field:
    """The field that a definition describes.

    Args:
        name: The field's name.
        desc: rosbags' description of its type.
        nested: Gives the class of a message type.
        default: The default value, where the definition has one.
    """
    if desc[0] == Nodetype.BASE:
        return _scalar(name, desc[1][0], default)
    if desc[0] == Nodetype.NAME:
        message = nested(desc[1])
        return Field(name, _short(desc[1]), message, _instance_of(message))
    element, length = desc[1]
    if desc[0] == Nodetype.ARRAY:
        return _array(name, element, length, nested)
    return _sequence(name, element, length, nested)


def _scalar(name: str, base: str, default: Any) -> Field:
    shown = IDL_NAMES.get(base, base)
    if base == "bool":
        return Field(name, shown, lambda: default or False, _instance_of(bool))
    if base == "string":
        return Field(name, shown, lambda: default or "", _instance_of(str))
    if base == "byte":
        return Field(name, shown, lambda: 0, _octet_to_int, show=_int_to_octet)
    if base.startswith("float"):
        return Field(name, shown, lambda: default or 0.0, _instance_of(float))
    return Field(name, shown, lambda: default or 0, _integer(np.iinfo(TYPES[base])))


def _sequence(name: str, element: Any, bound: int, nested: Callable[[str], type]) -> Field:
    kind, base = element[0], element[1]
    suffix = f", {bound}>" if bound else ">"
    if kind == Nodetype.NAME:
        shown, accept = f"sequence<{_short(base)}{suffix}", _list_of(nested(base))
        return Field(name, shown, list, _bounded(accept, bound))
    scalar = base[0]
    shown = f"sequence<{IDL_NAMES.get(scalar, scalar)}{suffix}"
    if scalar == "string":
        return Field(name, shown, list, _bounded(_list_of(str), bound))
    if scalar == "bool":
        accept = _bounded(lambda value: Booleans(checked_list(value, bool)), bound)
        return Field(name, shown, Booleans, accept, lambda numbers: Booleans(numbers.tolist()))
    if scalar == "byte":
        accept = _bounded(_octets, bound)
        return Field(name, shown, Octets, accept, lambda n: Octets.split(n.tobytes()))
    code = TYPECODES[scalar]

    def numbers(value: Any = ()) -> Numbers:
        return Numbers.of(code, value)

    return Field(name, shown, numbers, _bounded(numbers, bound), numbers)


def _array(name: str, element: Any, length: int, nested: Callable[[str], type]) -> Field:
    kind, base = element[0], element[1]
    if kind == Nodetype.NAME:
        message = nested(base)
        accept = _sized(_list_of(message), length)
        shown = f"{_short(base)}[{length}]"
        return Field(name, shown, lambda: [message() for _ in range(length)], accept)
    scalar = base[0]
    shown = f"{IDL_NAMES.get(scalar, scalar)}[{length}]"
    if scalar == "string":
        return Field(name, shown, lambda: [""] * length, _sized(_list_of(str), length))
    dtype = TYPES[scalar]
    accept = _sized(lambda value: np.ascontiguousarray(value, dtype), length)
    return Field(name, shown, lambda: np.zeros(length, dtype), accept, lambda n: n.copy())


TYPES: dict[str, Any] = {base: np.dtype(code) for base, code in TYPECODES.items()} | {
    "bool": np.dtype(bool),
    "byte": np.dtype("b"),
}


def _short(type_name: str) -> str:
    package, _, name = type_name.split("/")
    return f"{package}/{name}"


def _instance_of(expected: type) -> Callable[[Any], Any]:
    def accept(value: Any) -> Any:
        if not isinstance(value, expected):
            raise TypeError(f"got {value!r} of {type(value).__name__}")
        return value

    return accept


def _integer(limits: Any) -> Callable[[Any], int]:
    low, high = int(limits.min), int(limits.max)

    def accept(value: Any) -> int:
        if not isinstance(value, int):
            raise TypeError(f"got {value!r} of {type(value).__name__}")
        if not low <= value <= high:
            raise OverflowError(f"{value} is not between {low} and {high}")
        return value

    return accept


def _octet_to_int(value: Any) -> int:
    if not isinstance(value, (bytes, bytearray)) or len(value) != 1:
        raise TypeError(f"got {value!r}, not a bytes of length one")
    return int.from_bytes(value, "little", signed=True)


def _int_to_octet(content: int) -> bytes:
    return content.to_bytes(1, "little", signed=True)


def _octets(value: Any) -> Octets:
    if isinstance(value, (bytes, bytearray)):
        return Octets.split(bytes(value))
    return Octets(_int_to_octet(_octet_to_int(item)) for item in value)


def _list_of(element: type) -> Callable[[Any], list[Any]]:
    return lambda value: checked_list(value, element)


def _bounded(accept: Callable[[Any], Any], bound: int) -> Callable[[Any], Any]:
    """``accept``, for at most ``bound`` elements; zero means no bound."""
    if not bound:
        return accept

    def limited(value: Any) -> Any:
        content = accept(value)
        if len(content) > bound:
            raise ValueError(f"it has {len(content)} elements, more than {bound}")
        return content

    return limited


def _sized(accept: Callable[[Any], Any], length: int) -> Callable[[Any], Any]:
    def exact(value: Any) -> Any:
        content = accept(value)
        if len(content) != length:
            raise ValueError(f"it has {len(content)} elements, not {length}")
        return content

    return exact
