# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads YAML and JSON files into plain data; any fault is an error of one sentence.

Every reader of the project ends here, those of the embedded ROS 2 too, so this module imports
nothing of the rest. A document is bounded in size, depth and number of entries before anything is
built from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

MAX_YAML_BYTES = 1 << 20
"""Largest YAML document [bytes]; all of them are written by people or a screenful long."""

MAX_JSON_BYTES = 1 << 28
"""Largest JSON document [bytes]; an evaluation of 100,000 episodes stays below."""

MAX_DEPTH = 64
"""Deepest nesting of lists and mappings."""

MAX_ENTRIES = 100_000
"""Most values of a document, each alias counted as all that it stands for."""

_FAILURES = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What PyYAML's constructors raise on text that matches a type's pattern but is none of its."""


class DocumentError(ValueError):
    """A document cannot be read; the text names the file, the place and what is wrong there."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader within bounds, without duplicate keys, with places in its errors."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._entries = 0
        self._sizes: dict[int, int] = {}  # of the finished nodes with an anchor, by identity

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one value, and count it."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._entries
        self._depth += 1
        self._entries += 1
        if self._depth > MAX_DEPTH:
            raise _fault(f"it is nested more than {MAX_DEPTH} levels deep", event)
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _fault(f"*{event.anchor} stands inside of what it refers to", event)
            self._entries += self._sizes[id(node)]
        elif event.anchor is not None:
            self._sizes[id(node)] = self._entries - before
        if self._entries > MAX_ENTRIES:
            raise _fault(f"it has more than {MAX_ENTRIES} entries", event)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping whose keys all differ; those merged into it (``<<``) come later."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _fault(f"the key '{key.value}' appears twice", key)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Build one value; text that its type cannot hold is an error with a place."""
        try:
            return super().construct_object(node, deep)
        except _FAILURES as error:
            kind = node.tag.rpartition(":")[2]
            shown = f"'{node.value[:40]}'" if isinstance(node, yaml.ScalarNode) else "this"
            raise _fault(f"{shown} is no valid {kind}", node) from error


def read_text(path: Path, *, limit: int = MAX_YAML_BYTES) -> str:
    """The content of a text file.

    Args:
        path: The file.
        limit: Largest size accepted [bytes].

    Raises:
        DocumentError: It is missing, unreadable, too large or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise DocumentError(f"{_name(path)} is not text in UTF-8 ({where})") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{_name(path)} cannot be read ({reason})") from error
    if len(content) > limit:
        raise DocumentError(f"{_name(path)} is larger than {limit} bytes; it is the wrong file")
    return text


def parse_yaml(text: str, *, loader: type[Loader] = Loader) -> Any:
    """The value of a YAML text; an empty one is None.

    Raises:
        DocumentError: It is not one YAML document of plain types, or it exceeds the bounds above.
    """
    try:
        return loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_located(error)) from error
    except (yaml.YAMLError, RecursionError, *_FAILURES) as error:
        raise DocumentError(_flat(error)) from error


def read_yaml(path: Path, *, loader: type[Loader] = Loader) -> Any:
    """The value of a YAML file.

    Raises:
        DocumentError: It cannot be read, is empty, or is not one YAML document of plain types
            within the bounds above.
    """
    text = read_text(path)
    try:
        content = parse_yaml(text, loader=loader)
    except DocumentError as error:
        raise DocumentError(f"{_name(path)} is not valid YAML: {error}") from error
    if content is None:
        raise DocumentError(f"{_name(path)} is empty")
    return content


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        DocumentError: It cannot be read, or is not one whole JSON document without duplicate keys.
    """
    text = read_text(path, limit=MAX_JSON_BYTES)
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise DocumentError(f"{_name(path)} is not valid JSON: it is nested too deep") from error
    except ValueError as error:
        raise DocumentError(f"{_name(path)} is not whole and valid JSON: {_flat(error)}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key '{key[:40]}' appears twice")
        content[key] = value
    return content


def _fault(problem: str, where: Any) -> yaml.MarkedYAMLError:
    """An error at a node or event."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


def _located(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    parts = filter(None, (error.context, error.problem))
    return where + _flat(", ".join(parts))


def _name(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else repr(text)


def _flat(error: object) -> str:
    return " ".join(str(error).split())
