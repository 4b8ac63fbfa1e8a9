# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node parameters, each declared once with unit, range and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

Value = bool | int | float | str | list[float] | list[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of a node.

    Attributes:
        name: Name, with dots for groups (``limits.linear_velocity``).
        default: Value without a parameter file; its type is the parameter's type.
        description: Meaning, with the unit in brackets.
        low: Smallest legal number, or None.
        high: Largest legal number, or None.
        choices: Legal strings, or empty for any.
        live: Whether it may change while the node runs.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor; a list's range is checked by the room that uses the list."""
        descriptor = ParameterDescriptor(description=self.description, read_only=not self.live)
        if self.choices:
            descriptor.additional_constraints = "one of: " + ", ".join(self.choices)
        if self.low is None or self.high is None:
            return descriptor
        if isinstance(self.default, int):
            bounds = IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0)
            descriptor.integer_range = [bounds]
        elif isinstance(self.default, float):
            span = FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)
            descriptor.floating_point_range = [span]
        return descriptor


class Settings:
    """The declared parameters of one node, read by name."""

    def __init__(self, node: Node, settings: Iterable[Setting]) -> None:
        """Declare ``settings`` on ``node`` and refuse values outside their choices."""
        settings = tuple(settings)
        self._node = node
        self._names = tuple(s.name for s in settings)
        self._choices = {s.name: s.choices for s in settings if s.choices}
        for setting in settings:
            node.declare_parameter(setting.name, setting.default, setting.descriptor())
        self._refuse_unknown_choices()
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        """The current value of parameter ``name``."""
        return self._node.get_parameter(name).value

    def group(self, prefix: str) -> dict[str, Any]:
        """All values below ``prefix.``, by the rest of their name."""
        start = prefix + "."
        return {n.removeprefix(start): self[n] for n in self._names if n.startswith(start)}

    def _refuse_unknown_choices(self) -> None:
        parameters = [self._node.get_parameter(name) for name in self._choices]
        if not (result := self._on_set(parameters)).successful:
            raise ValueError(result.reason)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            choices = self._choices.get(parameter.name, ())
            if choices and parameter.value not in choices:
                reason = (
                    f"{parameter.name} is {parameter.value!r}, but must be one of: "
                    + ", ".join(choices)
                )
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)
