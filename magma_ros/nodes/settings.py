# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node parameters, each declared once with unit, range and meaning."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from magma_ros.types import MagmaError

Value = bool | int | float | str | list[float] | list[str]

Kind = type | Any
"""``bool``, ``int``, ``float``, ``str``, ``list[float]`` or ``list[str]``."""

_ROS_TYPES: Mapping[Kind, Parameter.Type] = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    list[float]: Parameter.Type.DOUBLE_ARRAY,
    list[str]: Parameter.Type.STRING_ARRAY,
}

_KIND_NAMES: Mapping[Kind, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    list[float]: "a list of finite numbers",
    list[str]: "a list of texts",
}

_BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Parameters that rclpy itself declares, or the beginning of their names."""


class SettingError(MagmaError):
    """A parameter's value cannot be used, or is missing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of a node.

    Attributes:
        name: Name, with dots for groups (``limits.linear_speed``).
        default: Value without a parameter file; its type is the parameter's type. A type (such as
            ``float`` or ``list[float]``) instead of a value means that the parameter has no
            default: a node does not configure before it is given.
        description: Meaning, with the unit in brackets.
        low: Smallest legal number, or None.
        high: Largest legal number, or None.
        choices: Legal strings, or empty for any.
        live: Whether it may change while the node runs.
    """

    name: str
    default: Value | Kind
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default in _ROS_TYPES if not isinstance(self.default, list) else False

    @property
    def kind(self) -> Kind:
        """The type of its values."""
        if self.required:
            return self.default
        if isinstance(self.default, list):
            return list[str] if self.default and isinstance(self.default[0], str) else list[float]
        return type(self.default)

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor; a list's range is checked by the room that uses the list."""
        descriptor = ParameterDescriptor(description=self.description, read_only=not self.live)
        if self.choices:
            descriptor.additional_constraints = "one of: " + ", ".join(self.choices)
        if self.low is None or self.high is None:
            return descriptor
        if self.kind is int:
            bounds = IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0)
            descriptor.integer_range = [bounds]
        elif self.kind is float:
            span = FloatingPointRange(
                from_value=float(self.low), to_value=float(self.high), step=0.0
            )
            descriptor.floating_point_range = [span]
        return descriptor

    def checked(self, value: object) -> Any:
        """``value`` as the parameter's type; a whole number is a legal value of a real one.

        Raises:
            SettingError: It is of another type, not finite, out of range, or none of the choices.
        """
        result = _converted(value, self.kind)
        if result is None:
            raise SettingError(
                f"parameter {self.name} is {value!r}, but must be {_KIND_NAMES[self.kind]}"
            )
        if self.choices and result not in self.choices:
            raise SettingError(
                f"parameter {self.name} is {value!r}, but must be one of: "
                + ", ".join(self.choices)
            )
        if self.low is not None and self.high is not None and self.kind in (int, float):
            slack = 1e-6 * max(abs(self.low), abs(self.high)) if self.kind is float else 0.0
            if not self.low - slack <= result <= self.high + slack:
                raise SettingError(
                    f"parameter {self.name} is {value!r}, but must lie between {self.low:g} and "
                    f"{self.high:g}: {self.description}"
                )
        return result


class Settings:
    """The declared parameters of one node, read by name.

    Attributes:
        missing: Names of required parameters that were not given.
    """

    def __init__(
        self, node: Node, settings: Iterable[Setting], foreign: Collection[str] = ()
    ) -> None:
        """Declare ``settings`` on ``node``.

        The node must have been made with ``automatically_declare_parameters_from_overrides``, so
        that values given for names it does not have can be named in the log.

        Args:
            node: Node to declare on.
            settings: Its parameters.
            foreign: Names that are given to this node as well, though only others use them.

        Raises:
            SettingError: A value given cannot be used.
        """
        self._node = node
        self._settings = {s.name: s for s in settings}
        self.missing: list[str] = []
        for setting in self._settings.values():
            self._declare(setting)
        self._name_unknown({*self._settings, *foreign})
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        """The current value of parameter ``name``."""
        return self._node.get_parameter(name).value

    def group(self, prefix: str) -> dict[str, Any]:
        """All values below ``prefix.``, by the rest of their name."""
        start = prefix + "."
        return {n.removeprefix(start): self[n] for n in self._settings if n.startswith(start)}

    def require(self) -> None:
        """Check that nothing required is missing.

        Raises:
            SettingError: Something is.
        """
        if self.missing:
            raise SettingError(
                f"{self._node.get_name()} cannot be configured without the parameters "
                f"{', '.join(self.missing)}: give the robot's file with robot_file:=FILE or "
                "--params-file FILE (config/robots/ holds examples)"
            )

    def _declare(self, setting: Setting) -> None:
        node, name = self._node, setting.name
        if node.has_parameter(name):  # given by a file or the command line, of any type
            value = setting.checked(node.get_parameter(name).value)
            node.undeclare_parameter(name)
        elif setting.required:
            self.missing.append(name)
            node.declare_parameter(name, _ROS_TYPES[setting.kind], setting.descriptor())
            return
        else:
            value = setting.default
        node.declare_parameter(name, value, setting.descriptor(), ignore_override=True)

    def _name_unknown(self, known: Collection[str]) -> None:
        for name in self._node.get_parameters_by_prefix(""):
            if name in known or name.startswith(_BUILT_IN):
                continue
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self._node.get_logger().warning(
                f"parameter {name} is given but does not exist, so it has no effect{hint}"
            )
            self._node.undeclare_parameter(name)

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        try:
            for parameter in parameters:
                if (setting := self._settings.get(parameter.name)) is not None:
                    setting.checked(parameter.value)
        except SettingError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _converted(value: object, kind: Kind) -> Any:
    """``value`` as ``kind``, or None if it cannot be that."""
    if kind in (list[float], list[str]):
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            return None
        element = float if kind == list[float] else str
        parts = [_converted(part, element) for part in value]
        return None if None in parts else parts
    if kind is float:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if real and math.isfinite(value) else None  # type: ignore[arg-type]
    if kind is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    return value if isinstance(value, kind) else None
