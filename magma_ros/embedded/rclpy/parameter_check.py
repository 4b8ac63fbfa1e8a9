# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a value agrees with what was declared about its parameter: type, range, read-only."""

from __future__ import annotations

import math
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from .parameter import Parameter

_RELATIVE_TOLERANCE = 1e-6
"""rclpy's tolerance for floating-point ranges and steps."""


def type_refusal(parameter: Parameter, descriptor: ParameterDescriptor) -> str | None:
    """Why the type of a value is wrong, or None if it is right."""
    if descriptor.dynamic_typing or parameter.type_.value == descriptor.type:
        return None
    expected = Parameter.Type(descriptor.type).name
    return f"Wrong parameter type, expected '{expected}' got '{parameter.type_.name}'"


def range_refusal(parameter: Parameter, descriptor: ParameterDescriptor) -> str | None:
    """Why a number is out of the declared range or off its steps, or None if it is not."""
    if parameter.type_ is Parameter.Type.INTEGER and descriptor.integer_range:
        return _integer_refusal(parameter, descriptor.integer_range[0])
    if parameter.type_ is Parameter.Type.DOUBLE and descriptor.floating_point_range:
        return _double_refusal(parameter, descriptor.floating_point_range[0])
    return None


def set_refusal(parameter: Parameter, descriptor: ParameterDescriptor) -> str | None:
    """Why a declared parameter may not be set to this value, or None if it may."""
    if descriptor.read_only:
        return f"Trying to set a read-only parameter: {parameter.name}"
    return type_refusal(parameter, descriptor) or range_refusal(parameter, descriptor)


def _integer_refusal(parameter: Parameter, allowed: IntegerRange) -> str | None:
    low, high = sorted((allowed.from_value, allowed.to_value))
    value = parameter.value
    if not low <= value <= high:
        return _out_of_range(parameter, low, high)
    if value != high and allowed.step and (value - low) % allowed.step:
        return _off_step(parameter, low, allowed.step)
    return None


def _double_refusal(parameter: Parameter, allowed: FloatingPointRange) -> str | None:
    low, high = sorted((allowed.from_value, allowed.to_value))
    value = parameter.value
    if _close(value, low) or _close(value, high):
        return None
    if not low < value < high:
        return _out_of_range(parameter, low, high)
    if allowed.step and not _close(low + round((value - low) / allowed.step) * allowed.step, value):
        return _off_step(parameter, low, allowed.step)
    return None


def _close(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=_RELATIVE_TOLERANCE)


def _out_of_range(parameter: Parameter, low: Any, high: Any) -> str:
    return (
        f"Parameter {parameter.name} out of range. "
        f"Min: {low}, Max: {high}, value: {parameter.value}"
    )


def _off_step(parameter: Parameter, low: Any, step: Any) -> str:
    return (
        f"The parameter value for {parameter.name} is not a valid step. "
        f"Min: {low}, value: {parameter.value}, step: {step}"
    )
