# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The actions a ``*.launch.yaml`` file may hold, and how such a file is read.

Keys and types are those of ROS 2 Jazzy (``launch.actions``, ``launch_ros.actions``); a file that
loads here loads there. Like ROS 2, text must be text: ``default: "true"``, not ``default: true``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from magma_ros import documents
from magma_ros.embedded.launch.errors import LaunchError
from magma_ros.embedded.launch.substitutions import Template, parse

Scalar = bool | int | float | str
Value = Template | Scalar | list[Any]
"""A parameter's value: text may hold substitutions, anything else is taken as it is."""


def _text(value: object) -> Template:
    if not isinstance(value, str):
        raise LaunchError("must be text; put it in quotes")
    return parse(value)


def _value(value: object) -> Value:
    if isinstance(value, list) and value and len({type(item) for item in value}) == 1:
        return [_value(item) for item in value]
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, bool | int | float):
        return value
    raise LaunchError("must be true or false, a number, text, or a list of one of these")


def _seconds(value: object) -> float:
    if not isinstance(value, float) or value < 0.0:
        raise LaunchError("must be seconds, written with a decimal point, such as 2.0")
    return value


Text = Annotated[Template, PlainValidator(_text)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Action(_Model):
    """What every action has: the conditions under which it is carried out."""

    if_: Text | None = Field(None, alias="if")
    unless: Text | None = None


class NameValue(_Model):
    """One environment variable, or one argument of an included file."""

    name: Text
    value: Text


class Choice(_Model):
    """One value that an argument may take."""

    value: str


class Arg(Action):
    """Declares an argument of the launch file."""

    name: str
    default: Text | None = None
    description: str = "no description given"
    choice: list[Choice] = []

    @property
    def choices(self) -> tuple[str, ...]:
        """The values allowed; none given means that all are."""
        return tuple(choice.value for choice in self.choice)


class Let(Action):
    """Sets a variable."""

    name: Text
    value: Text


class SetEnv(Action):
    """Sets an environment variable for the nodes that follow."""

    name: Text
    value: Text


class UnsetEnv(Action):
    """Removes an environment variable for the nodes that follow."""

    name: Text


class PushRosNamespace(Action):
    """Puts the nodes that follow into a namespace, until the group ends."""

    namespace: Text


class SetRemap(Action):
    """Gives a topic or service another name, for the nodes that follow until the group ends."""

    from_: Text = Field(alias="from")
    to: Text


class Remap(_Model):
    """Gives a topic or service another name, for one node."""

    from_: Text = Field(alias="from")
    to: Text


class Param(_Model):
    """Either one parameter (``name``, ``value``) or a file of them (``from``)."""

    name: Text | None = None
    value: Annotated[Value | None, PlainValidator(_value)] = None
    type: (
        Literal[
            "str",
            "bool",
            "float",
            "int",
            "list_of_str",
            "list_of_bool",
            "list_of_float",
            "list_of_int",
            "yaml",
        ]
        | None
    ) = None
    from_: Text | None = Field(None, alias="from")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        named = self.name is not None and self.value is not None
        if named == (self.from_ is not None):
            raise LaunchError("a param takes either name and value, or from")
        return self


class Node(Action):
    """Starts a node in a process of its own."""

    pkg: Text
    exec: Text
    name: Text | None = None
    namespace: Text | None = None
    output: Text = ("log",)
    args: Text = ()
    ros_args: Text = ()
    param: list[Param] = []
    remap: list[Remap] = []
    env: list[NameValue] = []
    respawn: Text = ("false",)
    respawn_delay: Seconds = 0.0
    respawn_max_retries: int = -1
    on_exit: Literal["shutdown"] | None = None
    sigterm_timeout: Seconds = 5.0
    sigkill_timeout: Seconds = 5.0


class Include(Action):
    """Carries out another launch file here."""

    file: Text
    arg: list[NameValue] = []


class Group(Action):
    """Carries out actions whose settings are forgotten at the end of the group."""

    scoped: bool = True
    children: list[Any]


ACTIONS: dict[str, type[Action]] = {
    "arg": Arg,
    "let": Let,
    "set_env": SetEnv,
    "unset_env": UnsetEnv,
    "push_ros_namespace": PushRosNamespace,
    "push-ros-namespace": PushRosNamespace,
    "set_remap": SetRemap,
    "node": Node,
    "include": Include,
    "group": Group,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An action and its place.

    Attributes:
        where: File and line, for messages.
        action: What to do there.
        children: The entries of a group; empty for every other action.
    """

    where: str
    action: Action
    children: tuple[Entry, ...] = ()


def load(path: Path) -> tuple[Entry, ...]:
    """Read a launch file, without carrying anything out.

    Raises:
        LaunchError: The file is missing, is no YAML, or holds an action or key that is not known.
    """
    try:
        document = documents.read_yaml(path, loader=_Loader)
    except documents.DocumentError as error:
        raise LaunchError(f"launch file {error}") from error
    if not (isinstance(document, dict) and list(document) == ["launch"]):
        raise LaunchError(f"launch file {path} must hold one key, 'launch', with a list of actions")
    return _entries(document["launch"], path, str(path))


def _entries(items: object, path: Path, where: str) -> tuple[Entry, ...]:
    if not isinstance(items, list):
        raise LaunchError(f"{where}: a list of actions is wanted here")
    return tuple(_entry(item, path) for item in items)


def _entry(item: object, path: Path) -> Entry:
    if not (isinstance(item, _Mapping) and len(item) == 1):
        raise LaunchError(f"{path}: '{item}' is not an action; write '- node:' and its keys below")
    where = f"{path}:{item.line}"
    kind, body = next(iter(item.items()))
    if kind not in ACTIONS:
        raise LaunchError(f"{where}: unknown action '{kind}'; known are {', '.join(ACTIONS)}")
    if kind == "group" and isinstance(body, list):
        body = {"children": body}
    try:
        action = ACTIONS[kind].model_validate(body)
    except ValidationError as error:
        raise LaunchError(f"{where}: {_sentence(kind, error)}") from error
    if isinstance(action, Group):
        return Entry(where, action, _entries(action.children, path, where))
    return Entry(where, action)


def _sentence(kind: str, error: ValidationError) -> str:
    """The first of pydantic's complaints, in words a launch file's author understands."""
    first = error.errors()[0]
    path = [kind, *map(str, first["loc"])]
    owner = next((name for name in reversed(path[:-1]) if not name.isdecimal()), kind)
    if first["type"] == "extra_forbidden":
        known = ", ".join(_keys(kind, owner))
        return f"unknown key '{path[-1]}' in {owner}; its keys are {known}"
    if first["type"] == "missing":
        return f"{owner} lacks the key '{path[-1]}'"
    subject = " ".join(name for name in path if not name.isdecimal())
    return f"{subject}: {first['msg'].removeprefix('Value error, ')}"


def _keys(kind: str, owner: str) -> list[str]:
    model = ACTIONS[kind] if owner == kind else _NESTED[owner]
    return sorted(field.alias or name for name, field in model.model_fields.items())


_NESTED: dict[str, type[BaseModel]] = {
    "choice": Choice,
    "param": Param,
    "remap": Remap,
    "env": NameValue,
    "arg": NameValue,
}


class _Mapping(dict[str, Any]):
    """A YAML mapping that remembers where it stands."""

    line = 0


class _Loader(documents.Loader):
    """The YAML loader, with line numbers."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> _Mapping:
    loader.flatten_mapping(node)
    items = loader.construct_mapping(node, deep=True)
    mapping = _Mapping()
    mapping.update({str(key): value for key, value in items.items()})
    mapping.line = node.start_mark.line + 1
    return mapping


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
