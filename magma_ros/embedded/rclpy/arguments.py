# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What follows ``--ros-args`` on a command line: remapping rules, log levels, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from magma_ros.embedded.wire import names

_REMAP_FLAGS = {"-r", "--remap"}
_FLAGS_WITH_VALUE = {"-p", "--param", "--params-file", "--log-level", "-e", "--enclave"}
_FLAGS = {"--enable-rosout-logs", "--disable-rosout-logs", "--enable-stdout-logs"}


class UnknownROSArgsError(RuntimeError):
    """A word after ``--ros-args`` is not understood."""


@dataclass(frozen=True)
class RemapRule:
    """``[node:]match:=replacement``.

    Attributes:
        node: Name of the only node that the rule is for; empty for all.
        match: A topic's or service's name, ``__node`` (or ``__name``) or ``__ns``.
        replacement: What to put in its place.
    """

    node: str
    match: str
    replacement: str

    @classmethod
    def parse(cls, text: str) -> RemapRule:
        """Read a rule.

        Raises:
            UnknownROSArgsError: It is not a rule.
        """
        left, assign, replacement = text.partition(":=")
        node, _, match = left.rpartition(":")
        if not (assign and match and replacement):
            raise UnknownROSArgsError(f"{text!r} is not a remapping rule; write it as from:=to")
        return cls(node, match, replacement)


@dataclass(frozen=True)
class Arguments:
    """The ROS arguments of a command line.

    Attributes:
        ros_arguments: The words between ``--ros-args`` and ``--``, in their order.
        other_arguments: All other words, in their order.
        remaps: Remapping rules, in their order.
        log_levels: Names of levels by logger; the empty name is the default level.
        rosout: Whether logs go to ``/rosout`` too.
    """

    ros_arguments: list[str] = field(default_factory=list)
    other_arguments: list[str] = field(default_factory=list)
    remaps: list[RemapRule] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    rosout: bool = True

    @classmethod
    def parse(cls, words: Sequence[str]) -> Arguments:
        """Split a command line.

        Raises:
            UnknownROSArgsError: A ROS argument is unknown or lacks its value.
        """
        ros, other = _split(words)
        remaps, levels = [], {}
        rest = iter(ros)
        for word in rest:
            if word in _FLAGS:
                continue
            if word not in _REMAP_FLAGS | _FLAGS_WITH_VALUE:
                raise UnknownROSArgsError(f"unknown ROS argument {word!r}")
            value = next(rest, None)
            if value is None:
                raise UnknownROSArgsError(f"the ROS argument {word!r} lacks its value")
            if word in _REMAP_FLAGS:
                remaps.append(RemapRule.parse(value))
            elif word == "--log-level":
                logger, _, level = value.rpartition(":=")
                levels[logger] = level
        return cls(ros, other, remaps, levels, "--disable-rosout-logs" not in ros)

    def before(self, others: Arguments) -> Arguments:
        """These arguments together with others that they outrank."""
        return Arguments(
            ros_arguments=others.ros_arguments + self.ros_arguments,
            remaps=self.remaps + others.remaps,
            log_levels=others.log_levels | self.log_levels,
            rosout=self.rosout and others.rosout,
        )

    def node_name(self, name: str) -> str:
        """What a node is to be called instead of ``name``."""
        return self._replaced({"__node", "__name"}, name) or name

    def namespace(self, node_name: str, namespace: str) -> str:
        """The namespace that a node is to have instead of the given one."""
        return self._replaced({"__ns"}, node_name) or namespace

    def topic(self, full_name: str, node_name: str, namespace: str) -> str:
        """The full name that a topic or service has after remapping."""
        for rule in self._rules_for(node_name):
            if names.expand(rule.match, node_name, namespace) == full_name:
                return names.expand(rule.replacement, node_name, namespace)
        return full_name

    def _replaced(self, matches: set[str], node_name: str) -> str | None:
        found = (rule.replacement for rule in self._rules_for(node_name) if rule.match in matches)
        return next(found, None)

    def _rules_for(self, node_name: str) -> list[RemapRule]:
        return [rule for rule in self.remaps if rule.node in {"", node_name}]


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    ros: list[str] = []
    other: list[str] = []
    into = other
    for word in words:
        if word == "--ros-args":
            into = ros
        elif word == "--" and into is ros:
            into = other
        else:
            into.append(word)
    return ros, other
