# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Substitutions such as ``$(var name)``: read when a file is loaded, performed when it is run.

The grammar is that of ROS 2 launch frontends (``launch/frontend/grammar.lark``): ``$(name a b)``
nests, an argument with spaces stands in quotes, and a backslash makes the next character plain.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from magma_ros.embedded.launch import packages
from magma_ros.embedded.launch.errors import LaunchError


class Scope(Protocol):
    """What a substitution may look up."""

    variables: dict[str, str]
    environment: dict[str, str]
    directory: Path


@dataclass(frozen=True, slots=True)
class Substitution:
    """One ``$(name argument ...)``."""

    name: str
    arguments: tuple[Template, ...]


Template = tuple[str | Substitution, ...]
"""Text with substitutions in it, in the order of writing."""


def parse(text: str) -> Template:
    """Read the substitutions in a text.

    Raises:
        LaunchError: A substitution is unknown, incomplete, or has a wrong number of arguments.
    """
    return _Reader(text).template(stop="")


def perform(template: Template, scope: Scope) -> str:
    """The text with every substitution replaced by its value.

    Raises:
        LaunchError: A variable or environment variable is not set, or a package is missing.
    """
    return "".join(
        part if isinstance(part, str) else _perform_one(part, scope) for part in template
    )


def as_written(template: Template) -> str:
    """The text as it stands in the launch file, but for quotes and backslashes."""
    return "".join(
        part
        if isinstance(part, str)
        else f"$({' '.join([part.name, *map(as_written, part.arguments)])})"
        for part in template
    )


def is_literal(template: Template) -> bool:
    """True if the text holds no substitution."""
    return all(isinstance(part, str) for part in template)


def as_bool(text: str) -> bool:
    """A condition's value: ``true`` or ``1``, ``false`` or ``0``, in any case.

    Raises:
        LaunchError: The text is none of these.
    """
    word = text.strip().lower()
    if word in {"true", "1"}:
        return True
    if word in {"false", "0"}:
        return False
    raise LaunchError(f"'{text}' is not a condition; it must be true or false")


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def template(self, stop: str) -> Template:
        """Read up to one of the characters in ``stop``, or to the end if there are none."""
        parts: list[str | Substitution] = []
        while self.position < len(self.text) and self.text[self.position] not in stop:
            if self.text.startswith("$(", self.position):
                parts.append(self._substitution())
                continue
            character = self._plain_character(quoted=stop != _UNQUOTED_STOP)
            if parts and isinstance(parts[-1], str):
                parts[-1] += character
            else:
                parts.append(character)
        return tuple(parts)

    def _plain_character(self, *, quoted: bool) -> str:
        escaped = self.text[self.position] == "\\" and self.position + 1 < len(self.text)
        self.position += int(escaped)
        character = self.text[self.position]
        if not (quoted or escaped) and character in "'\"(":
            raise LaunchError(f"unexpected {character} in a substitution of '{self.text}'")
        self.position += 1
        return character

    def _substitution(self) -> Substitution:
        match = _NAME.match(self.text, self.position)
        if match is None:
            raise LaunchError(f"'{self.text}' has a $( without the name of a substitution")
        self.position = match.end()
        arguments = []
        while self.text.startswith(" ", self.position):
            self.position += 1
            arguments.append(self._argument())
        self._expect(")")
        return _checked(Substitution(match[1], tuple(arguments)))

    def _argument(self) -> Template:
        quote = self.text[self.position : self.position + 1]
        if quote not in {"'", '"'}:
            return self.template(stop=_UNQUOTED_STOP)
        self.position += 1
        quoted = self.template(stop=quote)
        self._expect(quote)
        return quoted

    def _expect(self, character: str) -> None:
        if not self.text.startswith(character, self.position):
            raise LaunchError(f"'{self.text}' lacks a closing {character}")
        self.position += 1


_NAME = re.compile(r"\$\(([A-Za-z][\w-]*)")
_UNQUOTED_STOP = " )"


def _variable(scope: Scope, name: str) -> str:
    if name not in scope.variables:
        known = ", ".join(sorted(scope.variables)) or "none"
        raise LaunchError(f"$(var {name}) is not set (set here: {known})")
    return scope.variables[name]


def _environment(scope: Scope, name: str, default: str | None = None) -> str:
    value = scope.environment.get(name, default)
    if value is None:
        raise LaunchError(f"environment variable {name} is not set and has no default")
    return value


def _command(scope: Scope, text: str) -> str:
    """What a command prints, without a shell; it must succeed and complain about nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - whoever may write launch files may run programs
            shlex.split(text), env=scope.environment, capture_output=True, text=True, check=False
        )
    except (OSError, ValueError, IndexError) as error:
        raise LaunchError(f"the command {text!r} cannot be run ({error})") from error
    if done.returncode or done.stderr:
        said = "; ".join(done.stderr.split("\n")).strip("; ") or f"exit code {done.returncode}"
        raise LaunchError(said)
    return done.stdout


def _word(*, value: bool) -> str:
    return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class _Function:
    """What a substitution does, and how many arguments it takes."""

    fewest: int
    most: int
    call: Callable[..., str]


_FUNCTIONS: Mapping[str, _Function] = {
    "var": _Function(1, 1, _variable),
    "env": _Function(1, 2, _environment),
    "find-pkg-share": _Function(1, 1, lambda _, name: str(packages.share_directory(name))),
    "command": _Function(1, 1, _command),
    "dirname": _Function(0, 0, lambda scope: str(scope.directory)),
    "equals": _Function(2, 2, lambda _, a, b: _word(value=a == b)),
    "not-equals": _Function(2, 2, lambda _, a, b: _word(value=a != b)),
    "not": _Function(1, 1, lambda _, a: _word(value=not as_bool(a))),
    "and": _Function(2, 2, lambda _, a, b: _word(value=as_bool(a) and as_bool(b))),
    "or": _Function(2, 2, lambda _, a, b: _word(value=as_bool(a) or as_bool(b))),
}


def _checked(substitution: Substitution) -> Substitution:
    function = _FUNCTIONS.get(substitution.name)
    if function is None:
        known = ", ".join(sorted(_FUNCTIONS))
        raise LaunchError(f"unknown substitution $({substitution.name}); known are {known}")
    count = len(substitution.arguments)
    if not function.fewest <= count <= function.most:
        wanted = " or ".join(map(str, sorted({function.fewest, function.most})))
        raise LaunchError(f"$({substitution.name}) takes {wanted} argument(s), not {count}")
    return substitution


def _perform_one(substitution: Substitution, scope: Scope) -> str:
    arguments = [perform(argument, scope) for argument in substitution.arguments]
    return _FUNCTIONS[substitution.name].call(scope, *arguments)
