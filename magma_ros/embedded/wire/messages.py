# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message and service classes, generated from the definitions, that behave as rclpy's do.

Keyword-only constructors with default values, properties that check what is assigned, constants,
equality, and a ``repr`` that shows every field.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np

from magma_ros.embedded.wire.definitions import DEFAULTS, EMPTY_MEMBER, SERVICES, store
from magma_ros.embedded.wire.fields import Field, make_field


class Message:
    """What all message classes share."""

    __slots__ = ()
    __fields__: ClassVar[tuple[Field, ...]] = ()
    __type_name__: ClassVar[str] = ""

    def __init__(self, **kwargs: Any) -> None:
        """Start from the default values and assign the given fields.

        Raises:
            AssertionError: There is no such field, or it cannot hold the value.
        """
        for field in self.__fields__:
            if field.name not in kwargs:
                setattr(self, field.slot, field.default())
        known = type(self).get_fields_and_field_types()
        for name, value in kwargs.items():
            if name not in known:
                raise AssertionError(
                    f"Invalid arguments passed to constructor: {name} is no field of "
                    f"{self.__type_name__} (it has {', '.join(known) or 'none'})"
                )
            setattr(self, name, value)

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """The type of each field, by name, in rosidl's spelling."""
        return {field.name: field.type_name for field in cls.__fields__}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs in (
                (getattr(self, field.slot), getattr(other, field.slot)) for field in self.__fields__
            )
        )

    __hash__ = None  # type: ignore[assignment]  # messages are mutable

    def __repr__(self) -> str:
        values = (getattr(self, field.name) for field in self.__fields__)
        shown = (list(v) if hasattr(v, "view") else v for v in values)
        pairs = (f"{f.name}={value!r}" for f, value in zip(self.__fields__, shown, strict=True))
        return f"{self.__type_name__.replace('/', '.')}({', '.join(pairs)})"


_NAMES: dict[type, str] = {}


@cache
def message_class(name: str) -> type[Message]:
    """The class of a message type such as ``std_msgs/msg/String``.

    Raises:
        KeyError: There is no such definition.
    """
    constants, definition = store().fielddefs[name]
    defaults = DEFAULTS.get(name, {})
    fields = tuple(
        make_field(field, desc, message_class, defaults.get(field))
        for field, desc in definition
        if field != EMPTY_MEMBER
    )
    package, kind, short = name.split("/")
    namespace: dict[str, Any] = {
        "__slots__": tuple(field.slot for field in fields),
        "__module__": f"{package}.{kind}",
        "__doc__": f"The message ``{name}``.",
        "__fields__": fields,
        "__type_name__": name,
        **{field.name: field.as_property() for field in fields},
        **{constant: _constant(base, value) for constant, base, value in constants},
    }
    if not fields:
        namespace[f"_{EMPTY_MEMBER}"] = 0
    made = type(short, (Message,), namespace)
    _NAMES[made] = name
    return made


@cache
def service_class(name: str) -> type:
    """The class of a service type such as ``std_srvs/srv/Trigger``."""
    package, kind, short = name.split("/")
    namespace = {
        "__module__": f"{package}.{kind}",
        "__doc__": f"The service ``{name}``.",
        "Request": message_class(f"{name}_Request"),
        "Response": message_class(f"{name}_Response"),
    }
    made = type(short, (), namespace)
    _NAMES[made] = name
    return made


def names_in(package: str, kind: str) -> list[str]:
    """The names of all types of a package; ``kind`` is ``msg`` or ``srv``."""
    known = store().fielddefs if kind == "msg" else SERVICES
    prefix = f"{package}/{kind}/"
    return sorted(name.removeprefix(prefix) for name in known if name.startswith(prefix))


def type_name(interface: type) -> str:
    """The name, such as ``std_msgs/msg/String``, of a message or service class.

    Raises:
        TypeError: It is no such class.
    """
    try:
        return _NAMES[interface]
    except (KeyError, TypeError):
        raise TypeError(f"{interface!r} is not a message or service class") from None


def decoder(name: str) -> Callable[..., Message]:
    """A function that makes a message from the values of all its fields, as deserialised."""
    made = message_class(name)
    fields = made.__fields__
    steps = [(field.slot, field.receive) for field in fields]

    def decode(*values: Any) -> Message:
        message = made.__new__(made)
        # An empty structure has a value on the wire and no field: nothing to zip it with.
        for (slot, receive), value in zip(steps, values, strict=False):
            setattr(message, slot, value if receive is None else receive(value))
        return message

    return decode


def _constant(base: str, value: Any) -> Any:
    return bytes([value]) if base == "byte" else value
