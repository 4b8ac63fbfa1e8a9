# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rclpy's exceptions."""

from typing import Any


class NotInitializedException(Exception):
    """``rclpy.init()`` was not called, or the context was shut down."""

    def __init__(self, *args: object) -> None:
        """Say what to do, unless the caller says more."""
        super().__init__(*(args or ("rclpy.init() has not been called or rclpy was shut down",)))


class NameValidationException(Exception):
    """A name breaks the naming rules of ROS."""

    def __init__(self, name_type: str, name: str, error_msg: str, invalid_index: int = 0) -> None:
        """Tell which kind of name it is, and what is wrong with it."""
        super().__init__(f"Invalid {name_type}: {error_msg}: {name!r}")
        self.name_type = name_type
        self.name = name
        self.error_msg = error_msg
        self.invalid_index = invalid_index


class InvalidNamespaceException(NameValidationException):
    """A namespace is not valid."""

    def __init__(self, name: str, error_msg: str, invalid_index: int = 0) -> None:
        """Tell what is wrong."""
        super().__init__("namespace", name, error_msg, invalid_index)


class InvalidNodeNameException(NameValidationException):
    """A node's name is not valid."""

    def __init__(self, name: str, error_msg: str, invalid_index: int = 0) -> None:
        """Tell what is wrong."""
        super().__init__("node name", name, error_msg, invalid_index)


class InvalidTopicNameException(NameValidationException):
    """A topic's name is not valid."""

    def __init__(self, name: str, error_msg: str, invalid_index: int = 0) -> None:
        """Tell what is wrong."""
        super().__init__("topic name", name, error_msg, invalid_index)


class InvalidServiceNameException(NameValidationException):
    """A service's name is not valid."""

    def __init__(self, name: str, error_msg: str, invalid_index: int = 0) -> None:
        """Tell what is wrong."""
        super().__init__("service name", name, error_msg, invalid_index)


class ParameterException(Exception):
    """Base of all errors about parameters."""

    def __init__(self, error_msg: str, parameters: object, *args: object) -> None:
        """Tell what is wrong with which parameters."""
        super().__init__(f"{error_msg}: {parameters}", *args)


class ParameterNotDeclaredException(ParameterException):
    """A parameter was used before it was declared."""

    def __init__(self, parameters: object, *args: object) -> None:
        """Name the parameters."""
        super().__init__("Invalid access to undeclared parameter(s)", parameters, *args)


class ParameterAlreadyDeclaredException(ParameterException):
    """A parameter was declared twice."""

    def __init__(self, parameters: object, *args: object) -> None:
        """Name the parameters."""
        super().__init__("Parameter(s) already declared", parameters, *args)


class InvalidParameterException(ParameterException):
    """A parameter's name is not valid."""

    def __init__(self, parameter: object, *args: object) -> None:
        """Name the parameter."""
        super().__init__("Invalid parameter name", parameter, *args)


class InvalidParameterTypeException(ParameterException):
    """A value is not of the type with which the parameter was declared."""

    def __init__(self, desired_parameter: Any, expected_parameter_type: Any) -> None:
        """Name the parameter and both types."""
        super().__init__(
            f"Trying to set parameter {desired_parameter.name!r} to "
            f"{desired_parameter.value!r} of type {desired_parameter.type_.name}, "
            f"expecting type {expected_parameter_type}",
            desired_parameter.name,
        )


class InvalidParameterValueException(ParameterException):
    """A value was refused."""

    def __init__(self, parameter: object, value: object, reason: str = "") -> None:
        """Name the parameter, the value and the reason."""
        because = f"; {reason}" if reason else ""
        super().__init__(f"Invalid parameter value ({value}) for parameter{because}", parameter)


class ParameterImmutableException(ParameterException):
    """A read-only parameter was to be changed."""

    def __init__(self, parameter: object, *args: object) -> None:
        """Name the parameter."""
        super().__init__("Attempted to modify read-only parameter", parameter, *args)


class ParameterUninitializedException(ParameterException):
    """A parameter that has no value was read."""

    def __init__(self, parameter: object, *args: object) -> None:
        """Name the parameter."""
        super().__init__("The parameter is not initialized", parameter, *args)
