# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A parameter: a name, a type and a value, as in ``rclpy.parameter``."""

from __future__ import annotations

from array import array
from enum import Enum
from typing import Any

from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue

PARAMETER_SEPARATOR_STRING = "."

_ELEMENTS = {
    ParameterType.PARAMETER_BYTE_ARRAY: bytes,
    ParameterType.PARAMETER_BOOL_ARRAY: bool,
    ParameterType.PARAMETER_INTEGER_ARRAY: int,
    ParameterType.PARAMETER_DOUBLE_ARRAY: float,
    ParameterType.PARAMETER_STRING_ARRAY: str,
}
_SCALARS = {
    ParameterType.PARAMETER_BOOL: bool,
    ParameterType.PARAMETER_INTEGER: int,
    ParameterType.PARAMETER_DOUBLE: float,
    ParameterType.PARAMETER_STRING: str,
}


class Parameter:
    """A named value of one of the types that ROS 2 parameters may have."""

    class Type(Enum):
        """The types of ``rcl_interfaces/msg/ParameterType``."""

        NOT_SET = ParameterType.PARAMETER_NOT_SET
        BOOL = ParameterType.PARAMETER_BOOL
        INTEGER = ParameterType.PARAMETER_INTEGER
        DOUBLE = ParameterType.PARAMETER_DOUBLE
        STRING = ParameterType.PARAMETER_STRING
        BYTE_ARRAY = ParameterType.PARAMETER_BYTE_ARRAY
        BOOL_ARRAY = ParameterType.PARAMETER_BOOL_ARRAY
        INTEGER_ARRAY = ParameterType.PARAMETER_INTEGER_ARRAY
        DOUBLE_ARRAY = ParameterType.PARAMETER_DOUBLE_ARRAY
        STRING_ARRAY = ParameterType.PARAMETER_STRING_ARRAY

        @classmethod
        def from_parameter_value(cls, parameter_value: object) -> Parameter.Type:
            """The type of a Python value.

            Raises:
                TypeError: No parameter can have this value.
            """
            for type_ in cls:
                if type_.check(parameter_value):
                    return type_
            raise TypeError(f"{parameter_value!r} is not a value that a parameter can have")

        def check(self, parameter_value: object) -> bool:
            """True if the value is of this type."""
            if self is Parameter.Type.NOT_SET:
                return parameter_value is None
            if self.value in _SCALARS:
                return _is(parameter_value, _SCALARS[self.value])
            element = _ELEMENTS[self.value]
            return isinstance(parameter_value, list | tuple | array) and all(
                _is(item, element) for item in parameter_value
            )

        @property
        def field(self) -> str:
            """The field of ``rcl_interfaces/msg/ParameterValue`` that holds such a value."""
            return f"{self.name.lower()}_value"

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        """Make a parameter; without a type, the value tells it.

        Raises:
            TypeError: No parameter can have this value.
            ValueError: The value is not of the given type.
        """
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not type_.check(value):
            raise ValueError(f"{value!r} is not of the type {type_.name}")
        self._name = name
        self._type = type_
        self._value = value

    @classmethod
    def from_parameter_msg(cls, param_msg: ParameterMsg) -> Parameter:
        """The parameter that a message describes.

        Raises:
            ValueError: The message names no known type.
        """
        type_ = Parameter.Type(param_msg.value.type)
        return cls(param_msg.name, type_, parameter_value_to_python(param_msg.value))

    @property
    def name(self) -> str:
        """The full name, with dots between its groups."""
        return self._name

    @property
    def type_(self) -> Parameter.Type:
        """The type."""
        return self._type

    @property
    def value(self) -> Any:
        """The value; None if it is not set."""
        return self._value

    def get_parameter_value(self) -> ParameterValue:
        """The value as a message."""
        message = ParameterValue(type=self._type.value)
        if self._type is not Parameter.Type.NOT_SET:
            setattr(message, self._type.field, self._value)
        return message

    def to_parameter_msg(self) -> ParameterMsg:
        """The parameter as a message."""
        return ParameterMsg(name=self._name, value=self.get_parameter_value())

    def __repr__(self) -> str:
        return f"Parameter({self._name!r}, {self._type}, {self._value!r})"


def parameter_value_to_python(parameter_value: ParameterValue) -> Any:
    """The value in a message, or None if it holds none.

    Raises:
        ValueError: The message names no known type.
    """
    type_ = Parameter.Type(parameter_value.type)
    if type_ is Parameter.Type.NOT_SET:
        return None
    value = getattr(parameter_value, type_.field)
    return list(value) if type_.value in _ELEMENTS else value


def _is(value: object, kind: type) -> bool:
    """Like isinstance, but a bool is no int."""
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
