# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that a command line gives to a node's parameters: ``--params-file`` and ``-p``.

Precedence is rclpy's: what is meant for all nodes (``/**``) is overruled by what is meant for the
node by its full name, wherever either stands; among equals, the later one wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from magma_ros import documents

from .parameter import PARAMETER_SEPARATOR_STRING, Parameter

_FILE_FLAGS = {"--params-file"}
_VALUE_FLAGS = {"-p", "--param"}
_EVERY_NODE = "/**"


class ParameterOverrideError(RuntimeError):
    """A parameter file or a ``-p`` rule cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class _Override:
    """A value, and the pattern of the nodes it is meant for."""

    nodes: str
    name: str
    value: Any


def parameter_overrides(ros_arguments: Sequence[str], node: str) -> dict[str, Parameter]:
    """The parameters that a command line sets for one node.

    Args:
        ros_arguments: The words between ``--ros-args`` and ``--``.
        node: Fully qualified name of the node.

    Raises:
        ParameterOverrideError: A file is missing or malformed, or a value has no legal type.
    """
    matching = [o for o in _all_overrides(ros_arguments) if _matches(o.nodes, node)]
    matching.sort(key=lambda override: override.nodes == node)
    return {override.name: _parameter(override) for override in matching}


def _all_overrides(words: Sequence[str]) -> Iterator[_Override]:
    for flag, argument in pairwise(words):
        if flag in _FILE_FLAGS:
            yield from _from_file(Path(argument))
        elif flag in _VALUE_FLAGS:
            yield from _from_rule(argument)


def _from_rule(rule: str) -> Iterator[_Override]:
    """Read ``[node:]name:=value``."""
    target, sign, text = rule.partition(":=")
    nodes, colon, name = target.rpartition(":")
    if not (sign and name):
        raise ParameterOverrideError(f"'{rule}' is not a parameter; write it as name:=value")
    try:
        value = documents.parse_yaml(text, loader=_Loader)
    except documents.DocumentError as error:
        raise ParameterOverrideError(f"the value in '{rule}' is not valid YAML: {error}") from error
    yield from _flatten(_absolute(nodes) if colon else _EVERY_NODE, name, value)


def _from_file(path: Path) -> Iterator[_Override]:
    try:
        document = documents.read_yaml(path, loader=_Loader)
    except documents.DocumentError as error:
        raise ParameterOverrideError(f"parameter file {error}") from error
    try:
        yield from _from_nodes("", document)
    except ParameterOverrideError as error:
        raise ParameterOverrideError(f"parameter file {path}: {error}") from error


def _from_nodes(prefix: str, tree: object) -> Iterator[_Override]:
    """Walk down through namespaces to ``ros__parameters``."""
    if not isinstance(tree, dict) or not tree:
        raise ParameterOverrideError(f"'{prefix or 'the file'}' holds no ros__parameters")
    for key, below in tree.items():
        if key != "ros__parameters":
            yield from _from_nodes(f"{prefix.rstrip('/')}/{str(key).lstrip('/')}", below)
        elif isinstance(below, dict) and prefix:
            for name, value in below.items():
                yield from _flatten(prefix, str(name), value)
        else:
            raise ParameterOverrideError("ros__parameters must stand below a node's name")


def _flatten(nodes: str, name: str, value: object) -> Iterator[_Override]:
    """Join the names of nested groups with dots."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flatten(nodes, f"{name}{PARAMETER_SEPARATOR_STRING}{key}", below)
    else:
        yield _Override(nodes, name, value)


def _parameter(override: _Override) -> Parameter:
    try:
        return Parameter(override.name, value=override.value)
    except TypeError as error:
        raise ParameterOverrideError(
            f"parameter '{override.name}' cannot be {override.value!r}; "
            "it must be a bool, a number, text, or a list of one of these"
        ) from error


def _matches(pattern: str, node: str) -> bool:
    """True if a pattern, in which ``*`` is one name and ``**`` any number, fits a node."""
    escaped = re.escape(pattern).replace(r"/\*\*", r"(/\w+)*").replace(r"\*", r"\w+")
    return re.fullmatch(escaped, node) is not None


def _absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


class _Loader(documents.Loader):
    """Reads numbers like ROS 2: ``1e-3`` is one, though YAML 1.1 wants a dot in it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
