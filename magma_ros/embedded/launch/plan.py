# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Carries out a launch file on paper: which processes, with which commands and environments.

Everything that can be wrong is found here, before the first process starts.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from magma_ros.documents import DocumentError, parse_yaml
from magma_ros.embedded.launch import packages
from magma_ros.embedded.launch.actions import (
    Action,
    Arg,
    Entry,
    Group,
    Include,
    Let,
    Node,
    Param,
    PushRosNamespace,
    Scalar,
    SetEnv,
    SetRemap,
    UnsetEnv,
    Value,
    load,
)
from magma_ros.embedded.launch.errors import LaunchError
from magma_ros.embedded.launch.substitutions import Template, as_bool, is_literal, perform
from magma_ros.embedded.wire import names


@dataclass(frozen=True, slots=True)
class Process:
    """One node process as it will be started.

    Attributes:
        name: Label in the output, ``<executable>-<number>``.
        command: Program and arguments.
        environment: All of its environment variables.
        on_screen: Show its standard output; standard error is always shown.
        respawn: Start it again after a crash.
        respawn_delay: Pause before that [s].
        respawn_max_retries: How often at most; negative for no limit.
        required: Shut everything down when it ends.
        sigterm_timeout: Time from SIGINT to SIGTERM at shutdown [s].
        sigkill_timeout: Time from SIGTERM to SIGKILL at shutdown [s].
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    on_screen: bool
    respawn: bool
    respawn_delay: float
    respawn_max_retries: int
    required: bool
    sigterm_timeout: float
    sigkill_timeout: float


@dataclass(slots=True)
class Scope:
    """The settings in force at one place of a launch file."""

    directory: Path
    variables: dict[str, str]
    environment: dict[str, str]
    namespace: str | None = None
    remaps: tuple[tuple[str, str], ...] = ()

    def copy(self) -> Scope:
        """The same settings, to be changed apart."""
        return replace(self, variables=dict(self.variables), environment=dict(self.environment))


def plan(
    path: Path, arguments: Mapping[str, str], scratch: Path, environment: Mapping[str, str]
) -> list[Process]:
    """The processes that a launch file asks for, in the order of starting.

    Args:
        path: The launch file.
        arguments: Values for its arguments by name.
        scratch: Folder for the parameter files that are written for the nodes.
        environment: Environment variables that the launch begins with.

    Raises:
        LaunchError: Anything in the file or the arguments is wrong.
    """
    planner = _Planner(scratch)
    scope = Scope(path.resolve().parent, dict(arguments), dict(environment))
    planner.visit(load(path), scope)
    unknown = sorted(set(arguments) - planner.declared)
    if unknown:
        known = ", ".join(sorted(planner.declared)) or "none"
        raise LaunchError(f"{path} has no argument '{unknown[0]}'; its arguments are {known}")
    return planner.processes


def declared_arguments(path: Path) -> list[Arg]:
    """The arguments that a launch file declares, also inside groups.

    Raises:
        LaunchError: The file cannot be loaded.
    """

    def walk(entries: Iterable[Entry]) -> Iterable[Arg]:
        for entry in entries:
            if isinstance(entry.action, Arg):
                yield entry.action
            yield from walk(entry.children)

    return list(walk(load(path)))


@dataclass(slots=True)
class _Planner:
    """Goes through a file from top to bottom and collects processes."""

    scratch: Path
    processes: list[Process] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    _open_files: list[Path] = field(default_factory=list)

    def visit(self, entries: Iterable[Entry], scope: Scope) -> None:
        for entry in entries:
            try:
                if _applies(entry.action, scope):
                    self._carry_out(entry, scope)
            except _LocatedError:
                raise
            except LaunchError as error:
                raise _LocatedError(f"{entry.where}: {error}") from error

    def _carry_out(self, entry: Entry, scope: Scope) -> None:
        match entry.action:
            case Arg() as arg:
                self._declare(arg, scope)
            case Let() as let:
                scope.variables[perform(let.name, scope)] = perform(let.value, scope)
            case SetEnv() as env:
                scope.environment[perform(env.name, scope)] = perform(env.value, scope)
            case UnsetEnv() as env:
                scope.environment.pop(perform(env.name, scope), None)
            case PushRosNamespace() as push:
                scope.namespace = _join(scope.namespace, perform(push.namespace, scope))
            case SetRemap() as remap:
                scope.remaps += ((perform(remap.from_, scope), perform(remap.to, scope)),)
            case Group() as group:
                self.visit(entry.children, scope.copy() if group.scoped else scope)
            case Include() as include:
                self._include(include, scope)
            case Node() as node:
                self.processes.append(self._process(node, scope))

    def _declare(self, arg: Arg, scope: Scope) -> None:
        self.declared.add(arg.name)
        if arg.name not in scope.variables:
            if arg.default is None:
                raise LaunchError(
                    f"argument '{arg.name}' is required ({arg.description}); "
                    f"give it as {arg.name}:=VALUE"
                )
            scope.variables[arg.name] = perform(arg.default, scope)
        value = scope.variables[arg.name]
        if arg.choice and value not in arg.choices:
            raise LaunchError(
                f"argument '{arg.name}' cannot be '{value}'; choose from {', '.join(arg.choices)}"
            )

    def _include(self, include: Include, scope: Scope) -> None:
        path = (scope.directory / perform(include.file, scope)).resolve()
        if path in self._open_files:
            raise LaunchError(f"{path} includes itself")
        entries = load(path)
        given = {perform(arg.name, scope): perform(arg.value, scope) for arg in include.arg}
        _require(entries, given, path)
        scope.variables |= given
        outer = scope.directory
        scope.directory = path.parent
        self._open_files.append(path)
        self.visit(entries, scope)
        self._open_files.pop()
        scope.directory = outer

    def _process(self, node: Node, scope: Scope) -> Process:
        package, name = perform(node.pkg, scope), perform(node.exec, scope)
        entry_point = packages.executable(package, name)
        environment = {"PYTHONUNBUFFERED": "1", **scope.environment}
        environment.update({perform(e.name, scope): perform(e.value, scope) for e in node.env})
        return Process(
            name=f"{name}-{len(self.processes) + 1}",
            command=(
                *_python(entry_point),
                *_words(node.args, scope),
                "--ros-args",
                *_words(node.ros_args, scope),
                *self._ros_arguments(node, scope),
            ),
            environment=environment,
            on_screen=perform(node.output, scope) in {"screen", "both"},
            respawn=as_bool(perform(node.respawn, scope)),
            respawn_delay=node.respawn_delay,
            respawn_max_retries=node.respawn_max_retries,
            required=node.on_exit == "shutdown",
            sigterm_timeout=node.sigterm_timeout,
            sigkill_timeout=node.sigkill_timeout,
        )

    def _ros_arguments(self, node: Node, scope: Scope) -> list[str]:
        arguments = []
        name = perform(node.name, scope) if node.name is not None else None
        own = perform(node.namespace, scope) if node.namespace is not None else None
        namespace = _join(scope.namespace, own)
        if name is not None:
            arguments += ["-r", f"__node:={_checked(name, names.is_node_name, 'a node name')}"]
        if namespace is not None:
            arguments += ["-r", f"__ns:={_checked(namespace, names.is_namespace, 'a namespace')}"]
        # A full name outranks the "/**" of a file, so what the launch file says wins if it can.
        owner = f"{namespace.rstrip('/')}/{name}" if namespace and name else "/**"
        for param in node.param:
            file = (
                _existing(param.from_, scope)
                if param.from_ is not None
                else self._write(param, owner, scope)
            )
            arguments += ["--params-file", str(file)]
        own_remaps = [(perform(r.from_, scope), perform(r.to, scope)) for r in node.remap]
        for match, replacement in (*scope.remaps, *own_remaps):
            _checked(replacement, names.is_given_name, "the name of a topic or service")
            arguments += ["-r", f"{match}:={replacement}"]
        return arguments

    def _write(self, param: Param, owner: str, scope: Scope) -> Path:
        values = {perform(param.name or (), scope): _evaluate(param, scope)}
        file = self.scratch / f"params_{len(list(self.scratch.iterdir()))}.yaml"
        file.write_text(yaml.safe_dump({owner: {"ros__parameters": values}}), encoding="utf-8")
        return file


class _LocatedError(LaunchError):
    """An error whose text already says where it happened."""


def _require(entries: Iterable[Entry], given: Mapping[str, str], path: Path) -> None:
    """ROS 2 wants required arguments from the include itself, whatever was set before."""
    for action in (entry.action for entry in entries):
        if isinstance(action, Arg) and action.default is None and action.name not in given:
            raise LaunchError(
                f"{path} requires the argument '{action.name}' ({action.description}); "
                "pass it below the include"
            )


def _applies(action: Action, scope: Scope) -> bool:
    if action.if_ is not None and action.unless is not None:
        raise LaunchError("an action takes if or unless, not both")
    if action.if_ is not None:
        return as_bool(perform(action.if_, scope))
    return action.unless is None or not as_bool(perform(action.unless, scope))


def _checked(name: str, is_valid: Callable[[str], bool], what: str) -> str:
    if not is_valid(name):
        raise LaunchError(
            f"{name!r} is not {what}: it takes letters, digits and _, and no part may begin with "
            "a digit"
        )
    return name


def _join(outer: str | None, inner: str | None) -> str | None:
    """A namespace or name below another; an absolute one stands alone."""
    if inner is None or inner.startswith("/"):
        return inner or outer
    return f"{outer or ''}/{inner}".rstrip("/") or "/"


def _python(entry_point: str) -> list[str]:
    code = f"from magma_ros.embedded.launch.child import main; main({entry_point!r})"
    return [sys.executable, "-c", code]


def _words(template: Template, scope: Scope) -> list[str]:
    """Split like a shell, but keep the value of a substitution in one piece."""
    words: list[str] = []
    unfinished = False
    for part in template:
        whole = not isinstance(part, str)
        pieces = [perform((part,), scope)] if whole else _split(str(part))
        if unfinished and pieces and (whole or not str(part)[0].isspace()):
            words[-1] += pieces.pop(0)
        words += pieces
        unfinished = whole or not str(part)[-1].isspace()
    return words


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise LaunchError(f"'{text}' cannot be split into words ({error})") from error


def _existing(template: Template, scope: Scope) -> Path:
    file = scope.directory / perform(template, scope)
    if not file.is_file():
        raise LaunchError(f"parameter file {file} does not exist")
    return file


def _evaluate(param: Param, scope: Scope) -> Any:
    """The value of a parameter, of the type it is declared to have.

    Without a declared type, the value of a substitution is read as YAML, like ROS 2 does.
    """
    wanted = param.type or "yaml"
    value = _plain(param.value, scope, read_yaml=wanted not in {"str", "list_of_str"})
    if wanted == "yaml":
        return value
    convert = _CONVERSIONS[wanted.removeprefix("list_of_")]
    try:
        if not wanted.startswith("list_of_"):
            return convert(value)
        if isinstance(value, list):
            return [convert(item) for item in value]
    except (TypeError, ValueError):
        pass
    raise LaunchError(f"parameter '{perform(param.name or (), scope)}' is {value!r}, not {wanted}")


def _plain(value: Value | None, scope: Scope, *, read_yaml: bool) -> Any:
    if isinstance(value, list):
        return [_plain(item, scope, read_yaml=read_yaml) for item in value]
    if not isinstance(value, tuple):
        return value
    text = perform(value, scope)
    if is_literal(value) or not read_yaml:
        return text
    try:
        read = parse_yaml(text)
    except DocumentError:
        read = None
    if not isinstance(read, Scalar | list):
        raise LaunchError(f"'{text}' is not a parameter's value; add 'type: str' if it is text")
    return read


def _to_bool(value: Scalar) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(value)


_CONVERSIONS: Mapping[str, Callable[[Any], Scalar]] = {
    "str": str,
    "bool": _to_bool,
    "float": float,
    "int": int,
}
