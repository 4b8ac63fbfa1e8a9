# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The half of ``rclpy.node.Node`` that is about parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from rcl_interfaces.msg import (
    ListParametersResult,
    ParameterDescriptor,
    ParameterEvent,
    SetParametersResult,
)

from .exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from .parameter import PARAMETER_SEPARATOR_STRING, Parameter
from .parameter_check import range_refusal, set_refusal, type_refusal
from .parameter_service import ParameterService
from .qos import qos_profile_parameter_events

PreSetCallback = Callable[[list[Parameter]], list[Parameter]]
OnSetCallback = Callable[[list[Parameter]], SetParametersResult]
PostSetCallback = Callable[[list[Parameter]], None]


class ParameterMixin:
    """Declares, checks, sets and announces parameters, as ``rclpy.node.Node`` does.

    Deviations from rclpy: a descriptor handed in is copied, never changed; declaring by name
    alone, which rclpy deprecates, is an error; ``ignore_override`` is given by name.
    """

    # What the node supplies.
    create_publisher: Callable[..., Any]
    get_clock: Callable[[], Any]
    get_fully_qualified_name: Callable[[], str]

    def _init_parameters(
        self,
        overrides: Mapping[str, Parameter],
        *,
        allow_undeclared: bool,
        start_services: bool,
    ) -> None:
        """Begin; to be called once names, clock and publishers work.

        Args:
            overrides: Values that outrank the defaults of declarations.
            allow_undeclared: Whether parameters may be set without having been declared.
            start_services: Whether other nodes can reach the parameters.
        """
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, ParameterDescriptor] = {}
        self._parameter_overrides = dict(overrides)
        self._allow_undeclared_parameters = allow_undeclared
        self._pre_set_parameters_callbacks: list[PreSetCallback] = []
        self._on_set_parameters_callbacks: list[OnSetCallback] = []
        self._post_set_parameters_callbacks: list[PostSetCallback] = []
        self._parameter_event_publisher = self.create_publisher(
            ParameterEvent, "/parameter_events", qos_profile_parameter_events
        )
        self._parameter_service = ParameterService(self) if start_services else None

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: ParameterDescriptor | None = None,
        *,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declare a parameter and give it its first value: an override, or else ``value``.

        Args:
            name: Full name, with dots between its groups.
            value: Default value, or a :class:`Parameter.Type` for a parameter without one.
            descriptor: Description, range, read-only; its name and type are found out here.
            ignore_override: Take ``value`` whatever the command line says.

        Raises:
            ParameterAlreadyDeclaredException: The name is taken.
            InvalidParameterException: The name is empty.
            InvalidParameterTypeException: An override has another type than the default.
            InvalidParameterValueException: The value is out of range, or a callback refuses it.
        """
        descriptor = ParameterDescriptor() if descriptor is None else descriptor
        entry = (name, value, descriptor)
        return self.declare_parameters("", [entry], ignore_override=ignore_override)[0]

    def declare_parameters(
        self,
        namespace: str,
        parameters: Iterable[tuple[Any, ...]],
        *,
        ignore_override: bool = False,
    ) -> list[Parameter]:
        """Declare several; each is ``(name, value)`` or ``(name, value, descriptor)``.

        Raises:
            ParameterAlreadyDeclaredException: A name is taken; nothing has been declared then.
        """
        prefix = f"{namespace}{PARAMETER_SEPARATOR_STRING}" if namespace else ""
        declarations = [(f"{prefix}{name}", *rest) for name, *rest in parameters]
        taken = [name for name, *_ in declarations if name in self._parameters]
        if taken:
            raise ParameterAlreadyDeclaredException(taken)
        return [
            self._declare(name, *rest, ignore_override=ignore_override)
            for name, *rest in declarations
        ]

    def _declare(
        self,
        name: str,
        default: Any,
        descriptor: ParameterDescriptor | None = None,
        *,
        ignore_override: bool,
    ) -> Parameter:
        if not name:
            raise InvalidParameterException(name)
        descriptor = deepcopy(descriptor) if descriptor is not None else ParameterDescriptor()
        descriptor.name = name
        without_value = isinstance(default, Parameter.Type)
        type_ = default if without_value else Parameter.Type.from_parameter_value(default)
        if type_ is Parameter.Type.NOT_SET and not descriptor.dynamic_typing:
            raise ValueError(
                f"parameter '{name}' needs a default value, a type, or dynamic_typing=True"
            )
        descriptor.type = type_.value
        value = None if without_value else default
        if name in self._parameter_overrides and not ignore_override:
            value = self._parameter_overrides[name].value
        parameter = Parameter(name, value=value)
        if parameter.type_ is not Parameter.Type.NOT_SET:
            if type_refusal(parameter, descriptor):
                raise InvalidParameterTypeException(parameter, type_.name)
            if reason := range_refusal(parameter, descriptor) or self._objection([parameter]):
                raise InvalidParameterValueException(name, value, reason)
        self._store([parameter], {name: descriptor})
        return self._parameters[name]

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter.

        Raises:
            ParameterNotDeclaredException: There is no such parameter.
            ParameterImmutableException: It is read-only.
        """
        if not self.has_parameter(name):
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name]
        del self._descriptors[name]

    def has_parameter(self, name: str) -> bool:
        """True if the parameter is declared."""
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        """A parameter by its full name.

        Raises:
            ParameterNotDeclaredException: There is no such parameter.
            ParameterUninitializedException: It was declared without a value and has none yet.
        """
        if not self.has_parameter(name):
            if self._allow_undeclared_parameters:
                return Parameter(name)
            raise ParameterNotDeclaredException(name)
        parameter = self._parameters[name]
        is_set = parameter.type_ is not Parameter.Type.NOT_SET
        if not (is_set or self._descriptors[name].dynamic_typing):
            raise ParameterUninitializedException(name)
        return parameter

    def get_parameters(self, names: Iterable[str]) -> list[Parameter]:
        """Several parameters; raises what :meth:`get_parameter` does."""
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """A parameter, or the alternative if it is not declared or has no value."""
        parameter = self._parameters.get(name)
        if parameter is None or parameter.type_ is Parameter.Type.NOT_SET:
            return alternative_value or Parameter(name)
        return parameter

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """All parameters of a group, by their names within it; '' is every parameter."""
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        return {
            name.removeprefix(start): parameter
            for name, parameter in self._parameters.items()
            if name.startswith(start)
        }

    def get_parameter_type(self, name: str) -> int:
        """The type of a parameter, a constant of ``rcl_interfaces/msg/ParameterType``.

        Raises:
            ParameterNotDeclaredException: There is no such parameter.
        """
        if self.has_parameter(name):
            return int(self._parameters[name].type_.value)
        if self._allow_undeclared_parameters:
            return int(Parameter.Type.NOT_SET.value)
        raise ParameterNotDeclaredException(name)

    def get_parameter_types(self, names: Iterable[str]) -> list[int]:
        """The types of several parameters; raises what :meth:`get_parameter_type` does."""
        return [self.get_parameter_type(name) for name in names]

    def describe_parameter(self, name: str) -> ParameterDescriptor:
        """What was declared about a parameter.

        Raises:
            ParameterNotDeclaredException: There is no such parameter.
        """
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: Iterable[str]) -> list[ParameterDescriptor]:
        """What was declared about several; raises what :meth:`describe_parameter` does."""
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: Sequence[str], depth: int) -> ListParametersResult:
        """The names of parameters, and of the groups they are in.

        Args:
            prefixes: Groups or names to look into; none means everywhere.
            depth: How many levels down to look; 0 means all.

        Raises:
            ValueError: The depth is negative.
        """
        if depth < 0:
            raise ValueError("the depth must not be negative")
        names = [
            name
            for name in self._parameters
            if any(_is_within(name, prefix, depth) for prefix in prefixes or [""])
        ]
        groups = [name.rpartition(PARAMETER_SEPARATOR_STRING)[0] for name in names]
        return ListParametersResult(names=names, prefixes=[*dict.fromkeys(filter(None, groups))])

    def set_parameters(self, parameter_list: Iterable[Parameter]) -> list[SetParametersResult]:
        """Set parameters one after the other; each has its own result.

        Raises:
            ParameterNotDeclaredException: One is not declared; those before it have been set.
        """
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all of these parameters or none.

        The callbacks are asked in this order: pre-set may change the list, on-set may refuse it,
        post-set is told what has been set.

        Raises:
            ParameterNotDeclaredException: One is not declared.
        """
        for change in self._pre_set_parameters_callbacks:
            parameter_list = change(parameter_list)
        undeclared = [p.name for p in parameter_list if not self.has_parameter(p.name)]
        if undeclared and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(undeclared)
        descriptors = {
            name: ParameterDescriptor(name=name, dynamic_typing=True) for name in undeclared
        }
        for parameter in parameter_list:
            descriptor = descriptors.get(parameter.name) or self._descriptors[parameter.name]
            if reason := set_refusal(parameter, descriptor):
                return SetParametersResult(successful=False, reason=reason)
        if reason := self._objection(parameter_list):
            return SetParametersResult(successful=False, reason=reason)
        self._store(parameter_list, descriptors)
        return SetParametersResult(successful=True)

    def _objection(self, parameters: list[Parameter]) -> str | None:
        """What the first callback that refuses says, or None if all agree."""
        for callback in self._on_set_parameters_callbacks:
            result = callback(parameters)
            if not result.successful:
                return result.reason or "refused without a reason"
        return None

    def _store(
        self, parameters: list[Parameter], descriptors: Mapping[str, ParameterDescriptor]
    ) -> None:
        """Keep new values, and tell the network and the callbacks about them."""
        event = ParameterEvent(
            stamp=self.get_clock().now().to_msg(), node=self.get_fully_qualified_name()
        )
        self._descriptors.update(descriptors)
        for parameter in parameters:
            name, is_set = parameter.name, parameter.type_ is not Parameter.Type.NOT_SET
            if name in self._parameters and not is_set:
                event.deleted_parameters.append(parameter.to_parameter_msg())
                del self._parameters[name], self._descriptors[name]
                continue
            had_value = self.get_parameter_or(name).type_ is not Parameter.Type.NOT_SET
            kind = event.changed_parameters if had_value else event.new_parameters
            kind.append(parameter.to_parameter_msg())
            self._parameters[name] = parameter
            if self._descriptors[name].dynamic_typing:
                self._descriptors[name].type = parameter.type_.value
        self._parameter_event_publisher.publish(event)
        for callback in self._post_set_parameters_callbacks:
            callback(parameters)

    def add_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        """Call this first when parameters are set; it returns the list that is to be set."""
        self._pre_set_parameters_callbacks.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        """Ask this before parameters are declared or set; it may refuse, with a reason."""
        self._on_set_parameters_callbacks.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        """Tell this what has been declared or set."""
        self._post_set_parameters_callbacks.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        """Call it no more; raises ValueError if it was not added."""
        self._pre_set_parameters_callbacks.remove(callback)

    def remove_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        """Ask it no more; raises ValueError if it was not added."""
        self._on_set_parameters_callbacks.remove(callback)

    def remove_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        """Tell it no more; raises ValueError if it was not added."""
        self._post_set_parameters_callbacks.remove(callback)


def _is_within(name: str, prefix: str, depth: int) -> bool:
    """True if a name is in a group ('' for the root), at most ``depth`` levels down (0: any)."""
    start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
    if name == prefix:
        return True
    below = name.removeprefix(start)
    levels = below.count(PARAMETER_SEPARATOR_STRING) + 1
    return name.startswith(start) and (depth == 0 or levels <= depth)
